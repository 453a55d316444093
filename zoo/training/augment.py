"""Augmentation of training batches with stateless random operations.

Every function depends only on the batch, a seed and the step, so a step sees the same images
whether or not the run was interrupted. Each one processes a whole batch and draws separate random
numbers for each image, except mixup.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

import tensorflow as tf

# Area and aspect ratio of erased rectangles, from section 3.2 of Zhong et al. 2017,
# https://arxiv.org/abs/1708.04896.
_ERASED_SHARE = (0.02, 0.4)
_ERASED_ASPECT = 0.3


class Draw(IntEnum):
    """Purpose of a random draw. Each purpose has its own stream of random numbers."""

    FLIP, CROP, ERASE, NOISE, MIX, POLICY = range(6)


def seed_of(seed: int, step: tf.Tensor, draw: Draw) -> tf.Tensor:
    """Returns the seed of a stateless TensorFlow operation, int64 (2,)."""
    return tf.stack([tf.constant(seed * 16 + int(draw), tf.int64), tf.cast(step, tf.int64)])


@dataclass(frozen=True)
class Augmentation:
    """Augmentation settings of a training run; the defaults change nothing.

    The fields are those of `zoo.schema.recipe.Recipe`.
    """

    flip: bool = False
    crop: int = 0
    erase: float = 0.0
    mixup: float = 0.0
    randaugment: float = 0.0

    def geometry(self, seed: int) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
        """Returns a function that applies RandAugment, random crops and mirroring.

        The function maps (images, step) to images, both uint8 (n, height, width, channels). Call
        `geometry` outside a graph: RandAugment creates Keras layers. The function itself can be
        traced.

        Args:
            seed: Seed of the run.
        """
        policy = None
        if self.randaugment:
            from zoo.training.rand_augment import RandAugment

            policy = RandAugment(self.randaugment)

        def augment(images: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
            if policy is not None:
                images = policy(images, seed_of(seed, step, Draw.POLICY))
            if self.crop:
                images = cropped(images, self.crop, seed_of(seed, step, Draw.CROP))
            if self.flip:
                images = mirrored(images, seed_of(seed, step, Draw.FLIP))
            return images

        return augment

    def content(
        self, images: tf.Tensor, labels: tf.Tensor, seed: int, step: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Applies random erasing and mixup.

        Args:
            images: Normalized images, float32 (n, height, width, channels).
            labels: int32 (n,), or one-hot float32 (n, classes); mixup needs one-hot labels.
            seed: Seed of the run.
            step: Number of the training step, counted from 0.

        Returns:
            The augmented images and their labels, with the same shapes and dtypes.
        """
        if self.erase:
            seeds = [seed_of(seed, step, draw) for draw in (Draw.ERASE, Draw.NOISE)]
            images = erased(images, self.erase, *seeds)
        if self.mixup:
            images, labels = mixed(images, labels, self.mixup, seed_of(seed, step, Draw.MIX))
        return images, labels


def mirrored(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Flips each image (n, height, width, channels) left to right with probability 0.5."""
    draw = tf.random.stateless_uniform([tf.shape(images)[0], 1, 1, 1], seed)
    return tf.where(draw < 0.5, tf.reverse(images, [2]), images)


def cropped(images: tf.Tensor, padding: int, seed: tf.Tensor) -> tf.Tensor:
    """Pads each image with zeros and takes a random crop of the original size.

    Args:
        images: (n, height, width, channels) of any dtype.
        padding: Pixels added on each side.
        seed: int64 (2,).
    """
    count, (height, width) = tf.shape(images)[0], images.shape[1:3]
    offsets = tf.random.stateless_uniform([count, 2], seed, 0, 2 * padding + 1, tf.int32)
    rows = offsets[:, :1] + tf.range(height)
    columns = offsets[:, 1:] + tf.range(width)
    images = tf.pad(images, [[0, 0], [padding, padding], [padding, padding], [0, 0]])
    return tf.gather(tf.gather(images, rows, axis=1, batch_dims=1), columns, axis=2, batch_dims=1)


def erased(images: tf.Tensor, chance: float, seed: tf.Tensor, noise_seed: tf.Tensor) -> tf.Tensor:
    """Replaces a random rectangle of some images with noise (random erasing, Zhong et al. 2017).

    The paper draws rectangles until one fits into the image. Here a rectangle that is too large is
    cut to the size of the image, which needs no loop. The paper fills it with random pixel values;
    since these images are normalized, the noise is drawn from the standard normal distribution.

    Args:
        images: Normalized images, float32 (n, height, width, channels).
        chance: Probability that a rectangle of an image is erased, 0 to 1.
        seed: Seed of the rectangles, int64 (2,).
        noise_seed: Seed of the noise, int64 (2,).
    """
    count, (height, width) = tf.shape(images)[0], images.shape[1:3]
    draws = tf.unstack(tf.random.stateless_uniform([5, count, 1], seed))
    low, high = _ERASED_SHARE
    area = height * width * (low + (high - low) * draws[0])
    aspect = _ERASED_ASPECT + (1 / _ERASED_ASPECT - _ERASED_ASPECT) * draws[1]
    sides = []
    for size, place, side in (
        (height, draws[2], tf.sqrt(area * aspect)),
        (width, draws[3], tf.sqrt(area / aspect)),
    ):
        side = tf.clip_by_value(tf.round(side), 1, size)
        start = tf.floor(place * (size - side + 1))
        line = tf.range(size, dtype=tf.float32)
        sides.append((line >= start) & (line < start + side))
    inside = sides[0][:, :, tf.newaxis] & sides[1][:, tf.newaxis] & (draws[4] < chance)[:, :, None]
    noise = tf.random.stateless_normal(tf.shape(images), noise_seed)
    return tf.where(inside[..., tf.newaxis], noise, images)


def mixed(
    images: tf.Tensor, labels: tf.Tensor, alpha: float, seed: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Applies mixup (Zhang et al. 2018, https://arxiv.org/abs/1710.09412) with one share per batch.

    The batch is mixed with itself in reverse order: the images are already in random order.

    Args:
        images: float32 (n, height, width, channels).
        labels: One-hot labels, float32 (n, classes).
        alpha: Parameter of the Beta(alpha, alpha) distribution of the share.
        seed: int64 (2,).

    Returns:
        The mixed images and labels.
    """
    gammas = tf.random.stateless_gamma([2], seed, alpha)
    share = tf.math.divide_no_nan(gammas[0], tf.reduce_sum(gammas))
    return tuple(share * values + (1 - share) * values[::-1] for values in (images, labels))
