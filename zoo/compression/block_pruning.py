"""Pruning by blocks of weights that lie side by side in the flatbuffer."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
import tf_keras

from zoo.compression import kernels


def blocks_to_keep(kernel: np.ndarray, block: tuple[int, int], sparsity: float) -> np.ndarray:
    """A mask of the kernel's shape: False in the blocks whose mean magnitude is the least.

    Blocks at the edge are smaller where the channels are no multiple of four.

    Args:
        kernel: (h, w, in, out) or (in, out).
        block: filters and input channels of one block.
        sparsity: share of the blocks that become zero, 0 to 1.
    """
    filters, inputs = block
    window = np.moveaxis(np.abs(kernel), -1, 0).reshape(kernel.shape[-1], -1, kernel.shape[-2])
    pad = [(0, -window.shape[0] % filters), (0, 0), (0, -window.shape[2] % inputs)]
    shape = (window.shape[0] + pad[0][1]) // filters, -1, (window.shape[2] + pad[2][1]) // inputs

    def total(values: np.ndarray) -> np.ndarray:
        parts = np.pad(values, pad).reshape(shape[0], filters, values.shape[1], shape[2], inputs)
        return parts.sum(axis=(1, 4))

    means = total(window) / total(np.ones_like(window))
    gone = np.argsort(means, axis=None, kind="stable")[: round(sparsity * means.size)]
    keep = np.ones(means.size, bool)
    keep[gone] = False
    mask = keep.reshape(means.shape).repeat(filters, axis=0).repeat(inputs, axis=2)
    mask = mask[: window.shape[0], :, : window.shape[2]]
    turned = mask.reshape(kernel.shape[-1], *kernel.shape[:-1])
    return np.ascontiguousarray(np.moveaxis(turned, 0, -1))


class Blocks(tf_keras.callbacks.Callback):
    """Sets more and more blocks to zero, on the same cubic as tfmot's schedule, and keeps them so.

    What is zero is read off the weights, so that a run that goes on needs no other state.

    Args:
        goals: layer name → share of its blocks that are zero in the end.
        block: filters and input channels of one block.
        end: the step, from 0, at which the goal is reached.
        frequency: steps between two changes of the masks.
    """

    def __init__(self, goals: dict[str, float], block: tuple[int, int], end: int, frequency: int):
        super().__init__()
        self._goals, self._block, self._end, self._frequency = goals, block, end, frequency
        self._masks: dict[str, tf.Variable] = {}

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Finds the kernels, and which of their weights are zero already."""
        found = kernels.variables(self.model)
        self._kernels = {name: found[name] for name in self._goals}
        begun = int(self.model.optimizer.iterations.numpy()) > 0
        for name, kernel in self._kernels.items():
            mask = kernel != 0 if begun else tf.ones_like(kernel, tf.bool)
            self._masks[name] = tf.Variable(mask, trainable=False)

        @tf.function
        def project() -> None:
            for name, kernel in self._kernels.items():
                kernel.assign(tf.where(self._masks[name], kernel, 0))

        self._project = project

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Changes the masks where it is time to; applies them."""
        step = int(self.model.optimizer.iterations.numpy()) - 1
        if step <= self._end and step % self._frequency == 0:
            share = 1 - 0.75 * (1 - step / self._end) ** 3
            for name, kernel in self._kernels.items():
                mask = blocks_to_keep(kernel.numpy(), self._block, share * self._goals[name])
                self._masks[name].assign(mask)
        self._project()
