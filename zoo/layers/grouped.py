"""Grouped convolution that trains fast on a CPU, where TensorFlow has no kernel for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import tensorflow as tf
import tf_keras

_WHOLE = ContextVar("whole", default=False)


@contextmanager
def whole_convolutions() -> Iterator[None]:
    """Traces grouped convolutions as one operator each: for converting, not for running."""
    token = _WHOLE.set(True)
    try:
        yield
    finally:
        _WHOLE.reset(token)


@tf_keras.saving.register_keras_serializable("zoo")
class GroupedConv2D(tf_keras.layers.Conv2D):
    """A `Conv2D` with `groups`, computed as a convolution for each group.

    tf_keras compiles it by XLA, which takes many times as long on a CPU. Arguments, weights and
    results are those of `Conv2D`, with the channels last.
    """

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """(batch, height, width, channels) to `compute_output_shape`'s."""
        if _WHOLE.get():
            y = self.convolution_op(inputs, self.kernel)
        else:
            parts = zip(
                tf.split(inputs, self.groups, -1), tf.split(self.kernel, self.groups, -1),
                strict=True,
            )  # fmt: skip
            y = tf.concat([self.convolution_op(x, kernel) for x, kernel in parts], -1)
        if self.use_bias:
            y = tf.nn.bias_add(y, self.bias)
        return y if self.activation is None else self.activation(y)

    def get_prunable_weights(self) -> list[tf.Variable]:
        """What tensorflow-model-optimization asks of layers that it does not know."""
        return [self.kernel]
