"""Quantization-aware training for all networks of the catalog.

The network is lowered to TFLite's builtin operators (`zoo.lowering`). Then the forward pass rounds
every tensor of the future int8 flatbuffer as TFLite does (Jacob et al. 2018, section 3,
https://arxiv.org/abs/1712.05877), using the layers of tensorflow-model-optimization (tfmot). This
module decides where to place them, from the graph of layers. tfmot's own rules do not support
Multiply, PReLU, Rescaling or our layers, and support batch normalization only after a convolution;
its variants for pruned and clustered networks lose zeros and clusters where a convolution has no
batch normalization. Here `zoo.compression.preserve` keeps zeros and clusters.
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

from zoo import layers as zoo_layers
from zoo.compression import qat_quantizers
from zoo.compression.interface import FineTuning, SchemeInput
from zoo.compression.preserve import Keep
from zoo.errors import ZooError
from zoo.lowering.keras_graph import KerasGraph
from zoo.lowering.network import lower

layers = tf_keras.layers
Tensor = Any  # a symbolic Keras tensor; tf_keras has no type for it

_CONVOLUTIONS = (layers.Conv2D, zoo_layers.GroupedConv2D, layers.DepthwiseConv2D)
_WITH_KERNEL = (*_CONVOLUTIONS, layers.Dense)
# Layers whose output has the scale of their input in TFLite, so rounded values stay unchanged.
_SAME_SCALE = (
    layers.InputLayer,
    layers.MaxPooling2D,
    layers.AveragePooling2D,
    layers.Reshape,
    layers.Flatten,
    layers.ZeroPadding2D,
    layers.Dropout,
    zoo_layers.ChannelShuffle,
    zoo_layers.ChannelSplit,
)
# Layers into which TFLite does not fuse a following ReLU; it fuses one into all others.
_UNFUSED = (
    *_SAME_SCALE,
    layers.GlobalAveragePooling2D,
    layers.Concatenate,
    layers.LeakyReLU,
    zoo_layers.ChannelMean,
)
# The minimum width of an activation range. At the input and the output it is so narrow that the
# converter rejects a network that was never trained.
_LEAST, _LEAST_AT_BORDER = 1e-3, 1e-6


def begin(start: SchemeInput) -> FineTuning:
    """Prepares the network with `for_qat`, and preserves the zeros and clusters of earlier schemes.

    Raises:
        ZooError: see `for_qat`.
    """
    zeros, clusters = "prune" in start.scheme, "cluster" in start.scheme
    model = for_qat(start.model)
    # From the copy, because lowering splits some layers of the original.
    keep = (Keep.of(model, zeros, clusters),) if zeros or clusters else ()
    return FineTuning(
        model,
        ("quantization-aware training",),
        callbacks=keep,
        start=start.model,
    )


def for_qat(model: tf_keras.Model) -> tf_keras.Model:
    """Returns a copy with int8 rounding in the forward pass, to be trained and then converted.

    A shift becomes a constant depthwise convolution, a PReLU with one weight becomes a leaky ReLU,
    and batch normalization without a preceding convolution becomes a trainable 1×1 depthwise
    convolution. Learned shifts and those PReLU slopes are constant from then on. The copy's
    structure therefore depends on the weights, and it must be rebuilt from the initial weights.
    Local response normalization stays in float32.

    Activation ranges are empty until the first training step; until then the converter rejects the
    network.

    Args:
        model: Functional network without wrappers; its weights are copied.

    Raises:
        ZooError: if the network can't be lowered, has an unsupported layer with weights, or calls a
            layer more than once.
    """
    return _Rounding(lower(model, integer=True, hard_swish=False)).run()


class Frozen(QuantizeWrapperV2):
    """Wrapper of a layer with a constant kernel, such as a shift.

    tfmot's wrapper would train the kernel, and pruning and clustering would treat it as one of the
    network's kernels.
    """

    @property
    def trainable_weights(self) -> list[tf.Variable]:
        """An empty list."""
        return []

    @property
    def non_trainable_weights(self) -> list[tf.Variable]:
        """The wrapper's own weights, without the kernel."""
        return list(self._non_trainable_weights)


class _Rounding:
    """Rebuilds a network from copies of its layers, with rounding wherever TFLite will round."""

    def __init__(self, model: tf_keras.Model):
        self._model = model
        self._graph = KerasGraph(model)
        self._tensors: dict[int, Tensor] = {}

    def run(self) -> tf_keras.Model:
        for node in self._graph.nodes:
            if node.is_input:
                image = layers.Input(node.layer.input_shape[0][1:], name=node.layer.name)
                result = self._ranged(node, image)
            else:
                result = self._call(node)
            outputs = tf.nest.flatten(node.outputs)
            for old, new in zip(outputs, tf.nest.flatten(result), strict=True):
                self._tensors[id(old)] = new
        logits = self._tensors[id(self._model.outputs[0])]
        return tf_keras.Model(image, logits, name=self._model.name)

    def _call(self, node: Any) -> Any:
        if self._graph.calls[node.layer] > 1:
            raise self._refusal(node, "a layer that is called once")
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
                raise self._refusal(node, "batch normalization of feature maps")
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
        previous = self._graph.before(node)
        folded = type(previous.layer) in _CONVOLUTIONS and self._graph.only_user(previous) is node
        return not folded

    def _is_rounded(self, node: Any) -> bool:
        """Returns whether a layer's output is a flatbuffer tensor with its own scale."""
        kind, user = type(node.layer), self._graph.only_user(node)
        if kind in _SAME_SCALE:
            return False
        if user is None:
            return True
        if type(user.layer) is layers.BatchNormalization:
            return self._is_lone_norm(user)
        if type(user.layer) is layers.Concatenate:  # its inputs share its output's scale
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
            remedy="use post-training quantization: convert it with --precision=int8",
        )


def _activation(layer: tf_keras.layers.Layer) -> str | None:
    return layer.get_config()["activation"] if type(layer) is layers.Activation else None


def _is_relu(layer: tf_keras.layers.Layer) -> bool:
    """Returns whether TFLite fuses the activation into the preceding operator."""
    if type(layer) is layers.ReLU:
        supported = layer.max_value in (None, 6)
        return bool(supported and not layer.negative_slope and not layer.threshold)
    return _activation(layer) in ("relu", "linear")


def _scale_and_offset(norm: tf_keras.layers.BatchNormalization) -> tf_keras.layers.DepthwiseConv2D:
    """Returns inference-mode batch normalization as a 1×1 depthwise convolution with bias."""
    gamma = norm.gamma.numpy() if norm.scale else 1.0
    beta = norm.beta.numpy() if norm.center else 0.0
    factor = gamma / np.sqrt(norm.moving_variance.numpy() + norm.epsilon)
    layer = layers.DepthwiseConv2D(1, name=norm.name)
    layer.build(norm.input_shape)
    offset = beta - norm.moving_mean.numpy() * factor
    layer.set_weights([factor[np.newaxis, np.newaxis, :, np.newaxis], offset])
    return layer
