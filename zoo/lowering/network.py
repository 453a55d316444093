"""Replaces layers without an efficient TFLite operator by equivalent builtin operators.

| layer | replacement | module |
|---|---|---|
| `Shift`, `SparseShift`, `ActiveShift` | constant depthwise convolutions | `shift_forms` |
| `LocalResponseNormalization` | itself, kept in float32 | `operator_forms` |
| hard-swish, integer models | operators that the converter does not fuse | `operator_forms` |
| PReLU with one weight from 0 to 1 | leaky ReLU | `operator_forms` |
| PReLU with another weight | a weight per channel; integer models: two slopes | `operator_forms` |
| average pool, integer models | constant depthwise convolution | `operator_forms` |
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

from zoo import layers as zoo_layers
from zoo.errors import ZooError
from zoo.lowering import operator_forms, shift_forms
from zoo.lowering.keras_graph import KerasGraph

layers = tf_keras.layers
Tensor = Any  # a symbolic Keras tensor; tf_keras has no type for it

_SHIFTS = (zoo_layers.Shift, zoo_layers.SparseShift, zoo_layers.ActiveShift)


def lower(model: tf_keras.Model, integer: bool = False, hard_swish: bool = True) -> tf_keras.Model:
    """Returns an equivalent network for inference whose layers all have builtin TFLite operators.

    Shifts become constants with their current values; the result can't train them.

    Args:
        model: Functional model with one input and one output of static size; it is not changed.
        integer: Whether the result will be quantized to integers, for which other forms are faster.
        hard_swish: Whether to decompose hard-swishes of an integer model. False for
            quantization-aware training, whose fake-quantization of the parts prevents fusion.

    Returns:
        A model with copies of the weights and with the same name and input; `model` itself if there
        is nothing to lower.

    Raises:
        ZooError: if the model is not functional, has several inputs or outputs, contains a shift
            inside another layer or model, or has shifts of feature maps of unknown size.
    """
    if not getattr(model, "_is_graph_network", False):
        raise _refusal(model, "a functional model", type(model).__name__)
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise _refusal(
            model,
            "one input and one output",
            f"{len(model.inputs)} inputs, {len(model.outputs)} outputs",
        )
    graph = KerasGraph(model)
    nested = [
        layer.name
        for layer in model.submodules
        if isinstance(layer, _SHIFTS) and layer not in graph.calls
    ]
    if nested:
        raise _refusal(
            model, "shift layers at the top level of the model", f"{nested[0]} inside another layer"
        )
    swishes = graph.hard_swishes() if integer and hard_swish else {}
    if not swishes and not any(
        isinstance(layer, _SHIFTS) or operator_forms.form(layer, integer) for layer in graph.calls
    ):
        return model
    return _Lowering(model, graph, swishes, integer).run()


class _Lowering:
    """Rebuilds a network: calls copies of its layers, or their replacements, in the same order."""

    def __init__(
        self, model: tf_keras.Model, graph: KerasGraph, swishes: dict[int, Tensor], integer: bool
    ):
        self._model = model
        self._graph = graph
        self._swishes = swishes
        self._integer = integer
        self._copies: dict[tf_keras.layers.Layer, tf_keras.layers.Layer] = {}
        self._tensors: dict[int, Tensor] = {}
        self._skipped: set[int] = set()
        # Layer → order of its input channels, if it differs from the original.
        self._orders: dict[tf_keras.layers.Layer, np.ndarray] = {}
        self._splits: dict[int, list[Any]] = {}
        self._calls_done: Counter[tf_keras.layers.Layer] = Counter()

    def run(self) -> tf_keras.Model:
        for node in self._graph.nodes:
            self._plan_split(node)
        for node in self._graph.nodes:
            outputs = self._call(node)
            originals = tf.nest.flatten(node.outputs)
            for old, new in zip(originals, tf.nest.flatten(outputs), strict=True):
                self._tensors[id(old)] = new
        for layer, copy in self._copies.items():
            weights = layer.get_weights()
            if layer in self._orders:
                weights[0] = weights[0][:, :, self._orders[layer]]
            copy.set_weights(weights)
        ends = [self._tensors[id(t)] for t in (*self._model.inputs, *self._model.outputs)]
        return tf_keras.Model(*ends, name=self._model.name)

    def _plan_split(self, node: Any) -> None:
        if not isinstance(node.layer, _SHIFTS) or isinstance(node.layer, zoo_layers.ActiveShift):
            return
        table, size = _table(node.layer), node.outputs.shape[1:3]
        chain = self._graph.around(node)
        stride = node.layer.strides
        if chain and shift_forms.worth_splitting(table, size, stride, self._integer):
            self._splits[id(node)] = chain
            self._skipped |= {id(skipped) for skipped in chain[:-2]}
            still = ~table.any(axis=1)
            self._orders[chain[-1].layer] = np.argsort(still, kind="stable")

    def _call(self, node: Any) -> Any:
        layer = node.layer
        if node.is_input:
            return layers.Input(layer.input_shape[0][1:], name=layer.name, dtype=layer.dtype)
        inputs = [self._tensors[id(t)] for t in node.keras_inputs]
        if id(node) in self._skipped:
            return inputs[0]
        if id(node) in self._splits:
            return self._split(self._splits[id(node)], inputs[0])
        if id(node) in self._swishes:
            return operator_forms.hard_swish(self._tensors[id(self._swishes[id(node)])])
        if isinstance(layer, _SHIFTS):
            return self._shift(layer, inputs[0], _table(layer))
        form = operator_forms.form(layer, self._integer)
        if form is not None and self._graph.calls[layer] == 1:
            return form(layer, inputs[0])
        if layer not in self._copies:
            self._copies[layer] = layer.__class__.from_config(layer.get_config())
        arguments, keywords = tf.nest.map_structure(
            lambda value: self._tensors.get(id(value), value), (node.call_args, node.call_kwargs)
        )
        return self._copies[layer](*arguments, **keywords)

    def _shift(self, layer: tf_keras.layers.Layer, x: Tensor, table: np.ndarray) -> Tensor:
        size = x.shape[1:3]
        if None in size:
            raise _refusal(
                self._model, "feature maps of known size", f"{layer.name} receives {x.shape}"
            )
        self._calls_done[layer] += 1
        call = f"_call{self._calls_done[layer]}" if self._calls_done[layer] > 1 else ""
        name = f"{layer.name}{call}"
        parts = shift_forms.steps(table, size, layer.strides, self._integer)
        for number, step in enumerate(parts):
            x = _apply(step, x, name if number == 0 else f"{name}_part{number + 1}")
        return x

    def _split(self, chain: list[Any], x: Tensor) -> Tensor:
        """Splits the layers before a shift: the moved channels, shifted, then the still ones."""
        shift = chain[-2].layer
        table = _table(shift)
        order = self._orders[chain[-1].layer]
        moved = int(table.any(axis=1).sum())
        parts = []
        for suffix, channels in (("_moved", order[:moved]), ("_still", order[moved:])):
            y = x
            for node in chain[:-2]:
                config = node.layer.get_config()
                config["name"] += suffix
                if "filters" in config:
                    config["filters"] = len(channels)
                copy = type(node.layer).from_config(config)
                y = copy(y)
                copy.set_weights([w[..., channels] for w in node.layer.get_weights()])
            parts.append(y)
        parts[0] = self._shift(shift, parts[0], table[order[:moved]])
        return layers.Concatenate(name=f"{shift.name}_concat")(parts)


def _apply(step: shift_forms.DepthwiseStep, x: Tensor, name: str) -> Tensor:
    paddings = []
    for size, length, start in zip(x.shape[1:3], step.kernel.shape, step.origin, strict=False):
        last = (-(-size // step.stride) - 1) * step.stride + start + (length - 1) * step.dilation
        paddings.append((-start, max(last - size + 1, 0)))
    same = [
        shift_forms.same_padding(size, step.stride, (length - 1) * step.dilation + 1)
        for size, length in zip(x.shape[1:3], step.kernel.shape, strict=False)
    ]
    if paddings != same:
        # XNNPACK fuses this into float convolutions; in int8 it is a copy of negligible cost.
        x = layers.ZeroPadding2D(paddings, name=f"{name}_pad")(x)
    convolution = layers.DepthwiseConv2D(
        step.kernel.shape[:2],
        strides=step.stride,
        padding="same" if paddings == same else "valid",
        dilation_rate=step.dilation,
        use_bias=False,
        trainable=False,
        name=name,
    )
    y = convolution(x)
    convolution.set_weights([step.kernel[..., np.newaxis]])
    return y


def _table(layer: tf_keras.layers.Layer) -> np.ndarray:
    """Returns dy and dx of every channel of a built shift layer, in pixels, (channels, 2)."""
    if isinstance(layer, zoo_layers.Shift):
        return zoo_layers.shifts(layer.input_shape[-1], layer.kernel_size, layer.dilation)
    if isinstance(layer, zoo_layers.SparseShift):
        return layer.integer_shifts
    return np.clip(layer.shift.numpy(), -layer.radius, layer.radius)


def _refusal(model: tf_keras.Model, expected: str, got: str) -> ZooError:
    return ZooError(
        "this model can't be lowered",
        where=getattr(model, "name", None),
        expected=expected,
        got=got,
        remedy="build it with zoo.catalog.build, and convert it before wrapping it",
    )
