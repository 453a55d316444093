"""Weight clustering: each kernel has few distinct values (Han et al. 2016, section 3).

One-dimensional k-means finds the values. Its centroids start evenly spaced between the smallest and
the largest weight, which the paper found best because it preserves the few large weights. The
centroids are then trained by `zoo.compression.preserve`. tfmot's clustering is not used: it skips
depthwise convolutions, skips strided convolutions in per-channel mode, and makes each training step
two to three times slower.
"""

from __future__ import annotations

import numpy as np
import tf_keras

from zoo.compression import kernels, schemes
from zoo.compression.interface import FineTuning, SchemeInput, clone
from zoo.compression.preserve import MOST_CLUSTERS, Keep
from zoo.errors import ZooError

_ROUNDS = 1000


def k_means(values: np.ndarray, clusters: int) -> np.ndarray:
    """Replaces each value by its centroid, leaving at most `clusters` distinct values.

    Runs Lloyd's algorithm on sorted values, where each cluster is an interval; the result is
    deterministic. If a cluster becomes empty, for example in the gap left by pruning, the cluster
    with the largest error is split.

    Args:
        values: Floats of any shape.
        clusters: Maximum number of clusters, at least 1.

    Returns:
        Array of the same shape and dtype as `values`.
    """
    distinct, ids, counts = np.unique(values, return_inverse=True, return_counts=True)
    if distinct.size <= clusters:
        return values.copy()
    line = _Line(distinct.astype(np.float64), counts)
    centers = np.linspace(distinct[0], distinct[-1], clusters, dtype=np.float64)
    bounds = np.zeros(0, np.int64)
    for _ in range(_ROUNDS):
        inner = np.searchsorted(distinct, (centers[1:] + centers[:-1]) / 2)
        new = line.filled(np.unique([0, *inner, distinct.size]), clusters)
        if np.array_equal(new, bounds):
            break
        bounds, centers = new, line.means(new)
    nearest = np.repeat(np.arange(clusters), np.diff(bounds))
    return centers[nearest].astype(values.dtype)[ids].reshape(values.shape)


class _Line:
    """Sorted distinct values and their counts; intervals are given by their bounds."""

    def __init__(self, distinct: np.ndarray, counts: np.ndarray):
        self._distinct = distinct
        sums = (counts, distinct * counts, distinct**2 * counts)
        self._sums = [np.concatenate([[0.0], np.cumsum(s)]) for s in sums]

    def means(self, bounds: np.ndarray) -> np.ndarray:
        count, total, _ = (np.diff(s[bounds]) for s in self._sums)
        return total / count

    def filled(self, bounds: np.ndarray, clusters: int) -> np.ndarray:
        """Splits the interval with the largest error at its mean, until there are `clusters`."""
        while bounds.size <= clusters:
            count, total, squares = (np.diff(s[bounds]) for s in self._sums)
            errors = np.where(np.diff(bounds) > 1, squares - total**2 / count, -np.inf)
            worst = int(np.argmax(errors))
            middle = np.searchsorted(self._distinct, total[worst] / count[worst])
            middle = np.clip(middle, bounds[worst] + 1, bounds[worst + 1] - 1)
            bounds = np.insert(bounds, worst + 1, middle)
        return bounds


def clustered(
    kernel: np.ndarray, clusters: int, zeros: bool, per_channel: bool, depthwise: bool = False
) -> np.ndarray:
    """Returns the kernel with at most `clusters` distinct values, per kernel or per filter.

    Args:
        kernel: Kernel in Keras layout.
        clusters: Number of clusters, 2 to 256. With `zeros`, one of them is zero if the kernel has
            zeros.
        zeros: Whether zero weights stay zero; no other weights become zero.
        per_channel: Whether each filter is clustered separately.
        depthwise: Whether the kernel is depthwise; see `kernels.by_channel`.
    """
    if per_channel:
        matrix = kernels.by_channel(kernel, depthwise)
        filters = [_clustered(column, clusters, zeros) for column in matrix.T]
        return np.stack(filters, axis=1).reshape(kernel.shape)
    return _clustered(kernel, clusters, zeros)


def _clustered(values: np.ndarray, clusters: int, zeros: bool) -> np.ndarray:
    if not zeros or values.all():
        return k_means(values, clusters)
    result = np.zeros_like(values)
    filled = values != 0
    if filled.any():
        result[filled] = k_means(values[filled], clusters - 1)
    return result


def begin(start: SchemeInput) -> FineTuning:
    """Clusters the kernels of all convolutions and dense layers, or only the named layers.

    Depthwise convolutions hold few weights and are clustered only if they are named.

    Raises:
        ZooError: if the number of clusters is out of range.
    """
    recipe = start.recipe
    if not 2 <= recipe.cluster_count <= MOST_CLUSTERS:
        raise ZooError(
            "invalid number of clusters",
            where="--cluster_count",
            expected=f"2 to {MOST_CLUSTERS}",
            got=recipe.cluster_count,
        )
    zeros = "prune" in start.scheme
    model = clone(start.model)
    variables = kernels.variables(model)
    counts = schemes.chosen(
        start.per_layer, recipe.cluster_count, kernels.plain(model), list(variables)
    )
    for name, count in counts.items():
        depthwise = isinstance(model.get_layer(name), tf_keras.layers.DepthwiseConv2D)
        kernel = variables[name].numpy()
        variables[name].assign(
            clustered(kernel, int(count), zeros, recipe.cluster_per_channel, depthwise)
        )
    per = "filter" if recipe.cluster_per_channel else "kernel"
    return FineTuning(
        model,
        (f"clustering {len(counts)} layers, {_range(list(counts.values()))} values per {per}",),
        callbacks=(Keep.of(model, zeros, clusters=True, only=counts),),
        reached=lambda trained: (
            f"at most {most_values(trained, list(counts), recipe.cluster_per_channel)} distinct"
            f" values per {per} in {len(counts)} clustered layers"
        ),
    )


def _range(counts: list[float]) -> str:
    low, high = (int(f(counts, default=0)) for f in (min, max))
    return f"{low}" if low == high else f"{low} to {high}"


def most_values(model: tf_keras.Model, layers: list[str], per_channel: bool) -> int:
    """Returns the largest number of distinct values, including zero, in one kernel or filter.

    Args:
        model: Network to examine.
        layers: Names of the layers to count in.
        per_channel: Whether to count per filter instead of per kernel.
    """
    most = 0
    for name, kernel in kernels.values(model).items():
        if name not in layers:
            continue
        depthwise = isinstance(model.get_layer(name), tf_keras.layers.DepthwiseConv2D)
        parts = kernels.by_channel(kernel, depthwise).T if per_channel else [kernel]
        most = max(most, *(np.unique(part).size for part in parts))
    return most
