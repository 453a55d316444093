"""Residual networks, with and without squeeze-and-excitation.

He et al. 2016 (https://arxiv.org/abs/1512.03385, table 1 and section 4.2) and Hu et al. 2018
(https://arxiv.org/abs/1709.01507, table 1).
"""

from __future__ import annotations

from typing import Literal

import tf_keras

from zoo.models.common import Tensor, check_input, classifier, conv_bn, is_small, scaled

layers = tf_keras.layers

_REDUCTION = 16  # as in the paper and in the published counts


def build(
    *,
    design: Literal["cifar", "imagenet"],
    repeats: tuple[int, ...],
    squeeze_excite: bool,
    input_shape: tuple[int, int, int],
    classes: int,
    width: float = 1.0,
    include_top: bool = True,
    dropout: float = 0.0,
    name: str = "resnet",
) -> tf_keras.Model:
    """Builds a residual network with logits as output. Only the convolutions of gates have biases.

    Designs:
        cifar: A 3×3 stem, then stages of basic blocks (two 3×3 convolutions) with 16, 32 and 64
            channels. (3, 3, 3) blocks make ResNet-20, (9, 9, 9) make ResNet-56.
        imagenet: A 7×7 stem with stride 2 and a max-pool, then stages of bottlenecks with 64, 128,
            256 and 512 inner channels and four times as many outer ones. (3, 4, 6, 3) blocks make
            ResNet-50. A bottleneck's first 1×1 convolution has the stride, as in the paper.

    Where the shape changes, the shortcut is a 1×1 convolution with batch norm.

    The weights fit every input size. Below 96 pixels `imagenet` has stride 1 in the stem and no
    max-pool: the last feature maps of a 32×32 input are 4×4. From 96 pixels on `cifar` has stride 2
    in the stem and the max-pool: for a 224×224 input they are 14×14. Padding is `same`, which pads
    only the bottom and the right with stride 2; PyTorch's weights expect padding on all sides.

    Args:
        design: Stem, kind of block and channels.
        repeats: Number of blocks in each stage.
        squeeze_excite: Whether the channels of each block are gated before the addition, with
            reduction 16.
        input_shape: (height, width, channels) of the input images.
        classes: Number of logits.
        width: Multiplies the channels of every layer.
        include_top: Whether to end in logits; otherwise the output is the last feature maps.
        dropout: Dropout rate before the classifier; the papers have none.
        name: Name of the Keras model.

    Returns:
        A functional model, (batch, height, width, channels) float32 → (batch, classes) float32.

    Raises:
        ZooError: if the input is smaller than 16×16.
    """
    check_input(input_shape, 16, "a residual network")
    small = is_small(input_shape)
    bottleneck = design == "imagenet"
    first = 64 if bottleneck else 16
    image = layers.Input(input_shape, name="image")
    x = conv_bn(
        image,
        scaled(first, width),
        7 if bottleneck else 3,
        "stem_conv",
        stride=1 if small else 2,
        activation=layers.ReLU(name="stem_relu"),
    )
    if not small:
        x = layers.MaxPooling2D(3, 2, padding="same", name="stem_pool")(x)
    for stage, blocks in enumerate(repeats):
        filters = scaled(first * 2**stage, width)
        for number in range(blocks):
            stride = 2 if stage and number == 0 else 1
            block = f"stage{stage + 1}_block{number + 1}"
            x = _block(x, filters, stride, bottleneck, squeeze_excite, block)
    if include_top:
        x = classifier(x, classes, dropout)
    return tf_keras.Model(image, x, name=name)


def _block(
    x: Tensor, filters: int, stride: int, bottleneck: bool, squeeze_excite: bool, block: str
) -> Tensor:
    # Kernel sizes of the convolutions; the first convolution has the stride.
    kernels = (1, 3, 1) if bottleneck else (3, 3)
    outer = 4 * filters if bottleneck else filters
    shortcut = x
    if stride != 1 or x.shape[-1] != outer:
        shortcut = conv_bn(x, outer, 1, f"{block}_shortcut", stride=stride)
    for number, kernel in enumerate(kernels, start=1):
        last = number == len(kernels)
        x = conv_bn(
            x,
            outer if last else filters,
            kernel,
            f"{block}_conv{number}",
            stride=stride if number == 1 else 1,
            activation=None if last else layers.ReLU(name=f"{block}_relu{number}"),
        )
    if squeeze_excite:
        x = _gate_channels(x, f"{block}_se")
    x = layers.Add(name=f"{block}_add")([x, shortcut])
    return layers.ReLU(name=f"{block}_relu")(x)


def _gate_channels(x: Tensor, name: str) -> Tensor:
    """Squeeze-and-excitation: multiplies each channel by a value between 0 and 1."""
    channels = x.shape[-1]
    gate = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_pool")(x)
    gate = layers.Conv2D(max(1, channels // _REDUCTION), 1, name=f"{name}_squeeze")(gate)
    gate = layers.ReLU(name=f"{name}_relu")(gate)
    gate = layers.Conv2D(channels, 1, name=f"{name}_excite")(gate)
    gate = layers.Activation("sigmoid", name=f"{name}_sigmoid")(gate)
    return layers.Multiply(name=name)([x, gate])
