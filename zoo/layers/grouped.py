"""Grouped convolution that trains fast on CPUs, for which TensorFlow has no kernel of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import tensorflow as tf
import tf_keras

_WHOLE = ContextVar("whole", default=False)


@contextmanager
def whole_convolutions() -> Iterator[None]:
    """Traces each grouped convolution as a single operator: for conversion, not for execution."""
    token = _WHOLE.set(True)
    try:
        yield
    finally:
        _WHOLE.reset(token)


@tf_keras.saving.register_keras_serializable("zoo")
class GroupedConv2D(tf_keras.layers.Conv2D):
    """A `Conv2D` with `groups`, computed as one convolution per group.

    tf_keras compiles grouped convolutions with XLA, which is many times slower on a CPU. Arguments,
    weights and results are those of `Conv2D` with channels last.
    """

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Convolves feature maps, (batch, height, width, channels)."""
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
        """Returns the weights to prune, for tensorflow-model-optimization."""
        return [self.kernel]
