"""RandAugment (Cubuk et al. 2019, https://arxiv.org/abs/1909.13719) built from Keras 3 layers.

Keras' own RandAugment layer applies the same two operations to all images of a batch, computes all
the other operations too, and takes no seed per call. Here every image gets its own two operations,
and only those are computed.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from zoo.errors import ZooError

try:
    import keras
except ImportError as error:
    raise ZooError(
        "RandAugment needs Keras 3", got=error, remedy="pip install keras, or set --randaugment=0"
    ) from error

_OPERATIONS = 2  # per image, the paper's choice for small networks
_PIXELS = (0, 255)


class _DerivedSeeds(keras.random.SeedGenerator):
    """Seed generator for Keras layers that derives its seeds from an explicit one."""

    def begin(self, seed: tf.Tensor) -> None:
        """Restarts the sequence from a seed, int64 (2,)."""
        self._seed, self._drawn = tf.cast(seed, tf.int32), 0

    def next(self, ordered: bool = True) -> tf.Tensor:
        """Returns the next seed, int32 (2,)."""
        self._drawn += 1
        return self._seed + tf.constant([self._drawn * 7919, 0])


class RandAugment:
    """Applies two random operations out of eleven to each image; the identity is not among them.

    Create it outside a graph, since it creates Keras layers.

    Args:
        strength: Strength of all operations, 0 to 1.
    """

    def __init__(self, strength: float):
        layers = keras.layers
        both = {"value_range": _PIXELS}
        self._seeds = _DerivedSeeds(0)
        self._operations: list[Any] = [
            layers.AutoContrast(**both),
            layers.Equalization(**both),
            layers.RandomBrightness(strength, **both),
            layers.RandomColorDegeneration(strength, **both),
            layers.RandomContrast(strength, **both),
            layers.RandomPosterization(max(1, round(8 - 4 * strength)), **both),
            layers.RandomRotation(strength / 12, fill_mode="constant"),  # up to 30 degrees
            layers.RandomSharpness(strength, **both),
            layers.RandomShear(0.3 * strength, 0.3 * strength, fill_mode="constant"),
            layers.RandomTranslation(0.3 * strength, 0.3 * strength, fill_mode="constant"),
            layers.Solarization(strength, strength, **both),
        ]

    def __call__(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Augments a batch. Gray images stay gray.

        Args:
            images: uint8 (n, height, width, channels) with 1 or 3 channels.
            seed: int64 (2,).

        Returns:
            Images of the same shape and dtype.
        """
        gray = images.shape[-1] == 1
        pixels = tf.cast(tf.repeat(images, 3, axis=-1) if gray else images, tf.float32)
        image_shape = pixels.shape[1:]
        self._seeds.begin(seed)
        for turn in range(1, _OPERATIONS + 1):
            turn_seed = seed + tf.constant([0, turn << 40], tf.int64)
            pixels = tf.ensure_shape(self._apply(pixels, turn_seed), [None, *image_shape])
        result = tf.cast(tf.clip_by_value(tf.round(pixels), *_PIXELS), images.dtype)
        return tf.ensure_shape(result[..., :1] if gray else result, images.shape)

    def _apply(self, pixels: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Applies one random operation to each image."""
        count = tf.shape(pixels)[0]
        choice = tf.random.stateless_uniform([count], seed, 0, len(self._operations), tf.int32)
        indices, parts = [], []
        for number, operation in enumerate(self._operations):
            index = tf.reshape(tf.where(choice == number), [-1])
            # Some operations fail on an empty batch, so one extra image is added and then dropped.
            batch = tf.concat([tf.gather(pixels, index), pixels[:1]], 0)
            drawn = operation.get_random_transformation(batch, training=True, seed=self._seeds)
            indices.append(tf.cast(index, tf.int32))
            parts.append(operation.transform_images(batch, drawn, training=True)[:-1])
        return tf.dynamic_stitch(indices, parts)
