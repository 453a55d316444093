"""Layers without weights that average, split or reorder the channels of (b, h, w, c)."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras

from zoo.errors import ZooError

Shape = tuple[int | None, ...]


@tf_keras.saving.register_keras_serializable("zoo")
class ChannelMean(tf_keras.layers.Layer):
    """Mean over the channels: (b, h, w, c) → (b, h, w, 1), in the compute dtype."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Averages over the last axis and keeps it with size 1."""
        return tf.reduce_mean(inputs, axis=-1, keepdims=True)

    def compute_output_shape(self, input_shape: Shape) -> tf.TensorShape:
        """Returns the input shape with one channel."""
        return tf.TensorShape(input_shape)[:-1].concatenate(1)


@tf_keras.saving.register_keras_serializable("zoo")
class ChannelSplit(tf_keras.layers.Layer):
    """Splits the channels into two equal halves: (b, h, w, c) → two times (b, h, w, c / 2).

    Equal halves become TFLite's SPLIT, which XNNPACK supports; unequal ones would become SPLIT_V,
    which it does not support.
    """

    def build(self, input_shape: Shape) -> None:
        """Checks the number of channels.

        Raises:
            ZooError: if it is odd.
        """
        _check_divisible(self.name, input_shape[-1], 2)
        super().build(input_shape)

    def call(self, inputs: tf.Tensor) -> list[tf.Tensor]:
        """Returns the first and the second half of the channels."""
        return tf.split(inputs, 2, axis=-1)

    def compute_output_shape(self, input_shape: Shape) -> list[tf.TensorShape]:
        """Returns the input shape with half the channels, twice."""
        shape = tf.TensorShape(input_shape)
        return [shape[:-1].concatenate(shape[-1] // 2)] * 2


@tf_keras.saving.register_keras_serializable("zoo")
class ChannelShuffle(tf_keras.layers.Layer):
    """Interleaves groups of channels (ShuffleNet): a1 a2 b1 b2 → a1 b1 a2 b2 for two groups.

    Computed by reshape, transpose and reshape with at most 4 dimensions, the limit of phones' GPU
    delegates. If height and width are known, only the batch dimension is dynamic.

    Args:
        groups: Number of groups; it must divide the number of channels.
        **kwargs: Arguments of every layer.

    Raises:
        ZooError: if `groups` is below 1.
    """

    def __init__(self, groups: int, **kwargs: Any):
        super().__init__(**kwargs)
        if groups < 1:
            raise ZooError(
                "invalid number of channel groups",
                where=self.name,
                expected="at least 1",
                got=groups,
            )
        self.groups = groups

    def build(self, input_shape: Shape) -> None:
        """Checks the number of channels.

        Raises:
            ZooError: if it is not divisible by `groups`.
        """
        _check_divisible(self.name, input_shape[-1], self.groups)
        super().build(input_shape)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Reorders channels: output channel i·groups + g is input channel g·(c / groups) + i."""
        _, height, width, channels = inputs.shape
        group_size = channels // self.groups
        if height is None or width is None:
            pixels = tf.reduce_prod(tf.shape(inputs)[1:3])
            shape = tf.shape(inputs)
        else:
            pixels = height * width
            shape = (-1, height, width, channels)
        x = tf.reshape(inputs, (-1, pixels, self.groups, group_size))
        return tf.reshape(tf.transpose(x, (0, 1, 3, 2)), shape)

    def compute_output_shape(self, input_shape: Shape) -> tf.TensorShape:
        """Returns the input shape."""
        return tf.TensorShape(input_shape)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that recreate the layer."""
        return {**super().get_config(), "groups": self.groups}


def _check_divisible(layer: str, channels: int | None, parts: int) -> None:
    if channels is None or channels % parts:
        raise ZooError(
            "channels can't be divided evenly",
            where=layer,
            expected=f"a multiple of {parts} channels",
            got=channels,
        )
