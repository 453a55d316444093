"""Layers that average, split or reorder channels. None has weights; all take (b, h, w, c)."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras

from zoo.errors import ZooError

Shape = tuple[int | None, ...]


@tf_keras.saving.register_keras_serializable("zoo")
class ChannelMean(tf_keras.layers.Layer):
    """The mean over channels: (b, h, w, c) → (b, h, w, 1), in the layer's compute dtype."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Averages `inputs` over its last axis, which stays with size 1."""
        return tf.reduce_mean(inputs, axis=-1, keepdims=True)

    def compute_output_shape(self, input_shape: Shape) -> tf.TensorShape:
        """The input's shape with one channel."""
        return tf.TensorShape(input_shape)[:-1].concatenate(1)


@tf_keras.saving.register_keras_serializable("zoo")
class ChannelSplit(tf_keras.layers.Layer):
    """Cuts the channels in two equal halves: (b, h, w, c) → two of (b, h, w, c / 2).

    Equal halves become TFLite's SPLIT, which XNNPACK takes; unequal ones would become SPLIT_V,
    which it leaves out.
    """

    def build(self, input_shape: Shape) -> None:
        """Checks the number of channels.

        Raises:
            ZooError: it is odd.
        """
        _check_divisible(self.name, input_shape[-1], 2)
        super().build(input_shape)

    def call(self, inputs: tf.Tensor) -> list[tf.Tensor]:
        """Returns the first and the second half of the channels."""
        return tf.split(inputs, 2, axis=-1)

    def compute_output_shape(self, input_shape: Shape) -> list[tf.TensorShape]:
        """Twice the input's shape with half its channels."""
        shape = tf.TensorShape(input_shape)
        return [shape[:-1].concatenate(shape[-1] // 2)] * 2


@tf_keras.saving.register_keras_serializable("zoo")
class ChannelShuffle(tf_keras.layers.Layer):
    """Interleaves groups of channels (ShuffleNet): a1 a2 b1 b2 → a1 b1 a2 b2 for two groups.

    A reshape, a transposition and a reshape of at most 4 dimensions, the most that phones' GPU
    delegates take. Nothing but the batch is unknown in their shapes where height and width are
    known.

    Args:
        groups: number of groups; it must divide the channels.
        **kwargs: those of every layer.

    Raises:
        ZooError: `groups` is below 1.
    """

    def __init__(self, groups: int, **kwargs: Any):
        super().__init__(**kwargs)
        if groups < 1:
            raise ZooError(
                "bad number of channel groups",
                where=self.name,
                expected="at least 1",
                got=groups,
            )
        self.groups = groups

    def build(self, input_shape: Shape) -> None:
        """Checks the number of channels.

        Raises:
            ZooError: `groups` does not divide it.
        """
        _check_divisible(self.name, input_shape[-1], self.groups)
        super().build(input_shape)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Output channel i·groups + g is input channel g·(c / groups) + i."""
        _, height, width, channels = inputs.shape
        each = channels // self.groups
        if height is None or width is None:
            pixels = tf.reduce_prod(tf.shape(inputs)[1:3])
            whole = tf.shape(inputs)
        else:
            pixels = height * width
            whole = (-1, height, width, channels)
        x = tf.reshape(inputs, (-1, pixels, self.groups, each))
        return tf.reshape(tf.transpose(x, (0, 1, 3, 2)), whole)

    def compute_output_shape(self, input_shape: Shape) -> tf.TensorShape:
        """The input's shape."""
        return tf.TensorShape(input_shape)

    def get_config(self) -> dict[str, Any]:
        """The arguments that rebuild the layer."""
        return {**super().get_config(), "groups": self.groups}


def _check_divisible(layer: str, channels: int | None, parts: int) -> None:
    if channels is None or channels % parts:
        raise ZooError(
            "channels can't be divided evenly",
            where=layer,
            expected=f"a multiple of {parts} channels",
            got=channels,
        )
