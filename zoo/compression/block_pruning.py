"""Pruning of blocks of weights that are adjacent in the flatbuffer."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
import tf_keras

from zoo.compression import kernels


def blocks_to_keep(kernel: np.ndarray, block: tuple[int, int], sparsity: float) -> np.ndarray:
    """Returns a mask that is False in the blocks with the smallest mean magnitude.

    Blocks at the edge are smaller if the channels are not a multiple of the block size.

    Args:
        kernel: Kernel of shape (height, width, in, out) or (in, out).
        block: Filters and input channels per block.
        sparsity: Share of the blocks to prune, 0 to 1.

    Returns:
        Bool array of the kernel's shape.
    """
    filters, inputs = block
    window = np.moveaxis(np.abs(kernel), -1, 0).reshape(kernel.shape[-1], -1, kernel.shape[-2])
    pad = [(0, -window.shape[0] % filters), (0, 0), (0, -window.shape[2] % inputs)]
    shape = (window.shape[0] + pad[0][1]) // filters, -1, (window.shape[2] + pad[2][1]) // inputs

    def total(values: np.ndarray) -> np.ndarray:
        parts = np.pad(values, pad).reshape(shape[0], filters, values.shape[1], shape[2], inputs)
        return parts.sum(axis=(1, 4))

    means = total(window) / total(np.ones_like(window))
    pruned = np.argsort(means, axis=None, kind="stable")[: round(sparsity * means.size)]
    keep = np.ones(means.size, bool)
    keep[pruned] = False
    mask = keep.reshape(means.shape).repeat(filters, axis=0).repeat(inputs, axis=2)
    mask = mask[: window.shape[0], :, : window.shape[2]]
    transposed = mask.reshape(kernel.shape[-1], *kernel.shape[:-1])
    return np.ascontiguousarray(np.moveaxis(transposed, 0, -1))


class Blocks(tf_keras.callbacks.Callback):
    """Callback that prunes blocks on the same cubic schedule as tfmot, and keeps them zero.

    A resumed run reads the masks off the weights, so the checkpoint stores no extra state.

    Args:
        goals: Layer name → final share of zero blocks, 0 to 1.
        block: Filters and input channels per block.
        end: Step, counted from 0, at which the final share is reached.
        frequency: Steps between mask updates.
    """

    def __init__(self, goals: dict[str, float], block: tuple[int, int], end: int, frequency: int):
        super().__init__()
        self._goals, self._block, self._end, self._frequency = goals, block, end, frequency
        self._masks: dict[str, tf.Variable] = {}

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Finds the kernels and, in a resumed run, the weights that are already pruned."""
        variables = kernels.variables(self.model)
        self._kernels = {name: variables[name] for name in self._goals}
        resumed = int(self.model.optimizer.iterations.numpy()) > 0
        for name, kernel in self._kernels.items():
            mask = kernel != 0 if resumed else tf.ones_like(kernel, tf.bool)
            self._masks[name] = tf.Variable(mask, trainable=False)

        @tf.function
        def project() -> None:
            for name, kernel in self._kernels.items():
                kernel.assign(tf.where(self._masks[name], kernel, 0))

        self._project = project

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Updates the masks if the step is due, then applies them."""
        step = int(self.model.optimizer.iterations.numpy()) - 1
        if step <= self._end and step % self._frequency == 0:
            share = 1 - 0.75 * (1 - step / self._end) ** 3
            for name, kernel in self._kernels.items():
                mask = blocks_to_keep(kernel.numpy(), self._block, share * self._goals[name])
                self._masks[name].assign(mask)
        self._project()
