"""RandAugment (Cubuk et al. 2019, https://arxiv.org/abs/1909.13719) of Keras 3's operations.

Keras' own layer of that name applies the same two operations to all images of a batch, computes all
of the others as well, and takes no seed. Here each image gets its own, and only they are computed.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from zoo.errors import ZooError

try:
    import keras
except ImportError as error:
    raise ZooError(
        "RandAugment needs Keras 3", got=error, remedy="pip install keras, or --randaugment=0"
    ) from error

_OPERATIONS = 2  # as the paper chose for small networks
_PIXELS = (0, 255)


class _Given(keras.random.SeedGenerator):
    """Hands Keras' layers seeds that follow from a given one."""

    def begin(self, seed: tf.Tensor) -> None:
        self._seed, self._drawn = tf.cast(seed, tf.int32), 0

    def next(self, ordered: bool = True) -> tf.Tensor:
        """The next seed, int32 (2,)."""
        self._drawn += 1
        return self._seed + tf.constant([self._drawn * 7919, 0])


class RandAugment:
    """Two operations for each image, drawn from eleven, none of which is "nothing".

    Args:
        strength: of all, 0 to 1. Make it outside of a graph.
    """

    def __init__(self, strength: float):
        layers = keras.layers
        both = {"value_range": _PIXELS}
        self._seeds = _Given(0)
        self._operations: list[Any] = [
            layers.AutoContrast(**both),
            layers.Equalization(**both),
            layers.RandomBrightness(strength, **both),
            layers.RandomColorDegeneration(strength, **both),
            layers.RandomContrast(strength, **both),
            layers.RandomPosterization(max(1, round(8 - 4 * strength)), **both),
            layers.RandomRotation(strength / 12, fill_mode="constant"),  # 30 degrees at most
            layers.RandomSharpness(strength, **both),
            layers.RandomShear(0.3 * strength, 0.3 * strength, fill_mode="constant"),
            layers.RandomTranslation(0.3 * strength, 0.3 * strength, fill_mode="constant"),
            layers.Solarization(strength, strength, **both),
        ]

    def __call__(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """(n, h, w, c) uint8 to such pixels; seed int64 (2,). Gray ones stay gray."""
        gray = images.shape[-1] == 1
        pixels = tf.cast(tf.repeat(images, 3, axis=-1) if gray else images, tf.float32)
        form = pixels.shape[1:]
        self._seeds.begin(seed)
        for turn in range(1, _OPERATIONS + 1):
            own = seed + tf.constant([0, turn << 40], tf.int64)
            pixels = tf.ensure_shape(self._one(pixels, own), [None, *form])
        found = tf.cast(tf.clip_by_value(tf.round(pixels), *_PIXELS), images.dtype)
        return tf.ensure_shape(found[..., :1] if gray else found, images.shape)

    def _one(self, pixels: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        count = tf.shape(pixels)[0]
        which = tf.random.stateless_uniform([count], seed, 0, len(self._operations), tf.int32)
        places, parts = [], []
        for number, operation in enumerate(self._operations):
            where = tf.reshape(tf.where(which == number), [-1])
            # One image more, since not every operation takes none.
            chosen = tf.concat([tf.gather(pixels, where), pixels[:1]], 0)
            drawn = operation.get_random_transformation(chosen, training=True, seed=self._seeds)
            places.append(tf.cast(where, tf.int32))
            parts.append(operation.transform_images(chosen, drawn, training=True)[:-1])
        return tf.dynamic_stitch(places, parts)
