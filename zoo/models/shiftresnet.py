"""ShiftResNet (Wu et al. 2018, https://arxiv.org/abs/1711.08141), for CIFAR.

With sparse instead of fixed shifts it is SSL-ResNet (Chen et al. 2019,
https://arxiv.org/abs/1903.05285). Variants with active shifts (Jeon & Kim 2018) and depthwise
convolutions allow a comparison of these spatial operators in the same network.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

import tf_keras

from zoo.errors import ZooError
from zoo.layers.active_shift import ActiveShift
from zoo.layers.shift import Shift
from zoo.layers.sparse_shift import SparseShift
from zoo.models.common import Tensor, check_input, classifier, conv_bn, is_small, scaled

layers = tf_keras.layers

_MOVES: dict[str, Callable[..., tf_keras.layers.Layer]] = {
    "grouped": Shift,
    "active": ActiveShift,
    "sparse": SparseShift,
    "depthwise": partial(layers.DepthwiseConv2D, 3, padding="same", use_bias=False),
}


def build(
    *,
    depth: int,
    expansion: float,
    shift: Literal["grouped", "active", "sparse", "depthwise"] = "grouped",
    input_shape: tuple[int, int, int],
    classes: int,
    width: float = 1.0,
    include_top: bool = True,
    dropout: float = 0.0,
    name: str = "shiftresnet",
) -> tf_keras.Model:
    """Builds a ResNet with 1×1 convolution, shift, 1×1 convolution in place of 3×3 convolutions.

    A 3×3 convolution to 16 channels is followed by three stages of (depth − 2) / 6 blocks with 16,
    32 and 64 channels; the second and third stage halve the feature maps in their first block. A
    block is a 1×1 convolution to `expansion` times its output channels, batch norm, ReLU, shift,
    1×1 convolution, batch norm, and addition of the input (through a 1×1 convolution and batch norm
    if the shape changes). The stride of the second 1×1 convolution is moved to the shift, with
    equal results at a quarter of the cost.

    For inputs of 96 pixels and more, the stem is similar to that of an ImageNet ResNet: its 3×3
    convolution has stride 2 and a 3×3/2 max-pool follows, so the last feature maps of a 224×224
    input are 14×14.

    Args:
        depth: 6n + 2, with n blocks per stage.
        expansion: Factor for the channels inside a block; the paper's E.
        shift: "grouped" for the paper's fixed shifts, "active" or "sparse" for learned ones, or
            "depthwise" for a trained 3×3 depthwise convolution without bias and normalization.
        input_shape: (height, width, channels) of the input images.
        classes: Number of logits.
        width: Multiplies the channels of every layer.
        include_top: Whether to end in logits; otherwise the output is the last feature maps.
        dropout: Dropout rate before the classifier.
        name: Name of the Keras model.

    Returns:
        A functional model, (batch, height, width, channels) float32 → (batch, classes) float32.

    Raises:
        ZooError: if the input is smaller than 8×8, or the depth is not 6n + 2.
    """
    check_input(input_shape, 8, "ShiftResNet")
    if depth < 8 or depth % 6 != 2:
        raise ZooError("invalid depth", where=name, expected="6n + 2: 20, 56, 110", got=depth)

    def block(x: Tensor, filters: int, stride: int, name: str) -> Tensor:
        shortcut = x
        if stride != 1 or x.shape[-1] != filters:
            shortcut = conv_bn(x, filters, 1, f"{name}_shortcut", stride=stride)
        x = conv_bn(
            x,
            int(filters * expansion),
            1,
            f"{name}_conv1",
            activation=layers.ReLU(name=f"{name}_relu"),
        )
        x = _MOVES[shift](strides=stride, name=f"{name}_shift")(x)
        x = conv_bn(x, filters, 1, f"{name}_conv2")
        return layers.Add(name=f"{name}_add")([x, shortcut])

    image = layers.Input(input_shape, name="image")
    small = is_small(input_shape)
    x = conv_bn(
        image,
        scaled(16, width),
        3,
        "stem_conv",
        stride=1 if small else 2,
        activation=layers.ReLU(name="stem_relu"),
    )
    if not small:
        x = layers.MaxPooling2D(3, 2, padding="same", name="stem_pool")(x)
    for stage, channels in enumerate((16, 32, 64), start=1):
        for number in range(1, (depth - 2) // 6 + 1):
            stride = 2 if stage > 1 and number == 1 else 1
            x = block(x, scaled(channels, width), stride, f"stage{stage}_block{number}")
    if include_top:
        x = classifier(x, classes, dropout)
    return tf_keras.Model(image, x, name=name)
