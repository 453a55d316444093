"""Training plan and input pipeline. Rate and batch of a step depend only on its number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields

import numpy as np
import tensorflow as tf
import tf_keras

from zoo.data.dataset import Dataset
from zoo.data.encoded_images import EncodedImages
from zoo.schema.recipe import Recipe
from zoo.training import optimizer as optimizers
from zoo.training.augment import Augmentation


@dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """Settings of a training run. The fields are those of `zoo.schema.recipe.Recipe`."""

    epochs: int
    batch_size: int
    learning_rate: float
    epoch_images: int = 0
    momentum: float = 0.9
    nesterov: bool = True
    warmup: float = 0.0
    decay: str = "cosine"
    decay_at: str = "0.5,0.75"
    decay_factor: float = 0.1
    weight_decay: float = 0.0
    coupled_decay: bool = False
    label_smoothing: float = 0.0
    ema: float = 0.0
    bfloat16: bool = False
    crop_area: float = 0.35
    shift_freeze: float = 0.5
    seed: int = 1
    augmentation: Augmentation = field(default_factory=Augmentation)

    @classmethod
    def of(cls, recipe: Recipe, **changes: object) -> TrainingPlan:
        """Creates a plan from a recipe.

        Args:
            recipe: Source of the settings.
            **changes: Fields that differ from the recipe.
        """
        names = {item.name for item in fields(cls)} - {"augmentation"}
        settings = {name: getattr(recipe, name) for name in names}
        augmentation = Augmentation(
            **{item.name: getattr(recipe, item.name) for item in fields(Augmentation)}
        )
        return cls(**{**settings, "augmentation": augmentation, **changes})

    def steps_per_epoch(self, train_images: int) -> int:
        """Returns the number of full batches per epoch, at least 1."""
        return max(1, (self.epoch_images or train_images) // self.batch_size)

    def optimizer(self, model: tf_keras.Model, per_epoch: int) -> optimizers.Sgd:
        """Creates the optimizer for a model, with all optimizer variables built.

        Args:
            model: Network to train.
            per_epoch: Steps per epoch.
        """
        rate = optimizers.WarmupDecay(
            self.learning_rate,
            per_epoch * self.epochs,
            per_epoch,
            self.warmup,
            self.decay,
            optimizers.shares(self.decay_at) if self.decay == "steps" else (),
            self.decay_factor,
        )
        return optimizers.sgd(
            model,
            rate,
            momentum=self.momentum,
            nesterov=self.nesterov,
            weight_decay=self.weight_decay,
            coupled_decay=self.coupled_decay,
            ema=self.ema,
        )


def batches(
    dataset: Dataset,
    schedule: TrainingPlan,
    first_step: int,
    end_step: int,
    one_hot: bool = False,
    worker: int = 0,
    workers: int = 1,
) -> tf.data.Dataset:
    """Returns the training batches of a range of steps, or one worker's share of them.

    Each pass over the data uses a new permutation, which is drawn without state, so step k has the
    same content whether or not the process was restarted before it.

    Args:
        dataset: Dataset whose training split is used.
        schedule: Batch size, augmentation and seed.
        first_step: First step, counted from 0 over all epochs.
        end_step: Step after the last one.
        one_hot: Whether to return one-hot labels.
        worker: Index of this worker, counted from 0.
        workers: Number of workers that share each batch.

    Returns:
        Dataset of (images, labels): images float32 (n, height, width, channels), labels int32 (n,)
        or one-hot float32 (n, classes).
    """
    count, seed = len(dataset.train), schedule.seed
    size = schedule.batch_size // workers
    geometry, content = schedule.augmentation.geometry(seed), schedule.augmentation.content
    classes, labels = len(dataset.labels), tf.constant(dataset.train.labels)

    def indices_of(share: tf.Tensor) -> tf.Tensor:
        """Returns the indices of the images in a share of a batch."""
        position = share * size + tf.range(size, dtype=tf.int64)
        rounds = position // count
        seeds = tf.stack([tf.fill([size], tf.constant(seed, tf.int64)), rounds, rounds * 0 + 1], 1)
        # The public wrapper of this op does not take one seed per index.
        return tf.raw_ops.RandomIndexShuffle(
            index=position % count, seed=seeds, max_index=tf.constant(count - 1, tf.int64)
        )

    def augmented(x: tf.Tensor, index: tf.Tensor, share: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        x = (tf.cast(geometry(x, share), tf.float32) - dataset.mean) / dataset.std
        y = tf.gather(labels, index)
        return content(x, tf.one_hot(y, classes) if one_hot else y, seed, share)

    # Numbers of this worker's shares. Shares are counted over all workers, one each per step.
    shares = tf.data.Dataset.range(first_step * workers + worker, end_step * workers, workers)
    if isinstance(dataset.train.images, EncodedImages):
        crop = _cropper(dataset.train.images, schedule)
        indices = shares.flat_map(
            lambda share: tf.data.Dataset.from_tensor_slices(
                (indices_of(share), share * size + tf.range(size, dtype=tf.int64))
            )
        )
        pixels = indices.map(crop, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        batched = tf.data.Dataset.zip((pixels.batch(size, drop_remainder=True), shares))
        result = batched.map(lambda image, share: augmented(image, indices_of(share), share))
    else:
        images = tf.constant(dataset.train.images)

        def gathered(share: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            index = indices_of(share)
            return augmented(tf.gather(images, index), index, share)

        result = shares.map(gathered, num_parallel_calls=2, deterministic=True)
    return result.prefetch(4)


def _cropper(
    images: EncodedImages, schedule: TrainingPlan
) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """Returns a function that decodes a random crop of an image.

    It maps (index in the dataset, position in the whole training) to uint8 (size, size, 3).
    """

    def crop(index: np.ndarray, position: np.ndarray) -> np.ndarray:
        return images.crop(int(index), schedule.crop_area, (schedule.seed, int(position)))

    def decoded(index: tf.Tensor, position: tf.Tensor) -> tf.Tensor:
        pixels = tf.numpy_function(crop, [index, position], tf.uint8, stateful=False)
        return tf.ensure_shape(pixels, images.shape[1:])

    return decoded
