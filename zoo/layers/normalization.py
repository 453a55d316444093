"""Normalization that tf_keras lacks."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

from zoo.errors import ZooError

_ROOTS = 0.75  # s ** −0.75 is rsqrt(s) · √rsqrt(s); a general power has no delegated operator


@tf_keras.saving.register_keras_serializable("zoo")
class LocalResponseNormalization(tf_keras.layers.Layer):
    """Local response normalization across channels, as Caffe's LRN layer computes it.

    y[c] = x[c] / (k + alpha / size · Σ x[j]²) ** beta, where j runs over the `size` channels
    around c and channels outside count as zero. The division of alpha by `size` is Caffe's;
    TensorFlow's function and the AlexNet paper (section 3.3, with k = 2) multiply the sum by alpha
    itself.

    The sum is a 1×1 convolution whose kernel is a band matrix, and a `beta` of 0.75 is made of
    roots, which delegates take; TensorFlow's own operator they leave out. In int8 models it stays
    float32 (`zoo.lowering.operator_forms`).

    Args:
        size: number of channels in the window, odd.
        alpha: factor of the mean square of the window.
        beta: exponent.
        k: added to the mean square, above 0.

    Raises:
        ZooError: `size` is not odd and positive, or `k` is not above 0.
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
                "impossible window of local response normalization",
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
        """(batch, height, width, channels) to the same shape, in the layer's compute dtype."""
        # Squares of what mean-subtracted 0–255 pixels become exceed float16's 65,504.
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
        """The input's."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "size": self.size,
            "alpha": self.alpha,
            "beta": self.beta,
            "k": self.k,
        }
