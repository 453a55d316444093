"""Where each run of a study stands. Reads only files; does not import TensorFlow."""

from __future__ import annotations

import re
import statistics
from dataclasses import dataclass
from pathlib import Path

from zoo.errors import ZooError
from zoo.schema import epoch_log
from zoo.schema.epoch_log import EpochRow
from zoo.sweeps.study.plan import Study, StudyRun
from zoo.sweeps.study.runner import Place, published, scored

_TAIL_BYTES = 4096
_STEP = re.compile(r"^  epoch (\d+)/\d+, step (\d+)/(\d+), ")
Estimates = dict[str, float]  # run name → seconds per epoch


@dataclass(frozen=True)
class RunStatus:
    """Where a run stands.

    Attributes:
        run: The run.
        state: `waiting`, `training`, `trained`, `scored`, `published` or `failed`.
        epochs_done: Finished epochs, with the finished part of the current one.
        accuracy: Best validation accuracy so far, 0 to 1; None before the first epoch.
        images_per_s: Training images per second of elapsed time, with validation.
        epoch_s: Seconds per epoch, measured or estimated; None if unknown.
        reason: Why it failed; empty if it did not.
    """

    run: StudyRun
    state: str
    epochs_done: float
    accuracy: float | None
    images_per_s: float | None
    epoch_s: float | None
    reason: str = ""

    @property
    def left_s(self) -> float | None:
        """Seconds of training left; None if unknown."""
        left = self.run.point.recipe.epochs - self.epochs_done
        return None if self.epoch_s is None else left * self.epoch_s


def of(
    study: Study, place: Place, train_images: int | None, estimates: Estimates
) -> list[RunStatus]:
    """Returns the status of all runs.

    Args:
        study: The study.
        place: Its folders.
        train_images: Size of the training split; None if unknown.
        estimates: Seconds per epoch, for runs that have not finished one.
    """
    return [_status(run, place, train_images, estimates.get(run.name)) for run in study.runs]


def _status(
    run: StudyRun, place: Place, train_images: int | None, estimate_s: float | None
) -> RunStatus:
    rows = _rows(place.into / "runs" / run.name)
    epoch_s = statistics.median(row["seconds"] for row in rows) if rows else estimate_s
    recipe = run.point.recipe
    images = recipe.epoch_images or train_images
    return RunStatus(
        run=run,
        state=_state(run, place),
        epochs_done=_progress(len(rows), place.log(run), recipe.epochs),
        accuracy=max((row["validation_accuracy"] for row in rows), default=None),
        images_per_s=images / epoch_s if rows and images and epoch_s else None,
        epoch_s=epoch_s,
        reason=_reason(place.failure(run)),
    )


def _state(run: StudyRun, place: Place) -> str:
    trained = run.point.finished(place.into)
    if trained is not None:
        if published(run, trained, place):
            return "published"
        return "scored" if scored(run, trained, place.into) else "trained"
    if place.failure(run).is_file():
        return "failed"
    return "training" if (place.into / "runs" / run.name).is_dir() else "waiting"


def _rows(folder: Path) -> list[EpochRow]:
    if not (folder / "epochs.csv").is_file():
        return []
    try:
        return epoch_log.read(folder / "epochs.csv", "")
    except ZooError:
        return []  # the trainer reports it


def _progress(finished: int, log: Path, epochs: int) -> float:
    """Returns the number of finished epochs, with a fraction from the last progress message."""
    if finished == epochs or not log.is_file():
        return finished
    with log.open("rb") as stream:
        stream.seek(max(0, log.stat().st_size - _TAIL_BYTES))
        lines = stream.read().decode(errors="replace").splitlines()
    for line in reversed(lines):
        if (match := _STEP.match(line)) and int(match[1]) == finished + 1:
            return finished + int(match[2]) / int(match[3])
    return finished


def _reason(path: Path) -> str:
    return path.read_text().strip() if path.is_file() else ""
