"""EfficientNet-Lite (Liu 2020): EfficientNet (Tan & Le 2019) with mobile-friendly operators.

https://arxiv.org/abs/1905.11946, table 1, and
https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite: no
squeeze-and-excitation, ReLU6 instead of swish, stem and head of fixed width.
"""

from __future__ import annotations

import tf_keras

from zoo.models.common import (
    Tensor,
    check_input,
    classifier,
    conv_bn,
    depthwise_bn,
    is_small,
    relu6,
    scaled,
)

layers = tf_keras.layers

_STEM, _HEAD = 32, 1280
# (expansion, channels, blocks, stride, kernel) of the seven stages of EfficientNet-B0.
_STAGES = (
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)


def build(
    *,
    input_shape: tuple[int, int, int],
    classes: int,
    width: float = 1.0,
    include_top: bool = True,
    dropout: float = 0.2,
    name: str = "efficientnet_lite",
) -> tf_keras.Model:
    """Builds EfficientNet-Lite0 with logits as output.

    The weights fit every input size. Below 96 pixels the stem and stage 2 have stride 1: the last
    feature maps of a 32×32 input are 4×4. EfficientNet's stochastic depth, which is only active
    during training, is omitted.

    Args:
        input_shape: (height, width, channels) of the input images.
        classes: Number of logits.
        width: Multiplies the channels of the stages but not of stem and head, as in larger Lites.
        include_top: Whether to end in logits; otherwise the output is that of the head convolution.
        dropout: Dropout rate before the classifier.
        name: Name of the Keras model.

    Returns:
        A functional model, (batch, height, width, channels) float32 → (batch, classes) float32.

    Raises:
        ZooError: if the input is smaller than 16×16.
    """
    check_input(input_shape, 16, "EfficientNet-Lite")
    small = is_small(input_shape)
    image = layers.Input(input_shape, name="image")
    x = conv_bn(
        image, _STEM, 3, "stem_conv", stride=1 if small else 2, activation=relu6("stem_relu6")
    )
    for stage, (expansion, channels, repeats, stride, kernel) in enumerate(_STAGES, start=1):
        if small and stage == 2:
            stride = 1
        for number in range(repeats):
            x = _block(
                x,
                expansion,
                scaled(channels, width),
                stride if number == 0 else 1,
                kernel,
                f"stage{stage}_block{number + 1}",
            )
    x = conv_bn(x, _HEAD, 1, "head_conv", activation=relu6("head_relu6"))
    if include_top:
        x = classifier(x, classes, dropout)
    return tf_keras.Model(image, x, name=name)


def _block(x: Tensor, expansion: int, filters: int, stride: int, kernel: int, block: str) -> Tensor:
    entry = x
    if expansion != 1:
        x = conv_bn(
            x,
            x.shape[-1] * expansion,
            1,
            f"{block}_expand",
            activation=relu6(f"{block}_expand_relu6"),
        )
    x = depthwise_bn(
        x,
        kernel,
        f"{block}_depthwise",
        stride=stride,
        activation=relu6(f"{block}_depthwise_relu6"),
    )
    x = conv_bn(x, filters, 1, f"{block}_project")
    if stride == 1 and entry.shape[-1] == filters:
        x = layers.Add(name=f"{block}_add")([x, entry])
    return x
