"""The weights that compression is about: kernels by the name of their layer, also in wrappers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import tensorflow as tf
import tf_keras

from zoo.layers.grouped import GroupedConv2D

_KERNELS = ("kernel", "depthwise_kernel")
# Exactly these, no other subclass.
_PLAIN = (tf_keras.layers.Conv2D, GroupedConv2D, tf_keras.layers.Dense)
_DENSE = tf_keras.layers.Dense


def layer_of(layer: tf_keras.layers.Layer) -> tf_keras.layers.Layer:
    """The layer itself, or the one that tfmot's wrapper holds."""
    return layer.layer if isinstance(layer, tf_keras.layers.Wrapper) else layer


def variables(model: tf_keras.Model) -> dict[str, tf.Variable]:
    """Layer name → the variable of its kernel, in the network's order; wrappers are looked through.

    A fake-quantized layer's own attribute is a tensor once it was called: the variable is found
    among the weights.
    """
    found: dict[str, tf.Variable] = {}
    for layer in model.layers:
        for weight in layer.weights:
            if weight.name.split("/")[-1].split(":")[0] in _KERNELS and weight.shape.rank >= 2:
                found[layer_of(layer).name] = weight
    return found


def values(model: tf_keras.Model) -> dict[str, np.ndarray]:
    """Layer name → its kernel's values now, copied."""
    return {name: np.array(variable) for name, variable in variables(model).items()}


def plain(model: tf_keras.Model) -> list[str]:
    """Names of the convolutions and dense layers, in order; depthwise ones hold few weights."""
    return [layer.name for layer in model.layers if type(layer) in _PLAIN]


def by_channel(kernel: np.ndarray, depthwise: bool) -> np.ndarray:
    """The kernel as a matrix (weights of a filter, filters).

    Args:
        kernel: (h, w, in, out), (h, w, channels, multiplier) or (in, out).
        depthwise: it is the second of these, of which each filter sees one channel.
    """
    if depthwise:
        return kernel.reshape(kernel.shape[0] * kernel.shape[1], -1)
    return kernel.reshape(-1, kernel.shape[-1])


@dataclass(frozen=True)
class Counts:
    """What the kernels hold: their `weights` in all, how many are `zeros`, the most values."""

    weights: int
    zeros: int
    most_values: int

    @property
    def sparsity(self) -> float:
        """Share of zeros, 0 to 1."""
        return self.zeros / max(1, self.weights)


def count(kernels: dict[str, np.ndarray]) -> Counts:
    """Counts zeros and distinct values other than zero in each kernel."""
    return Counts(
        weights=sum(k.size for k in kernels.values()),
        zeros=sum(int((k == 0).sum()) for k in kernels.values()),
        most_values=max((np.unique(k[k != 0]).size for k in kernels.values()), default=0),
    )


def zeros(model: tf_keras.Model) -> float:
    """Share of zeros among all convolution, depthwise and dense kernels, 0 to 1."""
    return count(values(model)).sparsity
