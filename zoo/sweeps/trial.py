"""Trains one point in a child process of a Ray worker. Does not import TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from zoo.catalog.arguments import Argument
from zoo.sweeps import logged_command
from zoo.sweeps.logged_command import Failed
from zoo.sweeps.sweep import Sweep, SweepPoint

METRIC = "accuracy"


@dataclass(frozen=True)
class Job:
    """Settings shared by all trials.

    Attributes:
        sweep: Sweep of the points.
        output: Absolute path of the --output folder; runs are written to OUTPUT/runs/NAME.
        folder: Folder of the sweep, which contains the trainers' logs.
        trainer: Module that is run with the flags of a point.
        cwd: Working directory, to which file names in flags are relative.
    """

    sweep: Sweep
    output: Path
    folder: Path
    trainer: str
    cwd: Path

    def log(self, point: SweepPoint) -> Path:
        """Returns the file for the trainer's output."""
        return self.folder / "logs" / f"{point.name}.log"


def train(values: Mapping[str, Argument], job: Job) -> dict[str, float]:
    """Trains the point with these values, resumes its run, or uses the run if it is finished.

    Args:
        values: Axis name → value.
        job: Settings shared by all trials.

    Returns:
        The validation accuracy, 0 to 1, under the key `METRIC`.

    Raises:
        Failed: if the trainer fails or does not write the expected run.
    """
    point = job.sweep.point(values)
    run = point.finished(job.output)
    if run is None:
        logged_command.run(
            job.trainer,
            (*point.flags(), f"--output={job.output}"),
            job.log(point),
            name="the trainer",
            cwd=job.cwd,
            finished=lambda: point.finished(job.output) is not None,
        )
        run = point.finished(job.output)
    if run is None:
        raise Failed(f"the trainer did not write the expected run, see {job.log(point)}")
    return {METRIC: run.validation_accuracy}
