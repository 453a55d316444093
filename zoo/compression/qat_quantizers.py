"""Fake quantization of weights and activations for training, matching TFLite's int8 scheme.

The layers of tensorflow-model-optimization (tfmot) apply these quantizers (`QuantizeWrapperV2`,
`QuantizeLayer`). tfmot's own quantizers deviate from the int8 specification or do not suit short
training:

* tfmot uses one scale per depthwise kernel. Here each channel has its own scale, as in the
  specification.
* tfmot stores weight ranges in variables that lag one step behind the weights. Here they are
  computed from the current weights.
* tfmot initializes activation ranges to ±6, which takes thousands of steps to correct. Here the
  first batch sets them.

Specification: https://ai.google.dev/edge/litert/models/quantization_spec.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras
from tensorflow_model_optimization.python.core.quantization.keras.quantize_config import (
    QuantizeConfig,
)
from tensorflow_model_optimization.python.core.quantization.keras.quantizers import Quantizer

layers = tf_keras.layers

_DECAY = 0.99  # of the moving averages of activation ranges
_SIGMOID_END = 255 / 256  # TFLite's LOGISTIC outputs multiples of 1/256


class WeightQuantizer(Quantizer):
    """Symmetric quantization of a kernel to 255 levels; zero stays exactly zero.

    Args:
        filter_axes: Number of trailing kernel axes that index the filters, each of which has its
            own scale: 1, 2 for depthwise kernels, or 0 for a single scale per kernel.
    """

    def __init__(self, filter_axes: int):
        self.filter_axes = filter_axes

    def build(self, tensor_shape: Any, name: str, layer: tf_keras.layers.Layer) -> dict[str, Any]:
        """Returns an empty dict: the quantizer has no variables."""
        return {}

    def __call__(
        self, inputs: tf.Tensor, training: bool, weights: dict[str, Any], **kwargs: Any
    ) -> tf.Tensor:
        """Returns the fake-quantized kernel."""
        split = inputs.shape.rank - self.filter_axes
        magnitude = tf.abs(tf.stop_gradient(inputs))
        if not self.filter_axes:
            largest = _positive(tf.reduce_max(magnitude))
            return tf.quantization.fake_quant_with_min_max_vars(
                inputs, -largest, largest, num_bits=8, narrow_range=True
            )
        shape = (*inputs.shape[:split], inputs.shape[split:].num_elements())
        largest = _positive(tf.reduce_max(tf.reshape(magnitude, shape), axis=list(range(split))))
        rounded = tf.quantization.fake_quant_with_min_max_vars_per_channel(
            tf.reshape(inputs, shape), -largest, largest, num_bits=8, narrow_range=True
        )
        return tf.reshape(rounded, inputs.shape)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"filter_axes": self.filter_axes}


def _positive(largest: tf.Tensor) -> tf.Tensor:
    return tf.where(largest > 0, largest, tf.ones_like(largest))  # all-zero filters


class ActivationQuantizer(Quantizer):
    """Asymmetric quantization to 256 levels, over a moving average of the batches' value ranges.

    Args:
        least: Minimum width of the range; narrower ranges are widened. Without it, a constant
            activation, for example of a dead unit, gets a scale so small that XNNPACK rejects the
            whole model.
    """

    def __init__(self, least: float):
        self.least = least

    def build(self, tensor_shape: Any, name: str, layer: tf_keras.layers.Layer) -> dict[str, Any]:
        """Creates the range variables; the range is empty until the first training batch."""
        return {
            end: layer.add_weight(f"{name}_{end}", initializer="zeros", trainable=False)
            for end in ("min", "max")
        }

    def __call__(
        self, inputs: tf.Tensor, training: bool, weights: dict[str, Any], **kwargs: Any
    ) -> tf.Tensor:
        """Returns fake-quantized activations; in training, the batch first updates the range."""
        low, high = weights["min"], weights["max"]
        if training:
            empty = tf.equal(low, high)
            batch_range = (
                tf.minimum(tf.reduce_min(inputs), 0),
                tf.maximum(tf.reduce_max(inputs), 0),
            )
            low, high = (
                end.assign(tf.where(empty, new, _DECAY * end + (1 - _DECAY) * new))
                for end, new in zip((low, high), batch_range, strict=True)
            )
        return tf.quantization.fake_quant_with_min_max_vars(
            inputs, low, tf.maximum(high, low + self.least), num_bits=8
        )

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"least": self.least}


class Sigmoid(Quantizer):
    """Quantization over the fixed output range of TFLite's LOGISTIC."""

    def build(self, tensor_shape: Any, name: str, layer: tf_keras.layers.Layer) -> dict[str, Any]:
        """Returns an empty dict: the quantizer has no variables."""
        return {}

    def __call__(
        self, inputs: tf.Tensor, training: bool, weights: dict[str, Any], **kwargs: Any
    ) -> tf.Tensor:
        """Returns the fake-quantized inputs, which lie in 0 to 1."""
        return tf.quantization.fake_quant_with_min_max_args(inputs, 0.0, _SIGMOID_END)

    def get_config(self) -> dict[str, Any]:
        """Returns an empty dict: the constructor takes no arguments."""
        return {}


class Kernel(QuantizeConfig):
    """Quantizes a layer's kernel; its output is left to a separate `QuantizeLayer`."""

    def get_weights_and_quantizers(self, layer: tf_keras.layers.Layer) -> list[tuple[Any, Any]]:
        """Returns the kernel and its quantizer."""
        # The converter transposes dense kernels, which it refuses to do with per-channel scales.
        axes = {layers.DepthwiseConv2D: 2, layers.Dense: 0}.get(type(layer), 1)
        return [(getattr(layer, _kernel_name(layer)), WeightQuantizer(axes))]

    def get_activations_and_quantizers(self, layer: tf_keras.layers.Layer) -> list[tuple[Any, Any]]:
        """Returns an empty list: activations are not quantized here."""
        return []

    def set_quantize_weights(
        self, layer: tf_keras.layers.Layer, quantize_weights: list[tf.Tensor]
    ) -> None:
        """Replaces the layer's kernel by the quantized one."""
        setattr(layer, _kernel_name(layer), quantize_weights[0])

    def set_quantize_activations(
        self, layer: tf_keras.layers.Layer, quantize_activations: list[Any]
    ) -> None:
        """Does nothing, since there are no quantized activations."""
        del layer, quantize_activations  # AutoGraph needs a statement in the body

    def get_output_quantizers(self, layer: tf_keras.layers.Layer) -> list[Any]:
        """Returns an empty list: outputs are not quantized here."""
        return []

    def get_config(self) -> dict[str, Any]:
        """Returns an empty dict: the constructor takes no arguments."""
        return {}


def _kernel_name(layer: tf_keras.layers.Layer) -> str:
    depthwise = isinstance(layer, layers.DepthwiseConv2D)
    return "depthwise_kernel" if depthwise else "kernel"
