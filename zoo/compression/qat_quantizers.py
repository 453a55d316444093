"""How weights and activations are rounded in training: as TFLite's int8 rounds them.

tensorflow-model-optimization has the layers that apply these (`QuantizeWrapperV2`,
`QuantizeLayer`); its own quantizers differ from the int8 specification or from what short training
needs:

* Its depthwise kernels have one scale for all channels. Here each channel has one, as in the int8
  specification.
* Its weights' ranges are variables, one step behind the weights. Here they are a function of them.
* Its activations' ranges start at ±6 and need thousands of steps to leave it. Here the first batch
  sets them.

The specification: https://ai.google.dev/edge/litert/models/quantization_spec.
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

_DECAY = 0.99  # of the ranges' moving averages
_SIGMOID_END = 255 / 256  # TFLite's LOGISTIC puts out multiples of 1/256


class WeightQuantizer(Quantizer):
    """Symmetric, 255 levels; zero stays exactly zero.

    Args:
        filter_axes: how many of a kernel's last axes tell filters apart, each of which then has a
            scale of its own: 1, 2 for depthwise, 0 for one scale in all.
    """

    def __init__(self, filter_axes: int):
        self.filter_axes = filter_axes

    def build(self, tensor_shape: Any, name: str, layer: tf_keras.layers.Layer) -> dict[str, Any]:
        """Needs no variables."""
        return {}

    def __call__(
        self, inputs: tf.Tensor, training: bool, weights: dict[str, Any], **kwargs: Any
    ) -> tf.Tensor:
        """Rounds a kernel."""
        split = inputs.shape.rank - self.filter_axes
        size = tf.abs(tf.stop_gradient(inputs))
        if not self.filter_axes:
            most = _positive(tf.reduce_max(size))
            return tf.quantization.fake_quant_with_min_max_vars(
                inputs, -most, most, num_bits=8, narrow_range=True
            )
        filters = (*inputs.shape[:split], inputs.shape[split:].num_elements())
        most = _positive(tf.reduce_max(tf.reshape(size, filters), axis=list(range(split))))
        rounded = tf.quantization.fake_quant_with_min_max_vars_per_channel(
            tf.reshape(inputs, filters), -most, most, num_bits=8, narrow_range=True
        )
        return tf.reshape(rounded, inputs.shape)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"filter_axes": self.filter_axes}


def _positive(most: tf.Tensor) -> tf.Tensor:
    return tf.where(most > 0, most, tf.ones_like(most))  # a filter that was pruned away


class ActivationQuantizer(Quantizer):
    """Asymmetric, 256 levels, over a moving average of the batches' least and largest value.

    Args:
        least: what a narrower range is widened to. Where nothing varies, in a dead unit say,
            XNNPACK refuses the whole model for the scale's sake.
    """

    def __init__(self, least: float):
        self.least = least

    def build(self, tensor_shape: Any, name: str, layer: tf_keras.layers.Layer) -> dict[str, Any]:
        """Makes the range; empty until a batch was seen."""
        return {
            end: layer.add_weight(f"{name}_{end}", initializer="zeros", trainable=False)
            for end in ("min", "max")
        }

    def __call__(
        self, inputs: tf.Tensor, training: bool, weights: dict[str, Any], **kwargs: Any
    ) -> tf.Tensor:
        """Rounds activations; in training the batch moves the range."""
        low, high = weights["min"], weights["max"]
        if training:
            unseen = tf.equal(low, high)
            seen = (tf.minimum(tf.reduce_min(inputs), 0), tf.maximum(tf.reduce_max(inputs), 0))
            low, high = (
                end.assign(tf.where(unseen, new, _DECAY * end + (1 - _DECAY) * new))
                for end, new in zip((low, high), seen, strict=True)
            )
        return tf.quantization.fake_quant_with_min_max_vars(
            inputs, low, tf.maximum(high, low + self.least), num_bits=8
        )

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"least": self.least}


class Sigmoid(Quantizer):
    """The range that TFLite's LOGISTIC has by definition."""

    def build(self, tensor_shape: Any, name: str, layer: tf_keras.layers.Layer) -> dict[str, Any]:
        """Needs no variables."""
        return {}

    def __call__(
        self, inputs: tf.Tensor, training: bool, weights: dict[str, Any], **kwargs: Any
    ) -> tf.Tensor:
        """Rounds values from 0 to 1."""
        return tf.quantization.fake_quant_with_min_max_args(inputs, 0.0, _SIGMOID_END)

    def get_config(self) -> dict[str, Any]:
        """No arguments."""
        return {}


class Kernel(QuantizeConfig):
    """Rounds a layer's kernel; what the layer puts out is somebody else's."""

    def get_weights_and_quantizers(self, layer: tf_keras.layers.Layer) -> list[tuple[Any, Any]]:
        """The kernel."""
        # The converter transposes a dense kernel, and refuses to where it has several scales.
        axes = {layers.DepthwiseConv2D: 2, layers.Dense: 0}.get(type(layer), 1)
        return [(getattr(layer, _kernel_name(layer)), WeightQuantizer(axes))]

    def get_activations_and_quantizers(self, layer: tf_keras.layers.Layer) -> list[tuple[Any, Any]]:
        """None."""
        return []

    def set_quantize_weights(
        self, layer: tf_keras.layers.Layer, quantize_weights: list[tf.Tensor]
    ) -> None:
        """Puts the rounded kernel in the kernel's place."""
        setattr(layer, _kernel_name(layer), quantize_weights[0])

    def set_quantize_activations(
        self, layer: tf_keras.layers.Layer, quantize_activations: list[Any]
    ) -> None:
        """Nothing to do."""
        del layer, quantize_activations  # AutoGraph wants a statement

    def get_output_quantizers(self, layer: tf_keras.layers.Layer) -> list[Any]:
        """None."""
        return []

    def get_config(self) -> dict[str, Any]:
        """No arguments."""
        return {}


def _kernel_name(layer: tf_keras.layers.Layer) -> str:
    depthwise = isinstance(layer, layers.DepthwiseConv2D)
    return "depthwise_kernel" if depthwise else "kernel"
