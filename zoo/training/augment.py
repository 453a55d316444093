"""What becomes of a batch of training images: functions of the batch, a seed and the step alone.

Each works on a whole batch at once, with draws of its own for each image, and draws nothing that
depends on what ran before: a step sees the same images whether or not the run was interrupted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

import tensorflow as tf

# Zhong et al. 2017, https://arxiv.org/abs/1708.04896, section 3.2.
_ERASED_SHARE = (0.02, 0.4)
_ERASED_ASPECT = 0.3


class Draw(IntEnum):
    """What a random number is for: no two may share one."""

    FLIP, CROP, ERASE, NOISE, MIX, POLICY = range(6)


def seed_of(seed: int, step: tf.Tensor, what: Draw) -> tf.Tensor:
    """The seed, int64 (2,), of TensorFlow's stateless generators."""
    return tf.stack([tf.constant(seed * 16 + int(what), tf.int64), tf.cast(step, tf.int64)])


@dataclass(frozen=True)
class Augmentation:
    """See `zoo.schema.recipe.Recipe` for each field; the default changes nothing."""

    flip: bool = False
    crop: int = 0
    erase: float = 0.0
    mixup: float = 0.0
    randaugment: float = 0.0

    def geometry(self, seed: int) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
        """RandAugment, crop and mirroring: (pixels uint8 (n, h, w, c), step) → such pixels.

        Call it outside of a graph, what it returns within one.
        """
        policy = None
        if self.randaugment:
            from zoo.training.rand_augment import RandAugment

            policy = RandAugment(self.randaugment)

        def change(images: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
            if policy is not None:
                images = policy(images, seed_of(seed, step, Draw.POLICY))
            if self.crop:
                images = cropped(images, self.crop, seed_of(seed, step, Draw.CROP))
            if self.flip:
                images = mirrored(images, seed_of(seed, step, Draw.FLIP))
            return images

        return change

    def content(
        self, images: tf.Tensor, labels: tf.Tensor, seed: int, step: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Erasing and mixing: normalized images and one-hot labels, if images are mixed."""
        if self.erase:
            seeds = [seed_of(seed, step, draw) for draw in (Draw.ERASE, Draw.NOISE)]
            images = erased(images, self.erase, *seeds)
        if self.mixup:
            images, labels = mixed(images, labels, self.mixup, seed_of(seed, step, Draw.MIX))
        return images, labels


def mirrored(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Mirrors about half of the images (n, h, w, c), left to right."""
    draw = tf.random.stateless_uniform([tf.shape(images)[0], 1, 1, 1], seed)
    return tf.where(draw < 0.5, tf.reverse(images, [2]), images)


def cropped(images: tf.Tensor, padding: int, seed: tf.Tensor) -> tf.Tensor:
    """Pads each image (n, h, w, c) with zeros and cuts h×w out at a random place."""
    count, (height, width) = tf.shape(images)[0], images.shape[1:3]
    offsets = tf.random.stateless_uniform([count, 2], seed, 0, 2 * padding + 1, tf.int32)
    rows = offsets[:, :1] + tf.range(height)
    columns = offsets[:, 1:] + tf.range(width)
    images = tf.pad(images, [[0, 0], [padding, padding], [padding, padding], [0, 0]])
    return tf.gather(tf.gather(images, rows, axis=1, batch_dims=1), columns, axis=2, batch_dims=1)


def erased(images: tf.Tensor, chance: float, seed: tf.Tensor, noise_seed: tf.Tensor) -> tf.Tensor:
    """Random erasing (Zhong et al. 2017): a rectangle of some images becomes noise.

    The paper draws rectangles until one fits; here one that does not is cut to the image, which
    needs no loop. Normalized images get normal noise, which is what the paper's random values are
    to unnormalized ones.

    Args:
        images: float32 (n, h, w, c), normalized.
        chance: of an image to lose a part.
        seed, noise_seed: of the rectangles and of what fills them.
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
    """Mixup (Zhang et al. 2018, https://arxiv.org/abs/1710.09412): one share for a batch.

    Each image is mixed with the one as far from the batch's other end, since the order is random
    already.

    Args:
        images: float32 (n, h, w, c).
        labels: float32 (n, classes).
        alpha: of Beta(alpha, alpha), from which the share comes.
        seed: of the share.
    """
    gammas = tf.random.stateless_gamma([2], seed, alpha)
    share = tf.math.divide_no_nan(gammas[0], tf.reduce_sum(gammas))
    return tuple(share * each + (1 - share) * each[::-1] for each in (images, labels))
