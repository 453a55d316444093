"""What a training leaves after each epoch, and goes on from."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import tensorflow as tf
import tf_keras

from zoo import runs
from zoo.errors import ZooError, one_line
from zoo.io.files import read_bytes, write_text
from zoo.training.tensorboard import TensorBoardLog

EpochRow = dict[str, float]


class CheckpointWriter:
    """Writes a training's folder: `checkpoints/`, `epochs.csv`, `best.h5` and `tensorboard/`.

    Args:
        state: all that the next epoch starts from; a variable with the number of finished epochs is
            added to it.
        folder: of the run, read when the training goes on.
        own: the folder that this process writes; the same but for workers that are not the chief.

    Raises:
        ZooError: the checkpoint can't be read.
    """

    def __init__(self, state: dict[str, tf.Module], folder: Path, own: Path):
        self._epoch = tf.Variable(0, dtype=tf.int64, trainable=False, name="finished_epochs")
        self._folder, self._own = folder, own
        checkpoint = tf.train.Checkpoint(**state, epoch=self._epoch)
        self.rows = self._restore(checkpoint)
        self._manager = tf.train.CheckpointManager(
            checkpoint, str(own / "checkpoints"), max_to_keep=2
        )
        self._board = TensorBoardLog(own / "tensorboard")

    @property
    def done(self) -> int:
        """How many epochs are finished."""
        return int(self._epoch.numpy())

    @property
    def best(self) -> EpochRow:
        """The epoch that validated best among those that may be; the first of equal ones."""
        return max(
            self.rows, key=lambda row: (row["eligible"], row["validation_accuracy"], -row["epoch"])
        )

    def log(self, row: EpochRow, model: tf_keras.Model, rate: float) -> None:
        """Writes what an epoch left but for its checkpoint.

        Args:
            row: of the log; `epoch`, `validation_accuracy` and `eligible` are in it.
            model: with the weights that were validated.
            rate: the learning rate now.

        Raises:
            ZooError: it can't be written.
        """
        self.rows.append(row)
        with self._writing():
            if self.best is row:
                runs.save_weights(model, self._own / "best.h5")
            write_text(self._own / "epochs.csv", _to_csv(self.rows))
            self._board.write(int(row["epoch"]), row, rate)

    def finish(self, epoch: int) -> None:
        """Writes what the next epoch starts from; whoever stops before does this one again.

        Raises:
            ZooError: it can't be written; the checkpoint before is still there.
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
                remedy="free some space and run the same command again: it goes on from the last"
                " checkpoint",
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
        content = read_bytes(path, "the log of epochs", 2**20, remedy)
        try:
            text = io.StringIO(content.decode())
            # A kill between the log and the checkpoint leaves one row more than finished epochs.
            rows = [_row(row) for row in csv.DictReader(text)][: self.done]
            if [row["epoch"] for row in rows] != list(range(1, self.done + 1)):
                raise ValueError(f"not a row for each of {self.done} epochs")
        except (ValueError, KeyError, TypeError, OverflowError, csv.Error) as error:
            raise ZooError(
                "the log of epochs is damaged", where=path, got=one_line(error), remedy=remedy
            ) from error
        return rows


def _row(told: dict[str, str]) -> EpochRow:
    """A row as it was logged, so that a log that is written again has its numbers alike."""
    row: EpochRow = {name: float(value) for name, value in told.items()}
    return {**row, **{name: int(row[name]) for name in ("epoch", "eligible")}}


def _to_csv(rows: list[EpochRow]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
