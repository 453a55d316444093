"""Who feeds whom in a functional Keras model, and the patterns that lowering looks for."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

layers = tf_keras.layers
Tensor = Any  # a symbolic Keras tensor; tf_keras has no type for it


class KerasGraph:
    """Who makes and who uses each tensor of a functional model.

    Attributes:
        nodes: calls of layers, each after those that it depends on.
        calls: layer → how often it is called.
    """

    def __init__(self, model: tf_keras.Model):
        depths = sorted(model._nodes_by_depth, reverse=True)
        self.nodes = [node for depth in depths for node in model._nodes_by_depth[depth]]
        self.calls: Counter[tf_keras.layers.Layer] = Counter(node.layer for node in self.nodes)
        self._maker = {id(t): node for node in self.nodes for t in tf.nest.flatten(node.outputs)}
        self._users: dict[int, list[Any]] = {}
        for node in self.nodes:
            for tensor in node.keras_inputs:
                self._users.setdefault(id(tensor), []).append(node)
        self._ends = {id(tensor) for tensor in model.outputs}

    def before(self, node: Any) -> Any:
        """The call that alone feeds this one, or None."""
        return self._maker.get(id(node.keras_inputs[0])) if len(node.keras_inputs) == 1 else None

    def only_user(self, node: Any) -> Any:
        """The call that alone uses what this one makes, or None."""
        users = self._users.get(id(node.outputs), [])
        return users[0] if len(users) == 1 and id(node.outputs) not in self._ends else None

    def hard_swishes(self) -> dict[int, Tensor]:
        """The id of each product x · relu6(x + 3) / 6 → x."""
        found = {}
        for node in self.nodes:
            if type(node.layer) is not layers.Multiply or len(node.keras_inputs) != 2:
                continue
            for x, gate in (node.keras_inputs, node.keras_inputs[::-1]):
                if self._is_gate(self._maker[id(gate)], x):
                    found[id(node)] = x
        return found

    def _is_gate(self, scale: Any, x: Tensor) -> bool:
        cut = self.before(scale)
        add = self.before(cut) if cut is not None else None
        return (
            add is not None
            and add.keras_inputs
            and add.keras_inputs[0] is x
            and _is_rescaling(scale.layer, 1 / 6, 0.0)
            and type(cut.layer) is layers.ReLU
            and (cut.layer.max_value, cut.layer.negative_slope, cut.layer.threshold) == (6, 0, 0)
            and _is_rescaling(add.layer, 1.0, 3.0)
        )

    def around(self, shift: Any) -> list[Any] | None:
        """The calls 1×1 convolution (, batch norm) (, ReLU), shift, convolution around a shift.

        None where something else stands there, or anyone else uses what is between.
        """
        chain = [shift]
        while type(chain[0].layer) is not layers.Conv2D:
            earlier = self.before(chain[0])
            allowed = layers.Conv2D, layers.BatchNormalization, layers.ReLU
            if earlier is None or type(earlier.layer) not in allowed:
                return None
            if self.only_user(earlier) is not chain[0]:
                return None
            chain.insert(0, earlier)
        chain.append(self.only_user(shift))
        if chain[-1] is None or any(self.calls[node.layer] != 1 for node in chain):
            return None
        convs = chain[0].layer, chain[-1].layer
        plain = all(type(conv) is layers.Conv2D and conv.groups == 1 for conv in convs)
        return chain if plain and convs[0].kernel_size == (1, 1) else None


def _is_rescaling(layer: tf_keras.layers.Layer, scale: float, offset: float) -> bool:
    if type(layer) is not layers.Rescaling:
        return False
    return bool(np.isclose(layer.scale, scale) and np.isclose(layer.offset, offset))
