"""What a training step sees: its learning rate and its batch, functions of its number alone."""

from __future__ import annotations

import math
from dataclasses import dataclass

import tensorflow as tf
import tf_keras

from zoo.data import Dataset


@dataclass(frozen=True)
class Schedule:
    """How long and how fast: see `zoo.types.Recipe` for each field."""

    epochs: int
    epoch_images: int
    batch_size: int
    learning_rate: float
    warmup: float
    weight_decay: float
    flip: bool
    seed: int

    def steps_per_epoch(self, train_images: int) -> int:
        """Whole batches in one epoch."""
        return max(1, (self.epoch_images or train_images) // self.batch_size)


class WarmupCosine(tf_keras.optimizers.schedules.LearningRateSchedule):
    """Linear rise to `peak` over the first `warmup` share of `steps`, then cosine to zero."""

    def __init__(self, peak: float, warmup: float, steps: int):
        self.peak, self.warmup, self.steps = peak, warmup, steps

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """The rate at `step`, counted from 0."""
        done = (tf.cast(step, tf.float32) + 1.0) / self.steps
        rise = done / max(self.warmup, 1e-9)
        fall = 0.5 * (1 + tf.cos(math.pi * (done - self.warmup) / max(1 - self.warmup, 1e-9)))
        return self.peak * tf.where(done < self.warmup, rise, fall)

    def get_config(self) -> dict[str, float]:
        """The constructor's arguments."""
        return {"peak": self.peak, "warmup": self.warmup, "steps": self.steps}


def batches(
    dataset: Dataset, schedule: Schedule, first_step: int, end_step: int
) -> tf.data.Dataset:
    """The training batches of steps `first_step` to `end_step` - 1: float32 images, int32 labels.

    Each pass over the data is a new permutation, drawn without keeping state, so that step k has
    the same content whether or not the process was restarted before it.
    """
    images = tf.constant(dataset.train.images)
    labels = tf.constant(dataset.train.labels)
    count, size, seed = len(dataset.train), schedule.batch_size, schedule.seed

    def batch(step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        position = step * size + tf.range(size, dtype=tf.int64)
        rounds = position // count
        seeds = tf.stack(
            [tf.fill([size], tf.constant(seed, tf.int64)), rounds, tf.ones_like(rounds)], 1
        )
        # The raw op, since its public wrapper takes no seed for each index.
        index = tf.raw_ops.RandomIndexShuffle(
            index=position % count, seed=seeds, max_index=tf.constant(count - 1, tf.int64)
        )
        x = tf.gather(images, index)
        if schedule.flip:
            draw = tf.random.stateless_uniform([size, 1, 1, 1], tf.stack([seed, step]))
            x = tf.where(draw < 0.5, tf.reverse(x, [2]), x)
        x = (tf.cast(x, tf.float32) - dataset.mean) / dataset.std
        return x, tf.gather(labels, index)

    numbers = tf.data.Dataset.range(first_step, end_step)
    return numbers.map(batch, num_parallel_calls=2, deterministic=True).prefetch(4)
