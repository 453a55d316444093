"""Checkpoints and the epoch log, written after each epoch and read when training resumes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import tensorflow as tf
import tf_keras

from zoo import runs
from zoo.errors import ZooError
from zoo.io.files import write_text
from zoo.schema import epoch_log
from zoo.schema.epoch_log import EpochRow
from zoo.training.tensorboard import TensorBoardLog


class CheckpointWriter:
    """Writes `checkpoints/`, `epochs.csv`, `best.h5` and `tensorboard/` of a run.

    The constructor restores the latest checkpoint, if there is one.

    Args:
        state: Objects to save in the checkpoint. The number of finished epochs is added.
        folder: Run folder, from which the checkpoint is restored.
        write_folder: Folder that this process writes to. It differs from `folder` only for workers
            other than the chief.

    Raises:
        ZooError: if the checkpoint or the epoch log can't be read.
    """

    def __init__(self, state: dict[str, tf.Module], folder: Path, write_folder: Path):
        self._epoch = tf.Variable(0, dtype=tf.int64, trainable=False, name="finished_epochs")
        self._folder, self._write_folder = folder, write_folder
        checkpoint = tf.train.Checkpoint(**state, epoch=self._epoch)
        self.rows = self._restore(checkpoint)
        self._manager = tf.train.CheckpointManager(
            checkpoint, str(write_folder / "checkpoints"), max_to_keep=2
        )
        self._board = TensorBoardLog(write_folder / "tensorboard")

    @property
    def done(self) -> int:
        """Number of finished epochs."""
        return int(self._epoch.numpy())

    @property
    def best(self) -> EpochRow:
        """Log row of the eligible epoch with the best validation accuracy; the first of equals."""
        return max(
            self.rows, key=lambda row: (row["eligible"], row["validation_accuracy"], -row["epoch"])
        )

    def log(self, row: EpochRow, model: tf_keras.Model, rate: float) -> None:
        """Writes the results of an epoch, except for its checkpoint.

        Args:
            row: Row for the epoch log, with at least `epoch`, `validation_accuracy` and `eligible`.
            model: Network with the weights that were validated.
            rate: Learning rate after the epoch.

        Raises:
            ZooError: if a file can't be written.
        """
        self.rows.append(row)
        with self._writing():
            if self.best is row:
                runs.save_weights(model, self._write_folder / "best.h5")
            write_text(self._write_folder / "epochs.csv", epoch_log.to_csv(self.rows))
            self._board.write(int(row["epoch"]), row, rate)

    def finish(self, epoch: int) -> None:
        """Writes the checkpoint that completes an epoch; without it the epoch is repeated.

        Args:
            epoch: Number of the epoch, counted from 1.

        Raises:
            ZooError: if the checkpoint can't be written; the previous one is kept.
        """
        self._epoch.assign(epoch)
        with self._writing():
            self._manager.save()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except (OSError, tf.errors.OpError) as error:
            raise ZooError(
                "can't write the checkpoint",
                where=self._folder,
                got=error,
                remedy="free some space and run the same command again; training resumes from the"
                " last checkpoint",
            ) from error

    def _restore(self, checkpoint: tf.train.Checkpoint) -> list[EpochRow]:
        latest = tf.train.latest_checkpoint(str(self._folder / "checkpoints"))
        if latest is None:
            return []
        remedy = f"delete {self._folder} and train again"
        try:
            checkpoint.restore(latest).assert_consumed()
        except (AssertionError, ValueError, tf.errors.OpError) as error:
            raise ZooError(
                "the checkpoint can't be read",
                where=latest,
                expected="a checkpoint of this network",
                got=str(error).splitlines()[0],
                remedy=remedy,
            ) from error
        path = self._folder / "epochs.csv"
        # A run killed between writing the log and the checkpoint leaves one extra row.
        rows = epoch_log.read(path, remedy)[: self.done]
        if len(rows) < self.done:
            raise ZooError(
                "the epoch log is damaged",
                where=path,
                expected=f"one row for each of the {self.done} epochs",
                got=f"{len(rows)} rows",
                remedy=remedy,
            )
        return rows
