"""Trains the missing runs of a study, scores and publishes them. Does not import TensorFlow."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from zoo.catalog.precisions import BASE
from zoo.errors import ZooError, one_line
from zoo.io.files import write_text
from zoo.io.log import Log
from zoo.runtime.engines import COMPARED
from zoo.schema.artifact import Artifact
from zoo.schema.history import RunHistory
from zoo.schema.json_files import read_manifest, read_model, read_records
from zoo.schema.measurement import Accuracy
from zoo.schema.run import Run
from zoo.sweeps import logged_command
from zoo.sweeps.logged_command import Failed
from zoo.sweeps.study.plan import Study, StudyRun

PRECISIONS = (BASE, "int8")


@dataclass(frozen=True)
class Place:
    """Folders of a study.

    Attributes:
        into: Absolute path of the --output folder of all commands; it also has their logs.
        score: Whether trained networks are converted and scored.
        release: Absolute path of the release to publish to; None to publish nothing.
        commit: Whether each publication is committed to the release's git repository.
        engines: Engines on which published models must compute what they do on the CPU.
    """

    into: Path
    score: bool = True
    release: Path | None = None
    commit: bool = False
    engines: tuple[str, ...] = COMPARED

    def log(self, run: StudyRun) -> Path:
        """Returns the file for the output of a run's commands."""
        return self.into / "logs" / f"{run.name}.log"

    def failure(self, run: StudyRun) -> Path:
        """Returns the file with the reason why a run failed; it exists only if it did."""
        return self.into / "failures" / f"{run.name}.txt"


def published(run: StudyRun, trained: Run, place: Place) -> bool:
    """Returns whether the release has the training record of this very run."""
    if place.release is None:
        return False
    path = place.release / "runs" / f"{run.name}.json"
    if not path.is_file():
        return False
    history = read_model(path, RunHistory, "the training record", "publish the run again")
    return history.run.weights_sha256 == trained.weights_sha256


def scored(run: StudyRun, trained: Run, into: Path) -> bool:
    """Returns whether the files of a run have been converted and scored image by image."""
    hashes = set()
    for precision in PRECISIONS:
        path = into / "artifacts" / f"{run.name}-{precision}.json"
        if not path.is_file():
            return False
        manifest = read_manifest(path, Artifact, "convert the run again")
        if manifest.parent_sha256 != trained.weights_sha256:
            return False
        hashes.add(manifest.sha256)
    records = read_records(into / "results.jsonl")[0]
    return hashes <= {
        record.model_sha256
        for record in records
        if isinstance(record, Accuracy) and record.valid and record.correct is not None
    }


@dataclass
class Runner:
    """Runs the commands of a study. `pause`, `resume` and `stop` may be called by signal handlers.

    Attributes:
        study: The study.
        place: Its folders.
        log: Called with each progress message.
        jobs: Number of runs at the same time.
        trainer: Module that is run with the flags of `zoo train`.
    """

    study: Study
    place: Place
    log: Log
    jobs: int = 1
    trainer: ClassVar[str] = "scripts.train"
    _processes: set[subprocess.Popen[bytes]] = field(default_factory=set)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _going: threading.Event = field(default_factory=threading.Event)
    _publishing: threading.Lock = field(default_factory=threading.Lock)
    _stopped: bool = False

    def run(self) -> int:
        """Brings every run to its end.

        Returns:
            Number of runs that failed; the reason of each is in `Place.failure`.
        """
        self._going.set()
        with ThreadPoolExecutor(self.jobs) as pool:
            return sum(pool.map(self._finish, self.study.runs))

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._stopped

    def pause(self) -> None:
        """Stops the running commands until `resume`; they keep their memory, and start nothing."""
        with self._lock:
            self._going.clear()
            self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Continues what `pause` stopped."""
        with self._lock:
            self._signal(signal.SIGCONT)
            self._going.set()

    def stop(self) -> None:
        """Ends the running commands; `run` returns soon after."""
        with self._lock:
            self._stopped = True
            self._signal(signal.SIGTERM)
            self.resume()

    def _signal(self, number: int) -> None:
        for process in self._processes:
            if process.poll() is None:
                os.killpg(process.pid, number)

    def _finish(self, run: StudyRun) -> bool:
        """Takes the missing steps of a run; returns whether one failed."""
        if self._stopped:
            return False
        failure = self.place.failure(run)
        failure.unlink(missing_ok=True)
        try:
            self._steps(run)
        except (Failed, ZooError) as error:
            if self._stopped:
                return False
            reason = one_line(error)
            write_text(failure, f"{reason}\n")
            self.log(f"{run.name} failed: {reason}")
            return True
        return False

    def _steps(self, run: StudyRun) -> None:
        into = self.place.into
        trained = run.point.finished(into)
        if trained is None:
            self._command(run, self.trainer, run.point.flags())
            trained = run.point.finished(into)
            if trained is None:
                raise Failed(f"zoo train did not write this run, see {self.place.log(run)}")
            self.log(f"{run.name}: validation accuracy {100 * trained.validation_accuracy:.2f} %")
        if not self.place.score or published(run, trained, self.place):
            return
        if not scored(run, trained, into):
            files = ",".join(f"{run.name}-{precision}" for precision in PRECISIONS)
            self._command(
                run, "scripts.convert", (f"--run={run.name}", f"--precision={','.join(PRECISIONS)}")
            )
            self._command(run, "scripts.benchmark", (f"--artifact={files}", "--nolatency"))
        if self.place.release is not None:
            if run.files and self.place.engines:
                self._prove(run)
            with self._publishing:
                self._publish(run, self.place.release)

    def _prove(self, run: StudyRun) -> None:
        files = ",".join(f"{run.name}-{precision}" for precision in PRECISIONS)
        flags = (f"--artifact={files}", f"--runtime={','.join(self.place.engines)}")
        try:
            self._command(run, "scripts.prove", flags)
        except Failed as error:
            # Publishing refuses those files, and publishes the others and the training record.
            self.log(f"{run.name}: {error}")

    def _publish(self, run: StudyRun, release: Path) -> None:
        what = f"--precision={','.join(PRECISIONS)}" if run.files else "--history_only"
        engines = f"--engines={','.join(self.place.engines)}"
        flags = (f"--run={run.name}", what, f"--release={release}", engines)
        self._command(run, "scripts.publish", flags)
        self.log(f"{run.name}: published → {release}")
        if self.place.commit:
            git = ("git", "-C", str(release))
            self._git(*git, "add", "--all", "--", ".")
            # Only the release: what else is staged stays as it is.
            message = f"Publish the run {run.name}"
            self._git(*git, "commit", "--quiet", f"--message={message}", "--only", "--", ".")

    @staticmethod
    def _git(*command: str) -> None:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Failed(f"{' '.join(command[3:5])}: {one_line(done.stderr.strip(), 300)}")

    def _command(self, run: StudyRun, module: str, flags: Sequence[str]) -> None:
        self._going.wait()
        if self._stopped:
            raise Failed("stopped")
        threads = str(self.study.file.threads)
        started: list[subprocess.Popen[bytes]] = []

        def keep(process: subprocess.Popen[bytes]) -> None:
            started.append(process)
            with self._lock:
                self._processes.add(process)
                if not self._going.is_set():  # paused since it was started
                    os.killpg(process.pid, signal.SIGSTOP)

        try:
            logged_command.run(
                module,
                (*flags, f"--output={self.place.into}"),
                self.place.log(run),
                name=f"zoo {module.rpartition('.')[2]}",
                own_group=True,
                environment={
                    "TF_NUM_INTRAOP_THREADS": threads,
                    "TF_NUM_INTEROP_THREADS": "1",
                },
                started=keep,
            )
        finally:
            with self._lock:
                self._processes.difference_update(started)
