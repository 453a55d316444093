"""What a training step sees: its learning rate and its batch, functions of its number alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields

import numpy as np
import tensorflow as tf
import tf_keras

from zoo.data.dataset import Dataset
from zoo.data.encoded_images import EncodedImages
from zoo.schema.recipe import Recipe
from zoo.training import optimizer as solver
from zoo.training.augment import Augmentation


@dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """How long, how fast and on what; see `zoo.schema.recipe.Recipe` for each field."""

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
        """The recipe's, but for some fields."""
        names = {each.name for each in fields(cls)} - {"augmentation"}
        taken = {name: getattr(recipe, name) for name in names}
        augmentation = Augmentation(
            **{each.name: getattr(recipe, each.name) for each in fields(Augmentation)}
        )
        return cls(**{**taken, "augmentation": augmentation, **changes})

    def steps_per_epoch(self, train_images: int) -> int:
        """Whole batches in one epoch."""
        return max(1, (self.epoch_images or train_images) // self.batch_size)

    def solver(self, model: tf_keras.Model, per_epoch: int) -> solver.Sgd:
        """What trains a model, with its variables made."""
        rate = solver.WarmupDecay(
            self.learning_rate,
            per_epoch * self.epochs,
            per_epoch,
            self.warmup,
            self.decay,
            solver.shares(self.decay_at) if self.decay == "steps" else (),
            self.decay_factor,
        )
        return solver.sgd(
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
    """The training batches of steps `first_step` to `end_step` - 1, or a worker's share of them.

    Images are float32 (n, h, w, c), labels int32 (n,) or, if wanted, float32 (n, classes).

    Each pass over the data is a new permutation, drawn without keeping state, so that step k has
    the same content whether or not the process was restarted before it.
    """
    count, seed = len(dataset.train), schedule.seed
    size = schedule.batch_size // workers
    change, content = schedule.augmentation.geometry(seed), schedule.augmentation.content
    classes, labels = len(dataset.labels), tf.constant(dataset.train.labels)

    def chosen(share: tf.Tensor) -> tf.Tensor:
        """Which images the share is of."""
        position = share * size + tf.range(size, dtype=tf.int64)
        rounds = position // count
        seeds = tf.stack([tf.fill([size], tf.constant(seed, tf.int64)), rounds, rounds * 0 + 1], 1)
        # The raw op, since its public wrapper takes no seed for each index.
        return tf.raw_ops.RandomIndexShuffle(
            index=position % count, seed=seeds, max_index=tf.constant(count - 1, tf.int64)
        )

    def finished(x: tf.Tensor, index: tf.Tensor, share: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        x = (tf.cast(change(x, share), tf.float32) - dataset.mean) / dataset.std
        y = tf.gather(labels, index)
        return content(x, tf.one_hot(y, classes) if one_hot else y, seed, share)

    # Shares are numbered over all workers, each of which takes its own of every step.
    numbers = tf.data.Dataset.range(first_step * workers + worker, end_step * workers, workers)
    if isinstance(dataset.train.images, EncodedImages):
        crop = _cropper(dataset.train.images, schedule)
        indices = numbers.flat_map(
            lambda share: tf.data.Dataset.from_tensor_slices(
                (chosen(share), share * size + tf.range(size, dtype=tf.int64))
            )
        )
        pixels = indices.map(crop, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        batched = tf.data.Dataset.zip((pixels.batch(size, drop_remainder=True), numbers))
        found = batched.map(lambda image, share: finished(image, chosen(share), share))
    else:
        images = tf.constant(dataset.train.images)

        def gathered(share: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            index = chosen(share)
            return finished(tf.gather(images, index), index, share)

        found = numbers.map(gathered, num_parallel_calls=2, deterministic=True)
    return found.prefetch(4)


def _cropper(
    pictures: EncodedImages, schedule: TrainingPlan
) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """(index, number of the image in the whole training) → uint8 (size, size, 3), decoded."""

    def crop(index: np.ndarray, position: np.ndarray) -> np.ndarray:
        return pictures.crop(int(index), schedule.crop_area, (schedule.seed, int(position)))

    def decoded(index: tf.Tensor, position: tf.Tensor) -> tf.Tensor:
        pixels = tf.numpy_function(crop, [index, position], tf.uint8, stateful=False)
        return tf.ensure_shape(pixels, pictures.shape[1:])

    return decoded
