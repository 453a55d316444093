"""Layers whose TFLite operator XNNPACK leaves out, in operators that it takes.

Some forms are for integers only, since in float32 XNNPACK has the operator itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

from zoo import layers as own
from zoo.lowering.shift_forms import same_padding

layers = tf_keras.layers
Tensor = Any  # a symbolic Keras tensor; tf_keras has no type for it
Form = Callable[[Any, Tensor], Tensor]

# A layer whose name ends so stays in float32 within an int8 network, between a DEQUANTIZE and a
# QUANTIZE, which delegates take.
IN_FLOAT = "_in_float"
_POOL_TAPS = 25  # larger depthwise kernels are slower than the pool outside the delegate


def form(layer: tf_keras.layers.Layer, integer: bool) -> Form | None:
    """The function (layer, input) → output that replaces a built layer, or None."""
    if isinstance(layer, own.LocalResponseNormalization):
        return local_response_normalization
    if type(layer) is layers.PReLU and layer.alpha.shape.num_elements() == 1:
        return leaky_relu
    if not integer:
        return None
    if type(layer) is layers.AveragePooling2D and layer.data_format == "channels_last":
        known = None not in layer.input_shape[1:3]
        return average if known and np.prod(layer.pool_size) <= _POOL_TAPS else None
    return None


def hard_swish(x: Tensor) -> Tensor:
    """x · relu6(x + 3) / 6, written so that the converter does not fuse it into HARD_SWISH.

    relu6(x + 3) / 6 = 1 − relu(1 − relu(x / 6 + 0.5)).
    """
    return x * (1.0 - tf.nn.relu(1.0 - tf.nn.relu(x * (1 / 6) + 0.5)))


def local_response_normalization(layer: own.LocalResponseNormalization, x: Tensor) -> Tensor:
    """The same in float32: squares span too many orders of magnitude for 8 bits."""
    return type(layer).from_config({**layer.get_config(), "name": layer.name + IN_FLOAT})(x)


def leaky_relu(layer: tf_keras.layers.PReLU, x: Tensor) -> Tensor:
    """A PReLU with one weight for the whole map, as LEAKY_RELU.

    XNNPACK has no PRELU in int8, and tflite_runtime 2.14 computes nonsense for a PRELU of one
    weight: it reads one for every channel.
    """
    return layers.LeakyReLU(float(layer.alpha.numpy().item()), name=layer.name)(x)


def average(layer: tf_keras.layers.AveragePooling2D, x: Tensor) -> Tensor:
    """An average pool: a constant depthwise convolution, and a factor where windows are cut off."""
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
    """How many pixels of each "SAME" window of `length` lie within the map."""
    first = np.arange(-(-size // stride)) * stride - same_padding(size, stride, length)[0]
    return np.minimum(first + length, size) - np.maximum(first, 0)
