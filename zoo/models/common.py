"""What the families share: widths, input sizes, convolution with batch norm, the classifier."""

from __future__ import annotations

from typing import Any

import tf_keras

from zoo.errors import ZooError

layers = tf_keras.layers
Tensor = Any  # a symbolic Keras tensor; tf_keras has no type for it

# Below this height or width an input is CIFAR-sized: a network made for ImageNet leaves out its
# first downsamplings, and one made for CIFAR needs no further ones.
SMALL_INPUT = 96


def is_small(input_shape: tuple[int, int, int]) -> bool:
    """Whether an image of (height, width, channels) is CIFAR-sized."""
    return min(input_shape[:2]) < SMALL_INPUT


def check_input(input_shape: tuple[int, int, int], minimum: int, network: str) -> None:
    """Refuses an image that the network would shrink to nothing.

    Raises:
        ZooError: height or width is below `minimum`, or there are no channels.
    """
    height, width, channels = input_shape
    if min(height, width) < minimum or channels < 1:
        raise ZooError(
            f"input too small for {network}",
            expected=f"at least {minimum}×{minimum}×1",
            got=f"{height}×{width}×{channels}",
        )


def scaled(channels: int, width: float) -> int:
    """`channels` times `width`, to the nearest multiple of 8; unchanged at width 1.

    Multiples of 8 fill the vector registers of phones. As in MobileNetV2's code, rounding never
    takes more than a tenth away.
    """
    if width == 1:
        return channels
    wanted = channels * width
    rounded = max(8, int(wanted + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * wanted else rounded


def batch_norm(x: Tensor, name: str) -> Tensor:
    """Batch normalization; its averages settle within one epoch of a small data set."""
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-3, name=name)(x)


def bn_relu(x: Tensor, name: str) -> Tensor:
    """Batch norm, `NAME_bn`, and ReLU, `NAME_relu`: what a pre-activated block begins with."""
    return layers.ReLU(name=f"{name}_relu")(batch_norm(x, f"{name}_bn"))


def relu6(name: str) -> tf_keras.layers.Layer:
    """ReLU cut off at 6, the activation of MobileNets."""
    return layers.ReLU(6.0, name=name)


def conv(x: Tensor, filters: int, kernel: int, name: str, stride: int = 1) -> Tensor:
    """Convolution with same padding and without bias, for a batch norm somewhere behind it."""
    return layers.Conv2D(
        filters,
        kernel,
        strides=stride,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=name,
    )(x)


def conv_bn(
    x: Tensor,
    filters: int,
    kernel: int,
    name: str,
    *,
    stride: int = 1,
    activation: tf_keras.layers.Layer | None = None,
) -> Tensor:
    """Convolution without bias, `NAME`, batch norm, `NAME_bn`, and the activation layer if any."""
    x = batch_norm(conv(x, filters, kernel, name, stride), f"{name}_bn")
    return x if activation is None else activation(x)


def depthwise_bn(
    x: Tensor,
    kernel: int,
    name: str,
    *,
    stride: int = 1,
    activation: tf_keras.layers.Layer | None = None,
) -> Tensor:
    """Depthwise convolution without bias, `NAME`, batch norm, `NAME_bn`, and the activation."""
    x = layers.DepthwiseConv2D(
        kernel,
        strides=stride,
        padding="same",
        use_bias=False,
        depthwise_initializer="he_normal",
        name=name,
    )(x)
    x = batch_norm(x, f"{name}_bn")
    return x if activation is None else activation(x)


def caffe_max_pool(x: Tensor, name: str) -> Tensor:
    """3×3 max-pool with stride 2 whose output size is rounded up, as Caffe's is.

    The last, partial window counts: n pixels become ⌈(n − 3) / 2⌉ + 1.
    """
    # For even n that is "same" padding, which then adds one cell behind the last; for odd n
    # "valid" is exact. Where only one side is even each axis has its own pool: a maximum over 3×3
    # is one over rows of one over columns.
    rows, columns = ("valid" if n % 2 else "same" for n in x.shape[1:3])
    if rows == columns:
        return layers.MaxPooling2D(3, 2, padding=rows, name=name)(x)
    x = layers.MaxPooling2D((3, 1), (2, 1), padding=rows, name=f"{name}_rows")(x)
    return layers.MaxPooling2D((1, 3), (1, 2), padding=columns, name=name)(x)


def classifier(x: Tensor, classes: int, dropout: float) -> Tensor:
    """Global average pool, dropout where its rate is above 0, and a dense layer to the logits.

    The logits are float32 also under mixed precision, where the loss needs it.
    """
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    if dropout:
        x = layers.Dropout(dropout, name="dropout")(x)
    return layers.Dense(classes, dtype="float32", name="classifier")(x)
