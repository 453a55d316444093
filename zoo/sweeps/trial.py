"""One point, in a worker of Ray: the trainer in a process of its own. No TensorFlow."""

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
_REASON = 300  # letters


class Failed(Exception):
    """The trainer did not leave a run; says why in one line."""


@dataclass(frozen=True)
class Job:
    """What every trial needs.

    Attributes:
        sweep: makes a point of a trial's values.
        output: absolute; OUTPUT/runs/NAME will be the run.
        folder: of the sweep, for the trainers' logs.
        trainer: module that is run with the point's flags.
        cwd: where flags that name files are relative to.
    """

    sweep: Sweep
    output: Path
    folder: Path
    trainer: str
    cwd: Path

    def log(self, point: SweepPoint) -> Path:
        """Where the trainer's lines go."""
        return self.folder / "logs" / f"{point.name}.log"


def train(values: Mapping[str, Argument], job: Job) -> dict[str, float]:
    """Trains the point of these values, goes on with its run, or takes it as it is if finished.

    Raises:
        Failed: with the trainer's own reason.
    """
    point = job.sweep.point(values)
    run = point.finished(job.output)
    if run is None:
        _call(point, job)
        run = point.finished(job.output)
    if run is None:
        raise Failed(f"the trainer left no such run, see {job.log(point)}")
    return {METRIC: run.validation_accuracy}


def _call(point: SweepPoint, job: Job) -> None:
    log = job.log(point)
    log.parent.mkdir(parents=True, exist_ok=True)
    root = str(Path(zoo.__file__).parent.parent)
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    guard = (sys.executable, "-m", "zoo.sweeps.die_with_parent", str(os.getpid()))
    command = (sys.executable, "-m", job.trainer, *point.flags(), f"--output={job.output}")
    with log.with_suffix(".lock").open("w") as lock, log.open("ab") as stream:
        # The trainer inherits the lock: whatever dies, no second one writes into the run's folder.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if point.finished(job.output) is not None:
            return
        begun = stream.tell()
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
        raise Failed(_reason(code, log, begun))


def _reason(code: int, log: Path, begun: int) -> str:
    if code < 0:
        return f"the trainer was killed by {signal.Signals(-code).name}"
    with log.open("rb") as stream:
        stream.seek(begun)
        lines = stream.read().decode(errors="replace").split("\n")
    said = [line for line in lines if line.strip()] or [f"exit code {code}"]
    errors = [line for line in said if line.startswith("error: ")]
    return one_line((errors or said)[-1].removeprefix("error: "), _REASON)
