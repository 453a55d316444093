"""Grouped shift without weights (Wu et al. 2018, https://arxiv.org/abs/1711.08141)."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

from zoo.errors import ZooError

# Up to this many taps one depthwise convolution is faster than two one-dimensional ones.
_LARGEST_KERNEL = 25


def shifts(
    channels: int, kernel_size: int | tuple[int, int], dilation: int = 1
) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Returns the shift of each channel: output[y, x] is input[y + dy, x + dx].

    This is the paper's assignment, in the order of the authors' public code. With an h×w kernel,
    channel c below ⌊channels / hw⌋·hw has dx = d·(c mod w − ⌊w/2⌋) and
    dy = d·(⌊c/w⌋ mod h − ⌊h/2⌋). The remaining channels don't move.

    Args:
        channels: Number of channels.
        kernel_size: Odd height and width of the neighborhood; one number for a square.
        dilation: d, pixels between two neighbors.

    Returns:
        dy and dx of each channel in pixels, int64 (channels, 2).

    Raises:
        ZooError: if a kernel size is not positive and odd, or the dilation or the number of
            channels is below 1.
    """
    height, width = (kernel_size,) * 2 if isinstance(kernel_size, int) else kernel_size
    if min(height, width) < 1 or height % 2 == 0 or width % 2 == 0 or dilation < 1 or channels < 1:
        raise ZooError(
            "invalid shift",
            expected="odd kernel sizes, at least 1 channel and a dilation of at least 1",
            got=f"kernel {height}×{width}, dilation {dilation}, {channels} channels",
        )
    c = np.arange(channels)
    dy = dilation * (c // width % height - height // 2)
    dx = dilation * (c % width - width // 2)
    moves = c < channels // (height * width) * (height * width)
    return np.where(moves[:, None], np.stack([dy, dx], axis=1), 0)


@tf_keras.saving.register_keras_serializable("zoo")
class Shift(tf_keras.layers.Layer):
    """Moves every channel by a fixed whole number of pixels; pixels outside are zero.

    (batch, h, w, c) → (batch, ⌈h/s⌉, ⌈w/s⌉, c), in the compute dtype. With stride s the output at i
    is the shifted input at s·i, as if a 1×1 convolution with that stride followed.

    Computed as a depthwise convolution with a constant one-hot kernel. This is exact in every
    dtype. Since no kernel gradient is needed, a training step is faster than with a trained
    depthwise convolution, and several times faster than with slices. As in any convolution, a NaN
    or infinity spreads to its neighbors.

    Args:
        kernel_size: Odd height and width of the neighborhood; one number for a square.
        dilation: Pixels between two neighbors.
        strides: Pixels between two outputs.
        **kwargs: Arguments of every layer.

    Raises:
        ZooError: as `shifts`, when the layer is built.
    """

    def __init__(
        self,
        kernel_size: int | tuple[int, int] = 3,
        dilation: int = 1,
        strides: int = 1,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        # A saved configuration has a list instead of the tuple.
        self.kernel_size = kernel_size if isinstance(kernel_size, int) else (*kernel_size,)
        self.dilation = dilation
        self.strides = strides

    def build(self, input_shape: tf.TensorShape) -> None:
        """Computes the shift of each channel."""
        self._table = shifts(input_shape[-1], self.kernel_size, self.dilation)
        super().build(input_shape)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Shifts feature maps: (batch, h, w, c) → (batch, ⌈h/s⌉, ⌈w/s⌉, c)."""
        x, padding = inputs, "SAME"
        table, reach = self._table, np.abs(self._table).max(axis=0)
        sizes = x.shape[1:3].as_list()
        if None in sizes and self.strides != 1:
            x = tf.pad(x, [[0, 0], *([r, r] for r in reach), [0, 0]])
            padding = "VALID"
            before, kernel_size = reach, 2 * reach + 1
        else:
            windows = [
                _same_window(size or 1, self.strides, r)
                for size, r in zip(sizes, reach, strict=True)
            ]
            before, kernel_size = np.transpose(windows)
        kernel = np.zeros((*kernel_size, len(table), 1), np.float32)
        kernel[*(table + before).T, np.arange(len(table)), 0] = 1
        kernels = [kernel]
        if self.strides == 1 and kernel_size.prod() > _LARGEST_KERNEL:
            kernels = [kernel.max(axis=1, keepdims=True), kernel.max(axis=0, keepdims=True)]
        strides = [1, self.strides, self.strides, 1]
        for one_hot in kernels:
            x = tf.nn.depthwise_conv2d(x, tf.constant(one_hot, x.dtype), strides, padding)
        return x

    def compute_output_shape(self, input_shape: tf.TensorShape) -> tf.TensorShape:
        """Returns (batch, ⌈h/s⌉, ⌈w/s⌉, c)."""
        return strided_shape(input_shape, self.strides)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that recreate the layer."""
        return {
            **super().get_config(),
            "kernel_size": self.kernel_size,
            "dilation": self.dilation,
            "strides": self.strides,
        }


def strided_shape(input_shape: tf.TensorShape, strides: int) -> tf.TensorShape:
    """Returns (batch, ⌈h/s⌉, ⌈w/s⌉, c) for an input (batch, h, w, c); unknown sizes stay None."""
    batch, height, width, channels = tf.TensorShape(input_shape).as_list()
    sizes = [None if size is None else -(-size // strides) for size in (height, width)]
    return tf.TensorShape([batch, *sizes, channels])


def _same_window(size: int, strides: int, reach: int) -> tuple[int, int]:
    # Number of pixels before pixel strides·i, and the shortest kernel for which "SAME" padding
    # covers `reach` pixels on both sides of it. An odd kernel with stride 2 would be centered on
    # pixel 2i + 1 of an even-sized input, and explicit padding is slower than a longer kernel.
    outputs = -(-size // strides)
    length = 2 * reach + 1
    while True:
        before = max((outputs - 1) * strides + length - size, 0) // 2
        if before >= reach and length - 1 - before >= reach:
            return before, length
        length += 1
