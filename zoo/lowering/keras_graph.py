"""The graph of a functional Keras model, and the patterns that lowering searches for."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

layers = tf_keras.layers
Tensor = Any  # a symbolic Keras tensor; tf_keras has no type for it


class KerasGraph:
    """Producers and consumers of the tensors of a functional model.

    Attributes:
        nodes: Layer calls in topological order.
        calls: Layer → number of its calls.
    """

    def __init__(self, model: tf_keras.Model):
        depths = sorted(model._nodes_by_depth, reverse=True)
        self.nodes = [node for depth in depths for node in model._nodes_by_depth[depth]]
        self.calls: Counter[tf_keras.layers.Layer] = Counter(node.layer for node in self.nodes)
        self._producer = {id(t): node for node in self.nodes for t in tf.nest.flatten(node.outputs)}
        self._consumers: dict[int, list[Any]] = {}
        for node in self.nodes:
            for tensor in node.keras_inputs:
                self._consumers.setdefault(id(tensor), []).append(node)
        self._outputs = {id(tensor) for tensor in model.outputs}

    def before(self, node: Any) -> Any:
        """Returns the call that produces the only input of `node`, or None if it has several."""
        return self._producer.get(id(node.keras_inputs[0])) if len(node.keras_inputs) == 1 else None

    def only_user(self, node: Any) -> Any:
        """Returns the only call that consumes the output of `node`, or None."""
        consumers = self._consumers.get(id(node.outputs), [])
        alone = len(consumers) == 1 and id(node.outputs) not in self._outputs
        return consumers[0] if alone else None

    def hard_swishes(self) -> dict[int, Tensor]:
        """Finds hard-swishes: id of the node of the product x · relu6(x + 3) / 6 → tensor x."""
        swishes = {}
        for node in self.nodes:
            if type(node.layer) is not layers.Multiply or len(node.keras_inputs) != 2:
                continue
            for x, gate in (node.keras_inputs, node.keras_inputs[::-1]):
                if self._is_gate(self._producer[id(gate)], x):
                    swishes[id(node)] = x
        return swishes

    def _is_gate(self, scale: Any, x: Tensor) -> bool:
        clip = self.before(scale)
        add = self.before(clip) if clip is not None else None
        return (
            add is not None
            and add.keras_inputs
            and add.keras_inputs[0] is x
            and _is_rescaling(scale.layer, 1 / 6, 0.0)
            and type(clip.layer) is layers.ReLU
            and (clip.layer.max_value, clip.layer.negative_slope, clip.layer.threshold) == (6, 0, 0)
            and _is_rescaling(add.layer, 1.0, 3.0)
        )

    def around(self, shift: Any) -> list[Any] | None:
        """Returns the chain 1×1 convolution, batch norm, ReLU, shift, convolution around a shift.

        Batch norm and ReLU are optional. None if the neighboring layers don't match, a layer of
        the chain is called more than once, or another call uses a tensor inside the chain.
        """
        chain = [shift]
        while type(chain[0].layer) is not layers.Conv2D:
            previous = self.before(chain[0])
            allowed = layers.Conv2D, layers.BatchNormalization, layers.ReLU
            if previous is None or type(previous.layer) not in allowed:
                return None
            if self.only_user(previous) is not chain[0]:
                return None
            chain.insert(0, previous)
        chain.append(self.only_user(shift))
        if chain[-1] is None or any(self.calls[node.layer] != 1 for node in chain):
            return None
        convs = chain[0].layer, chain[-1].layer
        ungrouped = all(type(conv) is layers.Conv2D and conv.groups == 1 for conv in convs)
        return chain if ungrouped and convs[0].kernel_size == (1, 1) else None


def _is_rescaling(layer: tf_keras.layers.Layer, scale: float, offset: float) -> bool:
    if type(layer) is not layers.Rescaling:
        return False
    return bool(np.isclose(layer.scale, scale) and np.isclose(layer.offset, offset))
