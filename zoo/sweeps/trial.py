"""Trains one point in a child process of a Ray worker. Does not import TensorFlow."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import zoo
from zoo.catalog.arguments import Argument
from zoo.errors import one_line
from zoo.sweeps.sweep import Sweep, SweepPoint

METRIC = "accuracy"
_MAX_REASON_LENGTH = 300  # characters


class Failed(Exception):
    """The trainer did not finish a run. The message is one line with the reason."""


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
        _call(point, job)
        run = point.finished(job.output)
    if run is None:
        raise Failed(f"the trainer did not write the expected run, see {job.log(point)}")
    return {METRIC: run.validation_accuracy}


def _call(point: SweepPoint, job: Job) -> None:
    """Runs the trainer and appends its output to the log of the point."""
    log = job.log(point)
    log.parent.mkdir(parents=True, exist_ok=True)
    root = str(Path(zoo.__file__).parent.parent)
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    guard = (sys.executable, "-m", "zoo.sweeps.die_with_parent", str(os.getpid()))
    command = (sys.executable, "-m", job.trainer, *point.flags(), f"--output={job.output}")
    with log.with_suffix(".lock").open("w") as lock, log.open("ab") as stream:
        # The trainer inherits the lock, so even if this process dies, no second trainer can write
        # to the run folder.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if point.finished(job.output) is not None:
            return
        start = stream.tell()
        process = subprocess.Popen(
            [*guard, *command],
            cwd=job.cwd,
            env={**os.environ, "PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            pass_fds=(lock.fileno(),),
        )
        code = process.wait()
    if code != 0:
        raise Failed(_reason(code, log, start))


def _reason(code: int, log: Path, start: int) -> str:
    """Returns the last error in the log from byte `start`, or else its last line."""
    if code < 0:
        return f"the trainer was killed by {signal.Signals(-code).name}"
    with log.open("rb") as stream:
        stream.seek(start)
        lines = stream.read().decode(errors="replace").split("\n")
    messages = [line for line in lines if line.strip()] or [f"exit code {code}"]
    errors = [line for line in messages if line.startswith("error: ")]
    return one_line((errors or messages)[-1].removeprefix("error: "), _MAX_REASON_LENGTH)
