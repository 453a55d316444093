"""Sparse shift (Chen et al. 2019, https://arxiv.org/abs/1903.05285)."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

from zoo.layers.active_shift import LearnedShift, bilinear, with_gradient


@tf_keras.saving.register_keras_serializable("zoo")
class SparseShift(LearnedShift):
    """Moves every channel by a learned whole number of pixels, which is zero for most channels.

    (batch, h, w, c) → (batch, ⌈h/s⌉, ⌈w/s⌉, c), in the compute dtype. In the forward pass the
    shifts are rounded, so the output is exact without interpolation. In the backward pass the
    shifts get the bilinear gradient at their unrounded position (straight-through estimator) and
    the inputs get the gradient of the rounded shift. An L1 penalty drives the shifts towards zero.

    As in the authors' public code, and unlike in `ActiveShift`, the gradient is neither normalized
    nor scaled by default. Their ImageNet code starts from the nine directions of a 3×3 neighborhood
    and uses weight decay instead of the penalty; this layer is initialized like `ActiveShift` and
    has the paper's penalty.

    `freeze` rounds the shifts and ends their training, in the paper after half of the steps. From
    then on they have neither gradient nor penalty, and the weight constraint restores the frozen
    values in spite of the momentum that is left in the optimizer.

    Args:
        penalty: λ of the loss λ·Σ|shift|, summed over dy and dx of every channel.
        normalize_gradient: As in `LearnedShift`.
        learning_rate_multiplier: As in `LearnedShift`; it also applies to the penalty's gradient.
        **kwargs: Other arguments of `LearnedShift`.

    Attributes:
        frozen: 1 after `freeze` was called, else 0; saved as a non-trainable weight.
        kept: Shifts at the time of `freeze`; saved as a non-trainable weight.
    """

    def __init__(
        self,
        penalty: float = 5e-4,
        normalize_gradient: bool = False,
        learning_rate_multiplier: float = 1.0,
        **kwargs: Any,
    ):
        super().__init__(
            normalize_gradient=normalize_gradient,
            learning_rate_multiplier=learning_rate_multiplier,
            **kwargs,
        )
        self.penalty = penalty

    def build(self, input_shape: tf.TensorShape) -> None:
        """Creates the weights and the penalty."""
        super().build(input_shape)
        self.frozen = self.add_weight(
            name="frozen",
            shape=(),
            initializer="zeros",
            trainable=False,
            experimental_autocast=False,
        )
        self.kept = self.add_weight(
            name="kept",
            shape=self.shift.shape,
            initializer="zeros",
            trainable=False,
            experimental_autocast=False,
        )
        self.add_loss(self._loss)

    def freeze(self) -> None:
        """Rounds the shifts and stops their training. Further calls have no effect."""
        self.kept.assign(_rounded(self.shift))
        self.shift.assign(self.kept)
        self.frozen.assign(1.0)

    @property
    def integer_shifts(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """dy and dx used in the forward pass, in pixels, int64 (channels, 2)."""
        clipped = tf.clip_by_value(self.shift, -self.radius, self.radius)
        return _rounded(clipped).numpy().astype(np.int64)

    def _weights(self, shift: tf.Tensor, corner: tf.Tensor) -> tf.Tensor:
        smooth = bilinear(shift - corner)
        sharp = tf.stop_gradient(bilinear(tf.round(shift) - corner))
        # The difference is exactly zero but has the gradient of the bilinear weights.
        return sharp + (smooth - tf.stop_gradient(smooth))

    def _gradient_factor(self) -> tf.Tensor:
        return self.learning_rate_multiplier * (1 - self.frozen)

    def _constrain(self, shift: tf.Tensor) -> tf.Tensor:
        return tf.where(self.frozen > 0, self.kept, super()._constrain(shift))

    def _loss(self) -> tf.Tensor:
        shift = with_gradient(self.shift, self.learning_rate_multiplier)
        return self.penalty * (1 - self.frozen) * tf.reduce_sum(tf.abs(shift))

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that recreate the layer."""
        return {**super().get_config(), "penalty": self.penalty}


def _rounded(shift: tf.Tensor) -> tf.Tensor:
    # Avoids negative zeros, which would make equal shifts differ in their bytes.
    return tf.where(tf.abs(shift) <= 0.5, tf.zeros_like(shift), tf.round(shift))
