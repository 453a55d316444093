"""Local response normalization, which tf_keras lacks."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

from zoo.errors import ZooError

_ROOTS = 0.75  # s ** −0.75 is rsqrt(s) · √rsqrt(s); delegates don't support general powers


@tf_keras.saving.register_keras_serializable("zoo")
class LocalResponseNormalization(tf_keras.layers.Layer):
    """Local response normalization across channels, as in Caffe's LRN layer.

    y[c] = x[c] / (k + alpha / size · Σ x[j]²) ** beta, where j runs over the `size` channels
    around c, and missing channels count as zero. Dividing alpha by `size` is Caffe's convention;
    TensorFlow's function and the AlexNet paper (section 3.3, with k = 2) multiply the sum by alpha
    itself.

    The sum is a 1×1 convolution whose kernel is a band matrix, and `beta` = 0.75 is computed with
    square roots. Delegates support these operators, but not TensorFlow's own for this layer. In
    int8 models the layer stays in float32 (`zoo.lowering.operator_forms`).

    Args:
        size: Number of channels in the window, odd.
        alpha: Factor of the mean square over the window.
        beta: Exponent.
        k: Constant added to the scaled mean square, above 0.
        **kwargs: Arguments of every layer.

    Raises:
        ZooError: if `size` is not positive and odd, or `k` is not above 0.
    """

    def __init__(
        self,
        size: int = 5,
        alpha: float = 1e-4,
        beta: float = 0.75,
        k: float = 1.0,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if size < 1 or size % 2 == 0:
            raise ZooError(
                "invalid window of local response normalization",
                where=self.name,
                expected="an odd number of channels",
                got=size,
            )
        if not k > 0:
            raise ZooError(
                "local response normalization would divide by zero",
                where=self.name,
                expected="k above 0",
                got=k,
            )
        self.size = size
        self.alpha = alpha
        self.beta = beta
        self.k = k

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Normalizes feature maps (batch, height, width, channels), in the compute dtype."""
        # With mean-subtracted 0–255 pixels, squares exceed float16's maximum of 65,504.
        x = tf.cast(inputs, tf.float32)
        channels = inputs.shape[-1]
        distance = np.abs(np.subtract.outer(np.arange(channels), np.arange(channels)))
        band = (distance <= self.size // 2).astype(np.float32) * (self.alpha / self.size)
        sums = tf.nn.conv2d(x * x, band[np.newaxis, np.newaxis], 1, "VALID")
        sums = tf.nn.bias_add(sums, np.full(channels, self.k, np.float32))
        return tf.cast(x * self._factor(sums), self.compute_dtype)

    def _factor(self, sums: tf.Tensor) -> tf.Tensor:
        if self.beta == _ROOTS:
            root = tf.math.rsqrt(sums)
            return root * tf.sqrt(root)
        return sums**-self.beta

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the input shape."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that recreate the layer."""
        return {
            **super().get_config(),
            "size": self.size,
            "alpha": self.alpha,
            "beta": self.beta,
            "k": self.k,
        }
