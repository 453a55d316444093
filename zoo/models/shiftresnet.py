"""ShiftResNet (Wu et al. 2018, https://arxiv.org/abs/1711.08141), for CIFAR.

With sparse shifts in the shifts' place it is SSL-ResNet (Chen et al. 2019,
https://arxiv.org/abs/1903.05285). With active shifts (Jeon & Kim 2018) or depthwise convolutions
in it, the ways of looking at neighboring pixels can be compared in one skeleton.
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
    """Builds a ResNet whose 3×3 convolutions are 1×1 convolution, shift, 1×1 convolution.

    A 3×3 convolution to 16 channels, then three stages of (depth − 2) / 6 blocks with 16, 32 and
    64 channels, halving the maps at the start of the second and third. A block is 1×1 to
    `expansion` times its output channels, batch norm, ReLU, shift, 1×1, batch norm, plus the input
    (through 1×1 and batch norm where the shape changes). The stride of the second 1×1 convolution
    is taken by the shift: the same numbers, at a quarter of the work.

    Inputs of 96 pixels and more get the stem of an ImageNet ResNet in the CIFAR stem's place: its
    3×3 convolution has stride 2 and a 3×3/2 max-pool follows, so that 224 ends at 14×14.

    Args:
        depth: 6n + 2, with n blocks a stage.
        expansion: of the channels within a block; the paper's E.
        shift: "grouped" is the paper's; "active" and "sparse" learn such shifts; "depthwise" is a
            trained 3×3 depthwise convolution without bias or normalization of its own.
        input_shape: (height, width, channels).
        classes: number of logits.
        width: multiplies all channels.
        include_top: end in logits; else in the last feature maps.
        dropout: rate before the classifier.
        name: name of the Keras model.

    Returns:
        A functional model, (batch, height, width, channels) float32 → (batch, classes) float32.

    Raises:
        ZooError: the input is smaller than 8×8, or the depth is not 6n + 2.
    """
    check_input(input_shape, 8, "ShiftResNet")
    if depth < 8 or depth % 6 != 2:
        raise ZooError("impossible depth", where=name, expected="6n + 2: 20, 56, 110", got=depth)

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
