"""Quantization-aware training of every network of the catalog.

The network is lowered to TFLite's builtin operators (`zoo.lowering`), and then every tensor that
the int8 flatbuffer will hold is rounded in the forward pass as TFLite rounds it (Jacob et al. 2018,
section 3, https://arxiv.org/abs/1712.05877), by tensorflow-model-optimization's layers. Where they
stand is decided here, from who feeds whom. tfmot's own rules know neither Multiply, PReLU,
Rescaling nor layers of ours, and batch normalization behind a convolution only; and its variants
for pruned and clustered networks lose zeros and clusters where a convolution has no batch norm.
What was pruned and clustered is kept by `zoo.compression.preserve` instead.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras
from tensorflow_model_optimization.python.core.quantization.keras.quantize_layer import (
    QuantizeLayer,
)
from tensorflow_model_optimization.python.core.quantization.keras.quantize_wrapper import (
    QuantizeWrapperV2,
)

from zoo import layers as own
from zoo.compression import qat_quantizers
from zoo.compression.interface import FineTuning, SchemeInput
from zoo.compression.preserve import Keep
from zoo.errors import ZooError
from zoo.lowering.keras_graph import KerasGraph
from zoo.lowering.network import lower

layers = tf_keras.layers
Tensor = Any  # a symbolic Keras tensor; tf_keras has no type for it

_CONVOLUTIONS = (layers.Conv2D, own.GroupedConv2D, layers.DepthwiseConv2D)
_WITH_KERNEL = (*_CONVOLUTIONS, layers.Dense)
# What TFLite gives the scale of its input: rounded values stay as they are.
_SAME_SCALE = (
    layers.InputLayer,
    layers.MaxPooling2D,
    layers.AveragePooling2D,
    layers.Reshape,
    layers.Flatten,
    layers.ZeroPadding2D,
    layers.Dropout,
    own.ChannelShuffle,
    own.ChannelSplit,
)
# What TFLite does not fuse a ReLU into; all else that comes before one is computed with it.
_UNFUSED = (
    *_SAME_SCALE,
    layers.GlobalAveragePooling2D,
    layers.Concatenate,
    layers.LeakyReLU,
    own.ChannelMean,
)
# The least range of an activation. At the input and the output it is so narrow that the converter
# refuses a network which was never trained.
_LEAST, _LEAST_AT_BORDER = 1e-3, 1e-6


def begin(start: SchemeInput) -> FineTuning:
    """Rounds as `for_qat` does; what earlier schemes made zero or one of few values stays so.

    Raises:
        ZooError: as of `for_qat`.
    """
    zeros, clusters = "prune" in start.scheme, "cluster" in start.scheme
    model = for_qat(start.model)
    # Of the copy, whose layers are not all the start's: lowering splits some.
    keep = (Keep.of(model, zeros, clusters),) if zeros or clusters else ()
    return FineTuning(
        model,
        ("quantization-aware training",),
        callbacks=keep,
        start=start.model,
    )


def for_qat(model: tf_keras.Model) -> tf_keras.Model:
    """A copy with int8's rounding in the forward pass, ready to be trained and then converted.

    Shifts become constant depthwise convolutions, a PReLU of one weight a leaky ReLU, and batch
    normalization that no convolution precedes a trained 1×1 depthwise convolution: learned shifts
    and those slopes are constants from now on. So the copy's structure depends on the weights; it
    is rebuilt from those that it started with. Local response normalization stays float32.

    Ranges of activations are empty until a first step; the converter refuses them so.

    Args:
        model: functional, without wrappers; its weights are copied.

    Raises:
        ZooError: it can't be lowered, has layers with weights that this does not know, or calls a
            layer several times.
    """
    return _Rounding(lower(model, integer=True, hard_swish=False)).run()


class Frozen(QuantizeWrapperV2):
    """A wrapper whose layer is a constant, such as a shift: no weight of the network.

    tfmot's own would train its kernel, and pruning and clustering would take it for one of theirs.
    """

    @property
    def trainable_weights(self) -> list[tf.Variable]:
        """None."""
        return []

    @property
    def non_trainable_weights(self) -> list[tf.Variable]:
        """The wrapper's own."""
        return list(self._non_trainable_weights)


class _Rounding:
    """Calls copies of a network's layers in the same order, and rounds where TFLite will."""

    def __init__(self, model: tf_keras.Model):
        self._model = model
        self._graph = KerasGraph(model)
        self._tensors: dict[int, Tensor] = {}

    def run(self) -> tf_keras.Model:
        for node in self._graph.nodes:
            if node.is_input:
                image = layers.Input(node.layer.input_shape[0][1:], name=node.layer.name)
                made = self._ranged(node, image)
            else:
                made = self._call(node)
            outputs = tf.nest.flatten(node.outputs)
            for old, new in zip(outputs, tf.nest.flatten(made), strict=True):
                self._tensors[id(old)] = new
        logits = self._tensors[id(self._model.outputs[0])]
        return tf_keras.Model(image, logits, name=self._model.name)

    def _call(self, node: Any) -> Any:
        if self._graph.calls[node.layer] > 1:
            raise self._refusal(node, "layers that are called once")
        copy = self._copy(node)
        if type(copy) in _WITH_KERNEL:
            copy = (QuantizeWrapperV2 if copy.trainable else Frozen)(copy, qat_quantizers.Kernel())
        arguments, keywords = tf.nest.map_structure(
            lambda value: self._tensors.get(id(value), value), (node.call_args, node.call_kwargs)
        )
        x = copy(*arguments, **keywords)
        return self._ranged(node, x) if self._is_rounded(node) else x

    def _copy(self, node: Any) -> tf_keras.layers.Layer:
        layer = node.layer
        if self._is_lone_norm(node):
            if len(layer.input_shape) != 4:
                raise self._refusal(node, "batch normalization of maps")
            return _scale_and_offset(layer)
        copy = type(layer).from_config(layer.get_config())
        if layer.weights:
            if type(layer) not in (*_WITH_KERNEL, layers.BatchNormalization):
                raise self._refusal(node, "convolutions, dense layers and batch normalization")
            copy.build(layer.input_shape)
            copy.set_weights(layer.get_weights())
        return copy

    def _is_lone_norm(self, node: Any) -> bool:
        if type(node.layer) is not layers.BatchNormalization:
            return False
        before = self._graph.before(node)
        folded = type(before.layer) in _CONVOLUTIONS and self._graph.only_user(before) is node
        return not folded

    def _is_rounded(self, node: Any) -> bool:
        """Whether what a layer puts out is a tensor of the flatbuffer with a scale of its own."""
        kind, user = type(node.layer), self._graph.only_user(node)
        if kind in _SAME_SCALE:
            return False
        if user is None:
            return True
        if type(user.layer) is layers.BatchNormalization:
            return self._is_lone_norm(user)
        if type(user.layer) is layers.Concatenate:  # its inputs have the scale of its output
            return False
        return not (_is_relu(user.layer) and kind not in _UNFUSED)

    def _ranged(self, node: Any, x: Tensor) -> Tensor:
        name = f"{node.layer.name}_range"
        if _activation(node.layer) == "sigmoid":
            return QuantizeLayer(qat_quantizers.Sigmoid(), name=name)(x)
        border = node.is_input or node.outputs is self._model.outputs[0]
        quantizer = qat_quantizers.ActivationQuantizer(_LEAST_AT_BORDER if border else _LEAST)
        return QuantizeLayer(quantizer, name=name)(x)

    def _refusal(self, node: Any, expected: str) -> ZooError:
        return ZooError(
            f"{self._model.name} can't be trained for int8",
            where=node.layer.name,
            expected=expected,
            got=type(node.layer).__name__,
            remedy="convert it with --precision=int8, which calibrates instead of training",
        )


def _activation(layer: tf_keras.layers.Layer) -> str | None:
    return layer.get_config()["activation"] if type(layer) is layers.Activation else None


def _is_relu(layer: tf_keras.layers.Layer) -> bool:
    """Whether TFLite fuses it into what comes before."""
    if type(layer) is layers.ReLU:
        cut = layer.max_value in (None, 6)
        return bool(cut and not layer.negative_slope and not layer.threshold)
    return _activation(layer) in ("relu", "linear")


def _scale_and_offset(norm: tf_keras.layers.BatchNormalization) -> tf_keras.layers.DepthwiseConv2D:
    """Batch normalization by its averages, as one operator with one scale for each channel."""
    gamma = norm.gamma.numpy() if norm.scale else 1.0
    beta = norm.beta.numpy() if norm.center else 0.0
    factor = gamma / np.sqrt(norm.moving_variance.numpy() + norm.epsilon)
    layer = layers.DepthwiseConv2D(1, name=norm.name)
    layer.build(norm.input_shape)
    offset = beta - norm.moving_mean.numpy() * factor
    layer.set_weights([factor[np.newaxis, np.newaxis, :, np.newaxis], offset])
    return layer
