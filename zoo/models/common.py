"""Helpers of all families: widths, input sizes, convolutions with batch norm, the classifier."""

from __future__ import annotations

from typing import Any

import tf_keras

from zoo.errors import ZooError

layers = tf_keras.layers
Tensor = Any  # a symbolic Keras tensor; tf_keras has no type for it

# Inputs with a smaller height or width are CIFAR-sized: ImageNet networks skip their first
# downsampling layers for them, while CIFAR networks add such layers for larger inputs.
SMALL_INPUT = 96


def is_small(input_shape: tuple[int, int, int]) -> bool:
    """Returns whether an input (height, width, channels) is CIFAR-sized."""
    return min(input_shape[:2]) < SMALL_INPUT


def check_input(input_shape: tuple[int, int, int], minimum: int, network: str) -> None:
    """Checks that the feature maps of an input don't vanish.

    Args:
        input_shape: (height, width, channels).
        minimum: Smallest height and width.
        network: Name of the network for the error message.

    Raises:
        ZooError: if height or width is below `minimum`, or there are no channels.
    """
    height, width, channels = input_shape
    if min(height, width) < minimum or channels < 1:
        raise ZooError(
            f"input too small for {network}",
            expected=f"at least {minimum}×{minimum}×1",
            got=f"{height}×{width}×{channels}",
        )


def scaled(channels: int, width: float) -> int:
    """Returns `channels` times `width`, rounded to a multiple of 8; unchanged at width 1.

    Multiples of 8 fill the vector registers of phones. As in MobileNetV2's code, rounding removes
    at most a tenth of the channels.
    """
    if width == 1:
        return channels
    exact = channels * width
    rounded = max(8, int(exact + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * exact else rounded


def batch_norm(x: Tensor, name: str) -> Tensor:
    """Batch normalization whose averages converge within one epoch of a small dataset."""
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-3, name=name)(x)


def bn_relu(x: Tensor, name: str) -> Tensor:
    """Batch norm `NAME_bn` and ReLU `NAME_relu`, the start of a pre-activation block."""
    return layers.ReLU(name=f"{name}_relu")(batch_norm(x, f"{name}_bn"))


def relu6(name: str) -> tf_keras.layers.Layer:
    """ReLU clipped at 6, the activation of MobileNets."""
    return layers.ReLU(6.0, name=name)


def conv(x: Tensor, filters: int, kernel: int, name: str, stride: int = 1) -> Tensor:
    """Convolution with same padding and without bias, for networks with batch norm."""
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
    """Convolution `NAME` without bias, batch norm `NAME_bn` and an optional activation layer."""
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
    """Depthwise convolution `NAME` without bias, batch norm `NAME_bn` and optional activation."""
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
    """3×3 max-pool with stride 2 and Caffe's rounding of the output size.

    Partial windows at the end count: n pixels become ⌈(n − 3) / 2⌉ + 1.
    """
    # This is "same" padding for even n, which then pads one pixel at the end, and "valid" for odd
    # n. If only one side is even, each axis has its own pool: a 3×3 maximum is separable.
    rows, columns = ("valid" if n % 2 else "same" for n in x.shape[1:3])
    if rows == columns:
        return layers.MaxPooling2D(3, 2, padding=rows, name=name)(x)
    x = layers.MaxPooling2D((3, 1), (2, 1), padding=rows, name=f"{name}_rows")(x)
    return layers.MaxPooling2D((1, 3), (1, 2), padding=columns, name=name)(x)


def classifier(x: Tensor, classes: int, dropout: float) -> Tensor:
    """Global average pool, dropout if its rate is above 0, and a dense layer to the logits.

    The logits are float32 even under mixed precision, as the loss requires.
    """
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    if dropout:
        x = layers.Dropout(dropout, name="dropout")(x)
    return layers.Dense(classes, dtype="float32", name="classifier")(x)
