"""The training loop of all stages: checkpointed, resumable and reproducible.

The order of the images and their augmentation are stateless functions of (seed, step), and the
checkpoint holds the state of the dropout generators. A run that was killed and resumed from its
last epoch therefore ends with the same weights as an uninterrupted one.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import tensorflow as tf
import tf_keras

from zoo.data.dataset import Dataset
from zoo.data.split import Split
from zoo.errors import ZooError
from zoo.io.log import Log
from zoo.schema.epoch_log import EpochRow
from zoo.training import optimizer, shift_callbacks
from zoo.training.bfloat16 import bfloat16
from zoo.training.checkpoints import CheckpointWriter
from zoo.training.distillation import Distiller
from zoo.training.distributed import ALONE, Distribution
from zoo.training.schedule import TrainingPlan, batches

# Dropout has to draw from generators that can be checkpointed (see above). tf_keras has only this
# process-wide switch for it, not a per-layer one.
tf_keras.backend.experimental.enable_tf_random_generator()

_LOG_INTERVAL_S = 10.0


@dataclass(frozen=True)
class TrainingOutcome:
    """Result of a finished training loop.

    Attributes:
        weights: File with the weights of the best epoch.
        validation_accuracy: Top-1 validation accuracy of the best epoch, 0 to 1.
        best_epoch: Number of the best epoch, counted from 1.
        seconds: Elapsed time since the last start or resumption.
    """

    weights: Path
    validation_accuracy: float
    best_epoch: int
    seconds: float


def inference(model: tf_keras.Model) -> Callable[[np.ndarray], tf.Tensor]:
    """Returns a traced inference function: images (n, height, width, channels) → (n, classes)."""
    return tf.function(lambda x: model(x, training=False), reduce_retracing=True)


def accuracy(infer: Callable[[np.ndarray], tf.Tensor], dataset: Dataset, split: Split) -> float:
    """Returns the top-1 accuracy on a split, 0 to 1.

    Args:
        infer: Function returned by `inference`.
        dataset: Dataset of the split; normalizes the images.
        split: Images and labels to score.
    """
    correct = 0
    for start in range(0, len(split), 500):
        x = dataset.normalize(split.images[start : start + 500])
        top1 = tf.argmax(infer(x), axis=1, output_type=tf.int32)
        correct += int(tf.reduce_sum(tf.cast(top1 == split.labels[start : start + 500], tf.int32)))
    return correct / len(split)


def fit(
    model: tf_keras.Model,
    dataset: Dataset,
    schedule: TrainingPlan,
    folder: Path,
    log: Log,
    *,
    interactive: bool = False,
    callbacks: Sequence[tf_keras.callbacks.Callback] = (),
    eligible: Callable[[int], bool] = lambda epoch: True,
    teaching: Distiller | None = None,
    distribution: Distribution = ALONE,
) -> TrainingOutcome:
    """Trains or resumes training, and saves the weights of the best epoch.

    If the recipe keeps a moving average of the weights, the average is validated and saved.

    Args:
        model: Newly built functional model, (n, height, width, channels) → logits (n, classes).
        dataset: Training and validation images; the test split is not used.
        schedule: Length, batch size, optimizer settings and augmentation.
        folder: Run folder, which receives `checkpoints/`, `epochs.csv`, `best.h5` and
            `tensorboard/`.
        log: Called with a message per epoch and every ten seconds, and on resuming.
        interactive: Whether to show a progress bar.
        callbacks: Additional Keras callbacks; tfmot's pruning needs one.
        eligible: Whether an epoch, counted from 1, may become the best one. Pruning excludes the
            epochs before the target sparsity is reached.
        teaching: Teacher and distillation settings, or None to train on the labels alone.
        distribution: Devices and workers; `model` must have been built in its scope.

    Returns:
        The file of the best epoch's weights and its validation accuracy.

    Raises:
        ZooError: if the loss is no longer finite, an image can't be read, a checkpoint can't be
            read or written, or another worker has ended.
    """
    with distribution.together(), ExitStack() as stack:
        if schedule.bfloat16:
            stack.enter_context(bfloat16())
        loop = _Loop(model, dataset, schedule, folder, log, teaching, distribution, stack)
        return loop.run(callbacks, eligible, interactive)


class _Loop:
    """State of one call of `fit`; the arguments are the same."""

    def __init__(
        self,
        model: tf_keras.Model,
        dataset: Dataset,
        schedule: TrainingPlan,
        folder: Path,
        log: Log,
        teaching: Distiller | None,
        distribution: Distribution,
        stack: ExitStack,
    ):
        self._model, self._dataset, self._schedule = model, dataset, schedule
        self._log, self._distribution = log, distribution
        self._folder = folder
        self._per_epoch = schedule.steps_per_epoch(len(dataset.train))
        with distribution.scope():
            self._optimizer = schedule.optimizer(model, self._per_epoch)
            loss, self._one_hot = _loss(schedule, teaching)
            self._student = model if teaching is None else teaching.student(model)
            self._student.compile(self._optimizer, loss, jit_compile=False)
        self._infer = inference(model)
        state = {"model": model, "optimizer": self._optimizer, "dropout": _generators(model)}
        self._checkpoints = CheckpointWriter(state, folder, distribution.folder(folder, stack))

    def run(
        self,
        callbacks: Sequence[tf_keras.callbacks.Callback],
        eligible: Callable[[int], bool],
        interactive: bool,
    ) -> TrainingOutcome:
        """Trains the remaining epochs."""
        schedule, per_epoch = self._schedule, self._per_epoch
        done = self._checkpoints.done
        if done:
            self._log(f"resuming after epoch {done} of {schedule.epochs} ({self._folder})")
        loss_guard = LossGuard(self._log, per_epoch, schedule.epochs)
        run_start = time.monotonic()
        for number in range(done + 1, schedule.epochs + 1):
            epoch_start, cpu_start = time.monotonic(), time.process_time()
            history = self._student.fit(
                self._distribution.data(schedule.batch_size, partial(self._batches, number)),
                initial_epoch=number - 1,
                epochs=number,
                steps_per_epoch=per_epoch,
                verbose=1 if interactive else 0,
                callbacks=[
                    *callbacks,
                    *shift_callbacks.callbacks(
                        self._model, schedule.epochs, per_epoch, schedule.shift_freeze
                    ),
                    loss_guard,
                ],
            )
            self._distribution.settle(self._model)
            with optimizer.averaged(self._model, self._optimizer):
                row = {
                    "epoch": number,
                    "loss": round(float(history.history["loss"][-1]), 5),
                    **self._validate(),
                    "seconds": round(time.monotonic() - epoch_start, 1),
                    "cpu_seconds": round(time.process_time() - cpu_start, 1),
                    "eligible": int(eligible(number)),
                }
                self._checkpoints.log(
                    row, self._model, float(self._optimizer.learning_rate.numpy())
                )
            self._checkpoints.finish(number)
            self._log_epoch(row)  # only after the checkpoint is written
        best = self._checkpoints.best
        return TrainingOutcome(
            weights=self._folder / "best.h5",
            validation_accuracy=best["validation_accuracy"],
            best_epoch=int(best["epoch"]),
            seconds=round(time.monotonic() - run_start, 1),
        )

    def _batches(self, epoch: int, worker: int, workers: int) -> tf.data.Dataset:
        first, end = (epoch - 1) * self._per_epoch, epoch * self._per_epoch
        return batches(self._dataset, self._schedule, first, end, self._one_hot, worker, workers)

    def _validate(self) -> dict[str, float]:
        top1 = accuracy(self._infer, self._dataset, self._dataset.validation)
        row = {"validation_accuracy": round(top1, 5)}
        unshifted = shift_callbacks.unshifted_share(self._model)
        return row if unshifted is None else {**row, "unshifted": round(unshifted, 5)}

    def _log_epoch(self, row: EpochRow) -> None:
        self._log(
            f"epoch {row['epoch']}/{self._schedule.epochs}: loss {row['loss']:.4f}, validation "
            f"accuracy {100 * row['validation_accuracy']:.2f} %, {row['seconds']:.0f} s"
            + (
                f", {100 * row['unshifted']:.1f} % of the channels unshifted"
                if "unshifted" in row
                else ""
            )
        )


def _loss(schedule: TrainingPlan, teaching: Distiller | None) -> tuple[tf_keras.losses.Loss, bool]:
    """Returns the loss and whether it takes one-hot labels."""
    if teaching is not None:
        return teaching.loss(schedule.label_smoothing), True
    if schedule.label_smoothing or schedule.augmentation.mixup:
        return tf_keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=schedule.label_smoothing
        ), True
    return tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True), False


def _generators(model: tf_keras.Model) -> list[tf.random.Generator]:
    """Returns the random generators of dropout layers, which Keras does not checkpoint itself."""
    generators = []
    for layer in model.submodules:
        if isinstance(layer, tf_keras.layers.Dropout):
            # The generator has no public accessor and is created on first use.
            layer._random_generator._maybe_init()
            generators.append(layer._random_generator._generator)
    return generators


class LossGuard(tf_keras.callbacks.Callback):
    """Stops training when the loss is not finite and logs progress every ten seconds.

    Args:
        log: Called with the progress messages.
        steps: Steps per epoch.
        epochs: Epochs of the whole training.
    """

    def __init__(self, log: Log, steps: int, epochs: int):
        super().__init__()
        self._log, self._steps, self._epochs = log, steps, epochs
        self._last_log, self._epoch = time.monotonic(), 0

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Stores the number of the epoch for messages."""
        self._epoch = epoch + 1

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Checks the loss and logs progress.

        Raises:
            ZooError: if the loss is NaN or infinite.
        """
        loss = (logs or {}).get("loss", 0.0)
        if not math.isfinite(loss):
            raise ZooError(
                "the loss is no longer a finite number",
                where=f"epoch {self._epoch}, step {batch + 1}",
                got=loss,
                remedy="divide the learning rate by ten, change the seed, or set --batch_norm",
            )
        if time.monotonic() - self._last_log > _LOG_INTERVAL_S:
            self._last_log = time.monotonic()
            self._log(
                f"  epoch {self._epoch}/{self._epochs}, step {batch + 1}/{self._steps}, "
                f"loss {loss:.3f}"
            )
