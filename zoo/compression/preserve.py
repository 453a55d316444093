"""Fine-tuning constraints that preserve an earlier scheme's zeros and clusters.

Each kernel is projected back after every step: a weight that was zero is reset to zero, and the
weights of a cluster are replaced by their mean. For plain SGD, the mean of the updated weights is
the centroid moved by the mean gradient of its weights. This is trained quantization (Han et al.
2016, https://arxiv.org/abs/1510.00149, section 3), except that the paper sums the gradients, which
makes a centroid's learning rate depend on the size of its cluster.

The zeros and clusters are derived from the parent's weights, so the checkpoint stores no extra
state: a resumed run derives them from its parent again.
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
class _Constraint:
    """What must stay of one kernel: either its zeros (`mask`) or its clusters (`ids`, `alive`).

    Attributes:
        mask: Bool array of the kernel's shape, False where a weight stays zero.
        ids: Cluster index of each weight, flattened.
        alive: Bool per cluster, False for the cluster of zeros.
    """

    mask: np.ndarray | None = None
    ids: np.ndarray | None = None
    alive: np.ndarray | None = None


class Keep(tf_keras.callbacks.Callback):
    """Callback that projects the kernels after each training step; create it with `Keep.of`.

    Kernels are matched by layer name, including those inside tfmot wrappers, so the trained network
    may differ from the parent.
    """

    def __init__(self, constraints: dict[str, _Constraint]):
        super().__init__()
        self._constraints = constraints

    @classmethod
    def of(
        cls,
        parent: tf_keras.Model,
        zeros: bool,
        clusters: bool,
        only: Collection[str] | None = None,
    ) -> Keep:
        """Creates the callback from the current weights of `parent`.

        Args:
            parent: Network with the weights to preserve, before a checkpoint is loaded into it.
            zeros: Whether zero weights stay zero.
            clusters: Whether equal weights stay equal: across the whole kernel if it has at most
                256 distinct values, otherwise within each filter.
            only: Names of the layers whose clusters are preserved; None for all layers.
        """
        constraints = {}
        depthwise = {x.name for x in parent.layers if _is_depthwise(kernels.layer_of(x))}
        for name, kernel in kernels.values(parent).items():
            tied = clusters and (only is None or name in only)
            constraint = _clustered(kernel, zeros, name in depthwise) if tied else None
            if constraint is None and zeros and not kernel.all():
                constraint = _Constraint(mask=kernel != 0)
            if constraint is not None:
                constraints[name] = constraint
        return cls(constraints)

    def set_model(self, model: tf_keras.Model) -> None:
        """Finds the constrained kernels in the network to train.

        Raises:
            ZooError: if the network lacks a constrained layer.
        """
        super().set_model(model)
        variables = kernels.variables(model)
        missing = sorted(self._constraints.keys() - variables.keys())
        if missing:
            raise ZooError("the network lacks layers of its parent", got=", ".join(missing))
        self._project = _projection(
            [(variables[name], constraint) for name, constraint in self._constraints.items()]
        )

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Projects once, so the constraints also hold before the first step."""
        self._project()

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Projects the updated kernels."""
        self._project()


def _is_depthwise(layer: tf_keras.layers.Layer) -> bool:
    return isinstance(layer, tf_keras.layers.DepthwiseConv2D)


def _clustered(kernel: np.ndarray, zeros: bool, depthwise: bool) -> _Constraint | None:
    distinct, ids = np.unique(kernel, return_inverse=True)
    if distinct.size > MOST_CLUSTERS:
        matrix = kernels.by_channel(kernel, depthwise)
        columns, numbers, first = [], [], 0
        for channel in matrix.T:
            unique, inverse = np.unique(channel, return_inverse=True)
            columns.append(unique)
            numbers.append(inverse.ravel() + first)
            first += unique.size
        distinct, ids = np.concatenate(columns), np.stack(numbers, axis=1)
    if distinct.size == kernel.size and kernel.all():  # no two weights are equal
        return None
    alive = distinct != 0 if zeros else np.ones(distinct.size, bool)
    return _Constraint(ids=ids.ravel().astype(np.intp), alive=alive)


def _projection(pairs: list[tuple[tf.Variable, _Constraint]]) -> Callable[[], None]:
    masked = [
        (variable, tf.constant(constraint.mask))
        for variable, constraint in pairs
        if constraint.ids is None
    ]
    tied = [
        (
            variable,
            constraint.ids,
            np.bincount(constraint.ids, minlength=constraint.alive.size),
            constraint.alive,
        )
        for variable, constraint in pairs
        if constraint.ids is not None and constraint.alive is not None
    ]

    @tf.function
    def mask() -> None:
        for variable, filled in masked:
            variable.assign(tf.where(filled, variable, 0))  # a product would produce -0.0

    def project() -> None:
        mask()
        # NumPy, because TensorFlow's segment sums are several times slower, and the summation order
        # of its bincount depends on the threads.
        for variable, ids, counts, alive in tied:
            values = variable.numpy()
            means = np.bincount(ids, weights=values.ravel(), minlength=counts.size) / counts
            means = np.where(alive, means, 0).astype(values.dtype)
            variable.assign(means[ids].reshape(values.shape))

    return project
