"""Active shift (Jeon & Kim 2018, https://arxiv.org/abs/1806.07370) and its base class."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras

from zoo.errors import ZooError
from zoo.layers.shift import strided_shape


def with_gradient(
    values: tf.Tensor, factor: tf.Tensor | float, normalize: bool = False
) -> tf.Tensor:
    """Returns `values` unchanged, with a modified gradient.

    Args:
        values: Float tensor (rows, n).
        factor: Scalar that multiplies the gradient.
        normalize: Whether to scale the gradient of each row to unit length first; a zero gradient
            stays zero.
    """

    @tf.custom_gradient
    def identity(x: tf.Tensor, by: tf.Tensor) -> tuple[tf.Tensor, Any]:
        def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, None]:
            if normalize:
                # Divide by the largest entry first: the square of a tiny gradient would underflow.
                largest = tf.reduce_max(tf.abs(upstream), axis=1, keepdims=True)
                upstream = tf.math.divide_no_nan(upstream, largest)
                length = tf.sqrt(tf.reduce_sum(upstream**2, axis=1, keepdims=True))
                upstream = tf.math.divide_no_nan(upstream, length)
            return upstream * by, None

        return tf.identity(x), gradient

    return identity(values, tf.cast(factor, values.dtype))


def bilinear(fraction: tf.Tensor) -> tf.Tensor:
    """Returns the bilinear weights of the four pixels around each channel's position.

    Args:
        fraction: Offset of the position from the upper left pixel, down and to the right,
            (channels, 2), 0 to 1.

    Returns:
        Depthwise kernel (2, 2, channels, 1).
    """
    rows, columns = tf.unstack(tf.stack([1 - fraction, fraction]), axis=2)
    return (rows[:, None] * columns[None])[..., None]


class LearnedShift(tf_keras.layers.Layer):
    """Base of the layers that learn a shift for each channel.

    The position s·i + shift is split into its floor and a fraction. Two depthwise convolutions with
    one-hot kernels of 2·radius + 1 rows and columns move the pixels at the floor, and a 2×2 one,
    which has the stride, weights the four pixels around the position. The gradient of the shifts
    is therefore that of a 2×2 kernel, and the cost hardly depends on the radius.

    Args:
        strides: Pixels between two outputs: the output at i samples the input at s·i + shift.
        radius: Bound of the shifts, in pixels; the papers have none. It is a weight constraint, and
            the layer also clips values that were loaded.
        initial_range: The initial shifts are uniformly distributed within ± this many pixels.
        normalize_gradient: Whether to scale the gradient of each channel's (dy, dx) to unit length.
        learning_rate_multiplier: Multiplies the gradient of the shifts.
        **kwargs: Arguments of every layer.

    Attributes:
        shift: dy and dx of each channel in pixels, (channels, 2); float32 even under mixed
            precision.

    Raises:
        ZooError: if the stride or the radius is below 1, or the radius is smaller than the initial
            range.
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
                "invalid shift",
                where=self.name,
                expected="stride and radius of at least 1, initial range of 0 to the radius",
                got=f"stride {strides}, radius {radius}, initial range {initial_range}",
            )
        self.strides = strides
        self.radius = radius
        self.initial_range = initial_range
        self.normalize_gradient = normalize_gradient
        self.learning_rate_multiplier = learning_rate_multiplier

    def build(self, input_shape: tf.TensorShape) -> None:
        """Creates the weight."""
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
        """Shifts feature maps: (batch, h, w, c) → (batch, ⌈h/s⌉, ⌈w/s⌉, c)."""
        shift = with_gradient(self.shift, self._gradient_factor(), self.normalize_gradient)
        shift = tf.clip_by_value(shift, -self.radius, self.radius)
        corner = tf.stop_gradient(tf.floor(shift))
        # On CPUs TensorFlow's bfloat16 depthwise convolution can hang for such wide kernels. Moving
        # whole pixels is exact in float32 too.
        moving = tf.float32 if inputs.dtype == tf.bfloat16 else inputs.dtype
        one_hot = tf.one_hot(
            tf.cast(corner, tf.int32) + self.radius, 2 * self.radius + 1, axis=0, dtype=moving
        )
        # One more row and column for the lower right neighbors of the last pixels.
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
        """Returns (batch, ⌈h/s⌉, ⌈w/s⌉, c)."""
        return strided_shape(input_shape, self.strides)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that recreate the layer."""
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
    """Moves every channel by a learned real-valued (dy, dx), with bilinear interpolation.

    (batch, h, w, c) → (batch, ⌈h/s⌉, ⌈w/s⌉, c), in the compute dtype; pixels outside are zero. At
    integer shifts the output is exact and the gradient is the right-hand derivative, since the
    authors' code rounds down.

    The gradient of each channel's shift is scaled to unit length and multiplied by 0.01. For SGD,
    with or without momentum, this equals a learning rate multiplier; optimizers that normalize
    gradients, for example Adam, cancel it. The paper and the authors' models use 0.01, the usage
    example in their README 0.001. The gradient is normalized after summation over the batch, so
    loss scaling (`mixed_float16` in `fit`) would shrink it by the loss scale: use `mixed_bfloat16`,
    or no normalization. The gradient of the inputs is not modified.

    The shifts must be excluded from weight decay, as in `zoo.training.loop`.

    The arguments are those of `LearnedShift`.
    """

    def _weights(self, shift: tf.Tensor, corner: tf.Tensor) -> tf.Tensor:
        return bilinear(shift - corner)
