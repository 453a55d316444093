"""ShuffleNetV2 (Ma et al. 2018, https://arxiv.org/abs/1807.11164, figure 3 and table 5)."""

from __future__ import annotations

import tf_keras

from zoo.layers.channels import ChannelShuffle, ChannelSplit
from zoo.models.common import (
    Tensor,
    check_input,
    classifier,
    conv_bn,
    depthwise_bn,
    is_small,
    scaled,
)

layers = tf_keras.layers

_STEM = 24
_REPEATS = (4, 8, 4)


def build(
    *,
    channels: tuple[int, int, int],
    tail: int,
    input_shape: tuple[int, int, int],
    classes: int,
    width: float = 1.0,
    include_top: bool = True,
    dropout: float = 0.0,
    name: str = "shufflenet_v2",
) -> tf_keras.Model:
    """Builds ShuffleNetV2 with logits as output.

    The weights fit every input size. Below 96 pixels the stem has stride 1 and no max-pool: the
    last feature maps of a 32×32 input are 4×4. Padding is `same`, which pads only the bottom and
    the right with stride 2; PyTorch's weights expect padding on all sides.

    Args:
        channels: Channels of stages 2, 3 and 4 (table 5), even.
        tail: Channels of the last 1×1 convolution.
        input_shape: (height, width, channels) of the input images.
        classes: Number of logits.
        width: Multiplies the channels of every layer.
        include_top: Whether to end in logits; otherwise the output is that of the last convolution.
        dropout: Dropout rate before the classifier; the paper has none.
        name: Name of the Keras model.

    Returns:
        A functional model, (batch, height, width, channels) float32 → (batch, classes) float32.

    Raises:
        ZooError: if the input is smaller than 16×16.
    """
    check_input(input_shape, 16, "ShuffleNetV2")
    small = is_small(input_shape)
    image = layers.Input(input_shape, name="image")
    x = conv_bn(
        image,
        scaled(_STEM, width),
        3,
        "stem_conv",
        stride=1 if small else 2,
        activation=layers.ReLU(name="stem_relu"),
    )
    if not small:
        x = layers.MaxPooling2D(3, 2, padding="same", name="stem_pool")(x)
    for stage, (filters, repeats) in enumerate(zip(channels, _REPEATS, strict=True), start=2):
        half = scaled(filters, width) // 2
        x = _halving_unit(x, half, f"stage{stage}_block1")
        for number in range(1, repeats):
            x = _unit(x, half, f"stage{stage}_block{number + 1}")
    x = conv_bn(x, scaled(tail, width), 1, "tail_conv", activation=layers.ReLU(name="tail_relu"))
    if include_top:
        x = classifier(x, classes, dropout)
    return tf_keras.Model(image, x, name=name)


def _branch(x: Tensor, filters: int, stride: int, block: str) -> Tensor:
    x = conv_bn(x, filters, 1, f"{block}_conv1", activation=layers.ReLU(name=f"{block}_relu1"))
    x = depthwise_bn(x, 3, f"{block}_depthwise", stride=stride)
    return conv_bn(x, filters, 1, f"{block}_conv2", activation=layers.ReLU(name=f"{block}_relu2"))


def _join(left: Tensor, right: Tensor, block: str) -> Tensor:
    x = layers.Concatenate(name=f"{block}_concat")([left, right])
    return ChannelShuffle(2, name=f"{block}_shuffle")(x)


def _unit(x: Tensor, half: int, block: str) -> Tensor:
    """Figure 3 (c): one half of the channels is passed on unchanged."""
    left, right = ChannelSplit(name=f"{block}_split")(x)
    return _join(left, _branch(right, half, 1, block), block)


def _halving_unit(x: Tensor, half: int, block: str) -> Tensor:
    """Figure 3 (d): both branches take all channels and have stride 2."""
    left = depthwise_bn(x, 3, f"{block}_left_depthwise", stride=2)
    left = conv_bn(
        left, half, 1, f"{block}_left_conv", activation=layers.ReLU(name=f"{block}_left_relu")
    )
    return _join(left, _branch(x, half, 2, block), block)
