"""Kernels that compression works on, keyed by layer name; wrapped layers are included."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import tensorflow as tf
import tf_keras

from zoo.layers.grouped import GroupedConv2D

_KERNELS = ("kernel", "depthwise_kernel")
# Compared by exact type: DepthwiseConv2D is a subclass of Conv2D.
_PLAIN = (tf_keras.layers.Conv2D, GroupedConv2D, tf_keras.layers.Dense)


def layer_of(layer: tf_keras.layers.Layer) -> tf_keras.layers.Layer:
    """Returns the layer itself, or the layer inside a tfmot wrapper."""
    return layer.layer if isinstance(layer, tf_keras.layers.Wrapper) else layer


def variables(model: tf_keras.Model) -> dict[str, tf.Variable]:
    """Returns layer name → kernel variable, in network order; wrappers are unwrapped.

    Searches the weights, because the kernel attribute of a fake-quantized layer is a tensor once
    the layer has been called.
    """
    kernels: dict[str, tf.Variable] = {}
    for layer in model.layers:
        for weight in layer.weights:
            if weight.name.split("/")[-1].split(":")[0] in _KERNELS and weight.shape.rank >= 2:
                kernels[layer_of(layer).name] = weight
    return kernels


def values(model: tf_keras.Model) -> dict[str, np.ndarray]:
    """Returns layer name → copy of the kernel's current values."""
    return {name: np.array(variable) for name, variable in variables(model).items()}


def plain(model: tf_keras.Model) -> list[str]:
    """Returns the names of convolutions and dense layers, in network order.

    Depthwise convolutions are excluded because they hold few weights.
    """
    return [layer.name for layer in model.layers if type(layer) in _PLAIN]


def by_channel(kernel: np.ndarray, depthwise: bool) -> np.ndarray:
    """Reshapes a kernel to a matrix (weights per filter, filters).

    Args:
        kernel: Array of shape (height, width, in, out), (height, width, channels, multiplier) or
            (in, out).
        depthwise: Whether the kernel is depthwise, the second of these shapes, where each filter
            sees one channel.
    """
    if depthwise:
        return kernel.reshape(kernel.shape[0] * kernel.shape[1], -1)
    return kernel.reshape(-1, kernel.shape[-1])


@dataclass(frozen=True)
class Counts:
    """Statistics over several kernels.

    Attributes:
        weights: Total number of weights.
        zeros: Number of weights that are zero.
        most_values: Largest number of distinct nonzero values in one kernel.
    """

    weights: int
    zeros: int
    most_values: int

    @property
    def sparsity(self) -> float:
        """Share of zeros, 0 to 1."""
        return self.zeros / max(1, self.weights)


def count(kernels: dict[str, np.ndarray]) -> Counts:
    """Counts the weights, zeros and distinct nonzero values of kernels keyed by layer name."""
    return Counts(
        weights=sum(k.size for k in kernels.values()),
        zeros=sum(int((k == 0).sum()) for k in kernels.values()),
        most_values=max((np.unique(k[k != 0]).size for k in kernels.values()), default=0),
    )


def zeros(model: tf_keras.Model) -> float:
    """Returns the share of zeros in all convolution, depthwise and dense kernels, 0 to 1."""
    return count(values(model)).sparsity
