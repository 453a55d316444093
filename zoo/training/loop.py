"""The training loop of every stage: checkpointed, resumable, the same result however interrupted.

What a step sees depends on (seed, step) alone: the order of images and their augmentation are
stateless functions of it, and the dropout generators' state is in the checkpoint. A run that was
killed therefore goes on from its last epoch exactly as if nothing had happened.
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
from zoo.training import optimizer, shift_callbacks
from zoo.training.bfloat16 import bfloat16
from zoo.training.checkpoints import CheckpointWriter, EpochRow
from zoo.training.distillation import Distiller
from zoo.training.distributed import ALONE, Distribution
from zoo.training.schedule import TrainingPlan, batches

# Dropout must draw from checkpointed generators, see above. A process-wide switch of tf_keras
# without a per-layer equivalent.
tf_keras.backend.experimental.enable_tf_random_generator()

_LINE_EVERY_S = 10.0


@dataclass(frozen=True)
class TrainingOutcome:
    """What a finished loop leaves: `weights` are those of the epoch that validated best."""

    weights: Path
    validation_accuracy: float
    best_epoch: int
    seconds: float


def inference(model: tf_keras.Model) -> Callable[[np.ndarray], tf.Tensor]:
    """The model as it is without training, traced once: images (n, h, w, c) → (n, classes)."""
    return tf.function(lambda x: model(x, training=False), reduce_retracing=True)


def accuracy(infer: Callable[[np.ndarray], tf.Tensor], dataset: Dataset, split: Split) -> float:
    """Top-1 accuracy on a split, 0 to 1, of what `inference` gives."""
    right = 0
    for start in range(0, len(split), 500):
        x = dataset.normalize(split.images[start : start + 500])
        guess = tf.argmax(infer(x), axis=1, output_type=tf.int32)
        right += int(tf.reduce_sum(tf.cast(guess == split.labels[start : start + 500], tf.int32)))
    return right / len(split)


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
    """Trains, or goes on training, and leaves the best epoch's weights.

    With a moving average of the weights, it is what is validated and left.

    Args:
        model: functional model, (n, h, w, c) → (n, classes) logits, freshly built.
        dataset: its splits; the test split is not touched.
        schedule: how long and how fast.
        folder: gets `checkpoints/`, `epochs.csv`, `best.h5` and, for TensorBoard, `tensorboard/`.
        log: gets a line about each epoch, and one about resuming.
        interactive: draw a moving progress bar.
        callbacks: further Keras callbacks (tfmot's pruning needs one).
        eligible: whether an epoch (from 1) may become the best one; pruning refuses the epochs
            before the sparsity is reached.
        teaching: a teacher, and how it is learned from.
        distribution: over which devices and machines; `model` was built in its scope.

    Raises:
        ZooError: the loss is no longer finite, a picture can't be read any more, a checkpoint can't
            be read or written, or another worker is gone.
    """
    with distribution.together(), ExitStack() as stack:
        if schedule.bfloat16:
            stack.enter_context(bfloat16())
        loop = _Loop(model, dataset, schedule, folder, log, teaching, distribution, stack)
        return loop.run(callbacks, eligible, interactive)


class _Loop:
    """One training: what it changes, and what it writes after each epoch."""

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
            self._optimizer = schedule.solver(model, self._per_epoch)
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
        """All epochs that are left."""
        schedule, per_epoch = self._schedule, self._per_epoch
        done = self._checkpoints.done
        if done:
            self._log(f"resuming after epoch {done} of {schedule.epochs} ({self._folder})")
        watch = LossGuard(self._log, per_epoch, schedule.epochs)
        began = time.monotonic()
        for number in range(done + 1, schedule.epochs + 1):
            started = time.monotonic()
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
                    watch,
                ],
            )
            self._distribution.settle(self._model)
            with optimizer.averaged(self._model, self._optimizer):
                row = {
                    "epoch": number,
                    "loss": round(float(history.history["loss"][-1]), 5),
                    **self._validated(),
                    "seconds": round(time.monotonic() - started, 1),
                    "eligible": int(eligible(number)),
                }
                self._checkpoints.log(
                    row, self._model, float(self._optimizer.learning_rate.numpy())
                )
            self._checkpoints.finish(number)
            self._tell(row)  # once it is said, its checkpoint is written
        best = self._checkpoints.best
        return TrainingOutcome(
            weights=self._folder / "best.h5",
            validation_accuracy=best["validation_accuracy"],
            best_epoch=int(best["epoch"]),
            seconds=round(time.monotonic() - began, 1),
        )

    def _batches(self, epoch: int, worker: int, workers: int) -> tf.data.Dataset:
        first, end = (epoch - 1) * self._per_epoch, epoch * self._per_epoch
        return batches(self._dataset, self._schedule, first, end, self._one_hot, worker, workers)

    def _validated(self) -> dict[str, float]:
        found = accuracy(self._infer, self._dataset, self._dataset.validation)
        row = {"validation_accuracy": round(found, 5)}
        unshifted = shift_callbacks.unshifted_share(self._model)
        return row if unshifted is None else {**row, "unshifted": round(unshifted, 5)}

    def _tell(self, row: EpochRow) -> None:
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
    """The loss, and whether it wants one-hot labels."""
    if teaching is not None:
        return teaching.loss(schedule.label_smoothing), True
    if schedule.label_smoothing or schedule.augmentation.mixup:
        return tf_keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=schedule.label_smoothing
        ), True
    return tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True), False


def _generators(model: tf_keras.Model) -> list[tf.random.Generator]:
    """The generators that dropout draws from; Keras does not put them into checkpoints itself."""
    found = []
    for layer in model.submodules:
        if isinstance(layer, tf_keras.layers.Dropout):
            layer._random_generator._maybe_init()  # they are private, and made at first use
            found.append(layer._random_generator._generator)
    return found


class LossGuard(tf_keras.callbacks.Callback):
    """Stops at the first loss that is not finite; says every ten seconds how far training is."""

    def __init__(self, log: Log, steps: int, epochs: int):
        super().__init__()
        self._log, self._steps, self._epochs = log, steps, epochs
        self._spoke, self._epoch = time.monotonic(), 0

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Notes which epoch it is."""
        self._epoch = epoch + 1

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Looks at the loss.

        Raises:
            ZooError: it is not finite.
        """
        loss = (logs or {}).get("loss", 0.0)
        if not math.isfinite(loss):
            raise ZooError(
                "the loss is no longer a finite number",
                where=f"epoch {self._epoch}, step {batch + 1}",
                got=loss,
                remedy="try a tenth of the learning rate, another seed, or --batch_norm",
            )
        if time.monotonic() - self._spoke > _LINE_EVERY_S:
            self._spoke = time.monotonic()
            self._log(
                f"  epoch {self._epoch}/{self._epochs}, step {batch + 1}/{self._steps}, "
                f"loss {loss:.3f}"
            )
