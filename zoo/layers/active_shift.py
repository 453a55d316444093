"""The active shift of Jeon & Kim 2018, https://arxiv.org/abs/1806.07370, and its common base."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras

from zoo.errors import ZooError
from zoo.layers.shift import strided_shape


def with_gradient(
    values: tf.Tensor, factor: tf.Tensor | float, normalize: bool = False
) -> tf.Tensor:
    """`values`, whose gradient is made unit length a row (zero stays zero) and then multiplied.

    Args:
        values: (rows, n) floats.
        factor: what the gradient is multiplied by, a scalar.
        normalize: whether to bring each row's gradient to unit length first.
    """

    @tf.custom_gradient
    def identity(x: tf.Tensor, by: tf.Tensor) -> tuple[tf.Tensor, Any]:
        def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, None]:
            if normalize:
                # By the largest entry first: the square of a tiny gradient would be zero.
                largest = tf.reduce_max(tf.abs(upstream), axis=1, keepdims=True)
                upstream = tf.math.divide_no_nan(upstream, largest)
                length = tf.sqrt(tf.reduce_sum(upstream**2, axis=1, keepdims=True))
                upstream = tf.math.divide_no_nan(upstream, length)
            return upstream * by, None

        return tf.identity(x), gradient

    return identity(values, tf.cast(factor, values.dtype))


def bilinear(fraction: tf.Tensor) -> tf.Tensor:
    """Weights of the four pixels around each channel's position.

    Args:
        fraction: (channels, 2), how far the position is below and right of the upper left pixel.

    Returns:
        (2, 2, channels, 1), a depthwise kernel.
    """
    rows, columns = tf.unstack(tf.stack([1 - fraction, fraction]), axis=2)
    return (rows[:, None] * columns[None])[..., None]


class LearnedShift(tf_keras.layers.Layer):
    """Base of the layers that learn how far each channel moves.

    The position s·i + shift is split into its floor and a fraction. Two depthwise convolutions with
    one-hot kernels of 2·radius + 1 rows and columns fetch the pixels at the floor, and one of 2×2,
    which has the stride, weighs the four pixels around the position. So the gradients of the shifts
    come from a 2×2 kernel's, and the cost hardly depends on the radius.

    Args:
        strides: pixels between two outputs: the output at i samples the input at s·i + shift.
        radius: the shifts are kept within ±radius pixels: by the optimizer after each update, as a
            weight constraint, and by the layer for values that were loaded. The papers set no
            bound.
        initial_range: the shifts start uniformly distributed within ± this many pixels.
        normalize_gradient: make the gradient of each channel's (dy, dx) unit length.
        learning_rate_multiplier: what the gradient of the shifts is multiplied by.

    Attributes:
        shift: (channels, 2) dy and dx in pixels; float32 also under mixed precision.

    Raises:
        ZooError: a stride below 1, or a radius below 1 or below the initial range.
    """

    def __init__(
        self,
        strides: int = 1,
        radius: int = 8,
        initial_range: float = 1.0,
        normalize_gradient: bool = True,
        learning_rate_multiplier: float = 0.01,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if strides < 1 or radius < 1 or not 0 <= initial_range <= radius:
            raise ZooError(
                "impossible shift",
                where=self.name,
                expected="a stride and a radius of at least 1, an initial range within the radius",
                got=f"stride {strides}, radius {radius}, initial range {initial_range}",
            )
        self.strides = strides
        self.radius = radius
        self.initial_range = initial_range
        self.normalize_gradient = normalize_gradient
        self.learning_rate_multiplier = learning_rate_multiplier

    def build(self, input_shape: tf.TensorShape) -> None:
        """Makes the weight."""
        self.shift = self.add_weight(
            name="shift",
            shape=(input_shape[-1], 2),
            initializer=tf_keras.initializers.RandomUniform(
                -self.initial_range, self.initial_range
            ),
            constraint=self._constrain,
            experimental_autocast=False,
        )
        super().build(input_shape)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Samples a batch of feature maps."""
        shift = with_gradient(self.shift, self._gradient_factor(), self.normalize_gradient)
        shift = tf.clip_by_value(shift, -self.radius, self.radius)
        corner = tf.stop_gradient(tf.floor(shift))
        # On CPUs TensorFlow's bfloat16 depthwise convolution can hang for kernels as wide as these;
        # moving whole pixels gives the same in float32.
        moving = tf.float32 if inputs.dtype == tf.bfloat16 else inputs.dtype
        one_hot = tf.one_hot(
            tf.cast(corner, tf.int32) + self.radius, 2 * self.radius + 1, axis=0, dtype=moving
        )
        # One more row and column, for the lower right neighbors of the last pixels.
        x = tf.pad(tf.cast(inputs, moving), [[0, 0], [0, 1], [0, 1], [0, 0]])
        x = tf.nn.depthwise_conv2d(x, one_hot[:, None, :, :1], [1, 1, 1, 1], "SAME")
        x = tf.nn.depthwise_conv2d(x, one_hot[None, :, :, 1:], [1, 1, 1, 1], "SAME")
        kernel = tf.cast(self._weights(shift, corner), inputs.dtype)
        x = tf.cast(x, inputs.dtype)
        return tf.nn.depthwise_conv2d(x, kernel, [1, self.strides, self.strides, 1], "VALID")

    def _weights(self, shift: tf.Tensor, corner: tf.Tensor) -> tf.Tensor:
        raise NotImplementedError

    def _gradient_factor(self) -> tf.Tensor | float:
        return self.learning_rate_multiplier

    def _constrain(self, shift: tf.Tensor) -> tf.Tensor:
        return tf.clip_by_value(shift, -self.radius, self.radius)

    def compute_output_shape(self, input_shape: tf.TensorShape) -> tf.TensorShape:
        """The input's, with height and width divided by the stride and rounded up."""
        return strided_shape(input_shape, self.strides)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "strides": self.strides,
            "radius": self.radius,
            "initial_range": self.initial_range,
            "normalize_gradient": self.normalize_gradient,
            "learning_rate_multiplier": self.learning_rate_multiplier,
        }


@tf_keras.saving.register_keras_serializable("zoo")
class ActiveShift(LearnedShift):
    """Moves every channel by a learned real-valued (dy, dx), bilinear, zeros outside.

    (batch, h, w, c) → (batch, ⌈h/s⌉, ⌈w/s⌉, c), in the compute dtype. At whole numbers the layer is
    exact and its gradient is the one to the right, as the authors' code rounds down.

    The gradient of each channel's shift is brought to unit length and multiplied by 0.01. Scaling
    the gradient equals a learning-rate multiplier for SGD, with momentum or without; optimizers
    that normalize gradients themselves, Adam say, undo it. The paper and the authors' models say
    0.01, the usage example of their README 0.001. The unit length is that of the whole batch's
    gradient, so that loss scaling (`mixed_float16` in `fit`) would shrink it by the loss scale: use
    `mixed_bfloat16`, or no normalization. The gradient of the inputs is always the true one.

    Weight decay must leave the shifts alone; `zoo.training.loop` sees to that.

    The arguments are those of `LearnedShift`.
    """

    def _weights(self, shift: tf.Tensor, corner: tf.Tensor) -> tf.Tensor:
        return bilinear(shift - corner)
