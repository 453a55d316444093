"""Fine-tuning that keeps what an earlier scheme made: zeros stay zero, clusters stay clusters.

After each step a kernel is projected back. A weight that was zero is zero again, and the weights of
one cluster take their mean. For plain SGD the mean of the updated weights is the centroid moved by
the mean of their gradients: trained quantization (Han et al. 2016, https://arxiv.org/abs/1510.00149,
section 3), but for the sum in the gradient's place, which would tie a centroid's rate to how many
weights it has.

Which weights belong together is read off the weights that the earlier scheme left. It needs no
state in the checkpoint: a run that goes on derives it from its parent once more.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
import tf_keras

from zoo.compression import kernels
from zoo.errors import ZooError

MOST_CLUSTERS = 256


@dataclass(frozen=True, eq=False)
class _Kept:
    """What is kept of one kernel: either its zeros or its clusters.

    `mask` has the kernel's shape and is False where it stays zero. `ids` are the clusters' numbers,
    one a weight, flat; `alive` has one value a cluster, False for that of the zeros.
    """

    mask: np.ndarray | None = None
    ids: np.ndarray | None = None
    alive: np.ndarray | None = None


class Keep(tf_keras.callbacks.Callback):
    """Projects the kernels after each training step; make it by `Keep.of`.

    Kernels are found by their layer's name, also within tfmot's wrappers, so that the network that
    trains may be another one than the parent.
    """

    def __init__(self, kept: dict[str, _Kept]):
        super().__init__()
        self._kept = kept

    @classmethod
    def of(
        cls,
        parent: tf_keras.Model,
        zeros: bool,
        clusters: bool,
        only: Collection[str] | None = None,
    ) -> Keep:
        """Keeps what the weights of `parent`, as they are now, have.

        Args:
            parent: call this before a checkpoint is loaded into it.
            zeros: weights that are zero stay so.
            clusters: equal weights stay equal: within a kernel of at most 256 distinct values,
                in others within each filter.
            only: the layers whose clusters are kept; None is all.
        """
        found = {}
        depthwise = {x.name for x in parent.layers if _is_depthwise(kernels.layer_of(x))}
        for name, kernel in kernels.values(parent).items():
            tied = clusters and (only is None or name in only)
            kept = _clustered(kernel, zeros, name in depthwise) if tied else None
            if kept is None and zeros and not kernel.all():
                kept = _Kept(mask=kernel != 0)
            if kept is not None:
                found[name] = kept
        return cls(found)

    def set_model(self, model: tf_keras.Model) -> None:
        """Finds the kernels in the network that trains.

        Raises:
            ZooError: it lacks a layer that has something to keep.
        """
        super().set_model(model)
        own = kernels.variables(model)
        missing = sorted(self._kept.keys() - own.keys())
        if missing:
            raise ZooError(
                "the network lacks layers of the one it was made from", got=", ".join(missing)
            )
        self._project = _projection([(own[name], kept) for name, kept in self._kept.items()])

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Projects once, so that it holds also before the first step."""
        self._project()

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Projects what the optimizer has moved."""
        self._project()


def _is_depthwise(layer: tf_keras.layers.Layer) -> bool:
    return isinstance(layer, tf_keras.layers.DepthwiseConv2D)


def _clustered(kernel: np.ndarray, zeros: bool, depthwise: bool) -> _Kept | None:
    distinct, ids = np.unique(kernel, return_inverse=True)
    if distinct.size > MOST_CLUSTERS:
        matrix = kernels.by_channel(kernel, depthwise)
        columns, numbers, first = [], [], 0
        for channel in matrix.T:
            own, inverse = np.unique(channel, return_inverse=True)
            columns.append(own)
            numbers.append(inverse.ravel() + first)
            first += own.size
        distinct, ids = np.concatenate(columns), np.stack(numbers, axis=1)
    if distinct.size == kernel.size and kernel.all():  # nothing is shared
        return None
    alive = distinct != 0 if zeros else np.ones(distinct.size, bool)
    return _Kept(ids=ids.ravel().astype(np.intp), alive=alive)


def _projection(pairs: list[tuple[tf.Variable, _Kept]]) -> Callable[[], None]:
    masked = [(variable, tf.constant(kept.mask)) for variable, kept in pairs if kept.ids is None]
    tied = [
        (variable, kept.ids, np.bincount(kept.ids, minlength=kept.alive.size), kept.alive)
        for variable, kept in pairs
        if kept.ids is not None and kept.alive is not None
    ]

    @tf.function
    def mask() -> None:
        for variable, filled in masked:
            variable.assign(tf.where(filled, variable, 0))  # a product would leave -0.0

    def project() -> None:
        mask()
        # NumPy, since TensorFlow's sums over segments are several times slower, and its bincount
        # adds up in an order that depends on the threads.
        for variable, ids, counts, alive in tied:
            values = variable.numpy()
            means = np.bincount(ids, weights=values.ravel(), minlength=counts.size) / counts
            means = np.where(alive, means, 0).astype(values.dtype)
            variable.assign(means[ids].reshape(values.shape))

    return project
