"""Replacements for layers whose TFLite operator XNNPACK does not support.

Some are for integer models only, since XNNPACK supports the operator in float32.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

from zoo import layers as zoo_layers
from zoo.lowering.shift_forms import same_padding

layers = tf_keras.layers
Tensor = Any  # a symbolic Keras tensor; tf_keras has no type for it
Form = Callable[[Any, Tensor], Tensor]

# Suffix of the names of layers that stay in float32 in an int8 network, between a DEQUANTIZE and a
# QUANTIZE, which delegates support.
IN_FLOAT = "_in_float"
_POOL_TAPS = 25  # larger depthwise kernels are slower than an undelegated pool


def form(layer: tf_keras.layers.Layer, integer: bool) -> Form | None:
    """Returns the function (layer, input) → output that replaces a built layer, or None."""
    if isinstance(layer, zoo_layers.LocalResponseNormalization):
        return local_response_normalization
    if type(layer) is layers.PReLU and layer.alpha.shape.num_elements() == 1:
        if 0 <= layer.alpha.numpy().item() <= 1:
            return leaky_relu
        return two_slopes if integer else prelu
    if not integer:
        return None
    if type(layer) is layers.AveragePooling2D and layer.data_format == "channels_last":
        known = None not in layer.input_shape[1:3]
        return average if known and np.prod(layer.pool_size) <= _POOL_TAPS else None
    return None


def hard_swish(x: Tensor) -> Tensor:
    """Computes x · relu6(x + 3) / 6 in a form that the converter does not fuse into HARD_SWISH.

    It uses relu6(x + 3) / 6 = 1 − relu(1 − relu(x / 6 + 0.5)).
    """
    return x * (1.0 - tf.nn.relu(1.0 - tf.nn.relu(x * (1 / 6) + 0.5)))


def local_response_normalization(layer: zoo_layers.LocalResponseNormalization, x: Tensor) -> Tensor:
    """Keeps the layer in float32: squares span too many orders of magnitude for 8 bits."""
    return type(layer).from_config({**layer.get_config(), "name": layer.name + IN_FLOAT})(x)


def leaky_relu(layer: tf_keras.layers.PReLU, x: Tensor) -> Tensor:
    """Replaces a PReLU that has a single weight, from 0 to 1, by LEAKY_RELU.

    XNNPACK has no int8 PRELU, and tflite_runtime 2.14 computes wrong results for a PRELU with a
    single weight, since it reads one per channel. GPU engines compute LEAKY_RELU as the larger of x
    and the slope times x, if that is negative: right for these slopes only.
    """
    return layers.LeakyReLU(float(layer.alpha.numpy().item()), name=layer.name)(x)


def prelu(layer: tf_keras.layers.PReLU, x: Tensor) -> Tensor:
    """Replaces a PReLU that has a single weight by one with a weight per channel.

    For floats, where every engine computes PRELU; see `leaky_relu`.
    """
    slopes = tf_keras.initializers.Constant(layer.alpha.numpy().item())
    axes = list(range(1, len(x.shape) - 1))
    return layers.PReLU(alpha_initializer=slopes, shared_axes=axes, name=layer.name)(x)


def two_slopes(layer: tf_keras.layers.PReLU, x: Tensor) -> Tensor:
    """Replaces a PReLU that has a single weight a by x + relu((a − 1) · x), for integers.

    For a above 1 by x − relu((1 − a) · x). The ReLU fuses with the multiplication.
    """
    slope = float(layer.alpha.numpy().item())
    factor = slope - 1 if slope < 1 else 1 - slope
    below = layers.ReLU(name=f"{layer.name}_below")(
        layers.Rescaling(factor, name=f"{layer.name}_rest")(x)
    )
    join = layers.Add if slope < 1 else layers.Subtract
    return join(name=layer.name)([x, below])


def average(layer: tf_keras.layers.AveragePooling2D, x: Tensor) -> Tensor:
    """Replaces an average pool by a constant depthwise convolution.

    Windows that extend beyond the border are rescaled, since padding does not count in the mean.
    """
    window, strides = layer.pool_size, layer.strides
    mean = layers.DepthwiseConv2D(
        window,
        strides=strides,
        padding=layer.padding,
        use_bias=False,
        trainable=False,
        name=layer.name,
    )
    y = mean(x)
    taps = window[0] * window[1]
    mean.set_weights([np.full((*window, x.shape[-1], 1), 1 / taps, np.float32)])
    if layer.padding == "valid":
        return y
    rows, columns = (
        _inside(size, stride, length)
        for size, stride, length in zip(x.shape[1:3], strides, window, strict=True)
    )
    factor = taps / np.outer(rows, columns)
    if (factor == 1).all():
        return y
    return y * factor[np.newaxis, :, :, np.newaxis].astype(np.float32)


def _inside(size: int, stride: int, length: int) -> np.ndarray:
    """Returns how many pixels of each "SAME" window of `length` pixels are inside the map."""
    first = np.arange(-(-size // stride)) * stride - same_padding(size, stride, length)[0]
    return np.minimum(first + length, size) - np.maximum(first, 0)
