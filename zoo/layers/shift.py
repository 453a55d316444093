"""The grouped shift of Wu et al. 2018, https://arxiv.org/abs/1711.08141: it has no weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

from zoo.errors import ZooError

# The largest one-hot kernel that one depthwise convolution applies faster than two 1-D ones do.
_LARGEST_KERNEL = 25


def shifts(
    channels: int, kernel_size: int | tuple[int, int], dilation: int = 1
) -> np.ndarray[Any, np.dtype[np.int64]]:
    """How far each channel moves: output[y, x] is input[y + dy, x + dx].

    The paper's assignment, in the order of the authors' public code: with a kernel of h×w, channel
    c below ⌊channels / hw⌋·hw has dx = d·(c mod w − ⌊w/2⌋) and dy = d·((c ÷ w) mod h − ⌊h/2⌋); the
    channels left over stay, as all do where there are fewer than h·w.

    Args:
        channels: how many there are.
        kernel_size: odd height and width of the neighbourhood; one number for a square.
        dilation: d, pixels between two neighbors.

    Returns:
        (channels, 2) integers: dy and dx of each channel, in pixels.

    Raises:
        ZooError: an even or negative kernel size, or a dilation or a number of channels below 1.
    """
    height, width = (kernel_size,) * 2 if isinstance(kernel_size, int) else kernel_size
    if min(height, width) < 1 or height % 2 == 0 or width % 2 == 0 or dilation < 1 or channels < 1:
        raise ZooError(
            "impossible shift",
            expected="odd kernel sizes, a dilation and channels of at least 1",
            got=f"kernel {height}×{width}, dilation {dilation}, {channels} channels",
        )
    c = np.arange(channels)
    dy = dilation * (c // width % height - height // 2)
    dx = dilation * (c % width - width // 2)
    moves = c < channels // (height * width) * (height * width)
    return np.where(moves[:, None], np.stack([dy, dx], axis=1), 0)


@tf_keras.saving.register_keras_serializable("zoo")
class Shift(tf_keras.layers.Layer):
    """Moves every channel by its own whole number of pixels; zeros come in from outside.

    (batch, h, w, c) → (batch, ⌈h/s⌉, ⌈w/s⌉, c), in the compute dtype. With stride s the output at i
    is the shifted input at s·i, just as if a 1×1 convolution of that stride followed.

    Computed as a depthwise convolution with a constant one-hot kernel. That is exact in every
    dtype, and since no kernel gradient is needed, a training step is faster than with an ordinary
    depthwise convolution and several times faster than with slices. As in any convolution, a NaN or
    an infinity spreads to its neighbors.

    Args:
        kernel_size: odd height and width of the neighbourhood; one number for a square.
        dilation: pixels between two neighbors.
        strides: pixels between two outputs.

    Raises:
        ZooError: see `shifts`; when the layer is built.
    """

    def __init__(
        self,
        kernel_size: int | tuple[int, int] = 3,
        dilation: int = 1,
        strides: int = 1,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        # A saved configuration has a list in the tuple's place.
        self.kernel_size = kernel_size if isinstance(kernel_size, int) else (*kernel_size,)
        self.dilation = dilation
        self.strides = strides

    def build(self, input_shape: tf.TensorShape) -> None:
        """Makes the table of shifts for the number of channels."""
        self._table = shifts(input_shape[-1], self.kernel_size, self.dilation)
        super().build(input_shape)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Shifts a batch of feature maps."""
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
        """The input's, with height and width divided by the stride and rounded up."""
        return strided_shape(input_shape, self.strides)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "kernel_size": self.kernel_size,
            "dilation": self.dilation,
            "strides": self.strides,
        }


def strided_shape(input_shape: tf.TensorShape, strides: int) -> tf.TensorShape:
    """(batch, ⌈h/s⌉, ⌈w/s⌉, c) of (batch, h, w, c); unknown sizes stay unknown."""
    batch, height, width, channels = tf.TensorShape(input_shape).as_list()
    sizes = [None if size is None else -(-size // strides) for size in (height, width)]
    return tf.TensorShape([batch, *sizes, channels])


def _same_window(size: int, strides: int, reach: int) -> tuple[int, int]:
    # The least kernel length at which "SAME" padding leaves `reach` pixels on both sides of pixel
    # strides·i, and how many lie before it. An odd kernel with stride 2 would be centered on pixel
    # 2i + 1 of an even-sized input; explicit padding is slower than a wider kernel.
    outputs = -(-size // strides)
    length = 2 * reach + 1
    while True:
        before = max((outputs - 1) * strides + length - size, 0) // 2
        if before >= reach and length - 1 - before >= reach:
            return before, length
        length += 1
