"""Scores a network with one layer changed at a time: sparsity, clusters or rank."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
import tf_keras

from zoo.compression import kernels
from zoo.compression.cluster import clustered
from zoo.compression.rank_selection import Spectrum
from zoo.compression.sensitivity.proposal import ScanPoint
from zoo.io.log import Log
from zoo.stats import entropy_bits

_BATCH = 500
_INT8 = 127


@dataclass(frozen=True)
class ScanKind:
    """Parameters of one kind of scan.

    Attributes:
        plan: `what` of a plan for `scripts.compress`.
        levels: The scale, from mild to strong.
        change: Maps (kernel, level) to the changed kernel, the value for a plan and the coded size
            in bytes.
        ends: Whether the uniform recipe includes the first convolution and the classifier.
    """

    plan: str
    levels: tuple[float, ...]
    change: Callable[[np.ndarray, float], tuple[np.ndarray, float, float]]
    ends: bool


def int8_bytes(kernel: np.ndarray) -> float:
    """Returns the coded bytes of a kernel in int8, quantized per filter as by `scripts.convert`."""
    largest = np.abs(kernel).reshape(-1, kernel.shape[-1]).max(axis=0)
    return entropy_bits(np.rint(kernel / np.where(largest > 0, largest, 1) * _INT8)) / 8


def _sparsity(kernel: np.ndarray, level: float) -> tuple[np.ndarray, float, float]:
    limit = np.quantile(np.abs(kernel), level)
    pruned = np.where(np.abs(kernel) <= limit, 0, kernel).astype(kernel.dtype)
    return pruned, level, int8_bytes(pruned)


def _bits(kernel: np.ndarray, level: float) -> tuple[np.ndarray, float, float]:
    count = 2 ** int(level)
    changed = clustered(kernel, count, zeros=False, per_channel=False)
    return changed, count, entropy_bits(changed) / 8 + 2 * np.unique(changed).size


def _rank(kernel: np.ndarray, level: float) -> tuple[np.ndarray, float, float]:
    matrix = kernel.reshape(-1, kernel.shape[-1])
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    full = Spectrum(values, matrix.size, sum(matrix.shape)).largest
    if full == 0:  # no rank saves weights
        return kernel, 0, int8_bytes(kernel)
    rank = max(1, round(level * full))
    changed = ((left[:, :rank] * values[:rank]) @ right[:rank]).reshape(kernel.shape)
    share = rank * sum(matrix.shape) / matrix.size
    return changed.astype(kernel.dtype), rank, int8_bytes(kernel) * share


SCAN_KINDS: dict[str, ScanKind] = {
    "sparsity": ScanKind("sparsity", (0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95), _sparsity, ends=False),
    "bits": ScanKind("clusters", (7, 6, 5, 4, 3, 2, 1), _bits, ends=True),
    "rank": ScanKind("rank", (0.9, 0.75, 0.5, 0.35, 0.25, 0.15, 0.1), _rank, ends=False),
}


class Scan:
    """A trained network, scored on labeled images with one or more layers changed.

    Args:
        model: Unwrapped network; its weights are changed for scoring and then restored.
        images: Normalized images, (n, height, width, channels).
        labels: Integer class labels, (n,).
    """

    def __init__(self, model: tf_keras.Model, images: np.ndarray, labels: np.ndarray):
        self._variables = kernels.variables(model)
        self.layers = kernels.plain(model)
        self._images, self._labels = images, labels
        self._infer = tf.function(lambda batch: tf.nn.log_softmax(model(batch, training=False)))
        self._float = self._log_probabilities()
        self.accuracy, _ = self._score()

    def whole(self) -> dict[str, float]:
        """Returns layer name → coded int8 bytes of the unchanged layer."""
        return {name: int8_bytes(self._variables[name].numpy()) for name in self.layers}

    def points(self, kind: ScanKind, log: Log) -> list[ScanPoint]:
        """Scores the network for each layer at each level.

        Args:
            kind: Kind of scan.
            log: Called with a progress message per layer.
        """
        points = []
        for number, name in enumerate(self.layers, start=1):
            kernel = self._variables[name].numpy()
            for level in kind.levels:
                changed, value, size = kind.change(kernel, level)
                accuracy, nats = self._with({name: changed})
                points.append(ScanPoint(name, level, value, size, accuracy, nats))
            log(f"  {number}/{len(self.layers)} layers, {name}")
        return points

    def uniform(self, kind: ScanKind) -> Sequence[str]:
        """Returns the names of the layers that the uniform recipe changes."""
        return self.layers if kind.ends else self.layers[1:-1]

    def together(self, kind: ScanKind, levels: Mapping[str, float]) -> tuple[float, float]:
        """Returns accuracy (0 to 1) and divergence (nats) with several layers changed at once.

        Args:
            kind: Kind of scan.
            levels: Layer name → level.
        """
        return self._with(
            {
                name: kind.change(self._variables[name].numpy(), level)[0]
                for name, level in levels.items()
            }
        )

    def _with(self, changed: Mapping[str, np.ndarray]) -> tuple[float, float]:
        before = {name: self._variables[name].numpy() for name in changed}
        try:
            for name, values in changed.items():
                self._variables[name].assign(values)
            return self._score()
        finally:
            for name, values in before.items():
                self._variables[name].assign(values)

    def _score(self) -> tuple[float, float]:
        log_probabilities = self._log_probabilities()
        correct = log_probabilities.argmax(axis=1) == self._labels
        nats = (np.exp(self._float) * (self._float - log_probabilities)).sum(axis=1)
        return float(correct.mean()), float(nats.mean())

    def _log_probabilities(self) -> np.ndarray:
        parts = [
            self._infer(tf.constant(self._images[start : start + _BATCH])).numpy()
            for start in range(0, len(self._images), _BATCH)
        ]
        return np.concatenate(parts).astype(np.float64)
