"""Networks with active shifts (Jeon & Kim 2018, https://arxiv.org/abs/1806.07370).

With sparse shifts instead of active ones, AS-ResNet is a network of Chen et al. 2019,
https://arxiv.org/abs/1903.05285.
"""

from __future__ import annotations

from typing import Literal

import tf_keras

from zoo.layers.active_shift import ActiveShift
from zoo.layers.sparse_shift import SparseShift
from zoo.models.common import Tensor, bn_relu, check_input, classifier, conv, is_small, scaled

layers = tf_keras.layers

# For each stage: channels as a multiple of `base`, number of blocks, stride of the first block, and
# whether that block has a convolution in its shortcut.
_STAGES = {
    "asnet": ((1, 3, 1, False), (2, 3, 2, True), (4, 3, 2, True)),
    "as_resnet": (
        (1, 1, 1, False),
        (1, 3, 2, True),
        (2, 4, 2, True),
        (4, 6, 2, True),
        (8, 3, 2, True),
    ),
}


def build(
    *,
    network: Literal["asnet", "as_resnet"],
    base: int,
    expansion: float = 1.0,
    shift: Literal["active", "sparse"] = "active",
    input_shape: tuple[int, int, int],
    classes: int,
    width: float = 1.0,
    include_top: bool = True,
    dropout: float = 0.0,
    name: str = "active_shift",
) -> tf_keras.Model:
    """Builds the paper's CIFAR network (ASNet) or its ImageNet network (AS-ResNet).

    A 3×3 convolution without batch norm is followed by pre-activation blocks: batch norm, ReLU, 1×1
    convolution to `expansion` times the block's channels, batch norm, ReLU, active shift with the
    block's stride, 1×1 convolution, addition of the input. In stages that halve the feature maps,
    the shortcut of the first block is a 1×1 convolution of the activated input without batch norm.
    Batch norm and ReLU follow the last stage. ASNet has three stages of three blocks with 1, 2 and
    4 times `base` channels. AS-ResNet has a first convolution with stride 2, a single block with
    `base` channels, then stages of 3, 4, 6 and 3 blocks with 1, 2, 4 and 8 times `base` channels,
    each of which halves the feature maps.

    In ASNet for inputs of 96 pixels and more, the 3×3 convolution has stride 2 and a 3×3/2 max-pool
    follows; the last feature maps of a 224×224 input are 14×14. In AS-ResNet for inputs below 96
    pixels, the first convolution and the stage after the single block have stride 1; the last
    feature maps of a 32×32 input are 4×4. The shortcut keeps its convolution. For a 224×224 input
    they are 7×7.

    Args:
        network: Which of the two networks.
        base: Channels of the first convolution; the paper's width.
        expansion: Factor for the channels inside a block.
        shift: "active" as in the paper, or "sparse" for learned sparse shifts.
        input_shape: (height, width, channels) of the input images.
        classes: Number of logits.
        width: Multiplies the channels of every layer.
        include_top: Whether to end in logits; otherwise the output is the last feature maps.
        dropout: Dropout rate before the classifier.
        name: Name of the Keras model.

    Returns:
        A functional model, (batch, height, width, channels) float32 → (batch, classes) float32.

    Raises:
        ZooError: if the input is smaller than 8×8.
    """
    check_input(input_shape, 8, network)

    def block(x: Tensor, filters: int, stride: int, shortcut: bool, name: str) -> Tensor:
        y = bn_relu(x, f"{name}_in")
        if shortcut:
            x = conv(y, filters, 1, f"{name}_shortcut", stride)
        y = conv(y, int(filters * expansion), 1, f"{name}_conv1")
        y = bn_relu(y, f"{name}_mid")
        kind = ActiveShift if shift == "active" else SparseShift
        y = kind(strides=stride, name=f"{name}_shift")(y)
        y = conv(y, filters, 1, f"{name}_conv2")
        return layers.Add(name=f"{name}_add")([y, x])

    image = layers.Input(input_shape, name="image")
    small = is_small(input_shape)
    x = conv(image, scaled(base, width), 3, "stem_conv", stride=1 if small else 2)
    if network == "asnet" and not small:
        x = layers.MaxPooling2D(3, 2, padding="same", name="stem_pool")(x)
    for stage, (times, blocks, first, shortcut) in enumerate(_STAGES[network], start=1):
        if network == "as_resnet" and small and stage == 2:
            first = 1
        for number in range(1, blocks + 1):
            x = block(
                x,
                scaled(base * times, width),
                first if number == 1 else 1,
                shortcut and number == 1,
                f"stage{stage}_block{number}",
            )
    x = bn_relu(x, "head")
    if include_top:
        x = classifier(x, classes, dropout)
    return tf_keras.Model(image, x, name=name)
