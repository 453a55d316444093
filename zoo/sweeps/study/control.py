"""Who runs the study in a folder, and how another process pauses it. Linux and macOS."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout
from pydantic import ValidationError

from zoo.errors import ZooError
from zoo.io.files import read_bytes, write_text
from zoo.schema.base import Strict
from zoo.sweeps.study.runner import Runner

_STATE = "running.json"
_LOCK = ".lock"
_POLL_S = 0.05
_PAUSE, _CONTINUE = signal.SIGUSR1, signal.SIGUSR2


class State(Strict):
    """Content of the state file: the process that runs the study, and whether it is paused."""

    pid: int
    state: Literal["running", "paused"] = "running"


@contextmanager
def controlled(runner: Runner) -> Iterator[None]:
    """Context manager in which other processes can pause the study and only one can run it.

    Ctrl-C and SIGTERM stop the runner, which ends the block early without an error.

    Raises:
        ZooError: if another process runs the study in this folder.
    """
    folder = runner.place.into
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / _STATE

    def said(state: Literal["running", "paused"]) -> None:
        write_text(path, State(pid=os.getpid(), state=state).model_dump_json() + "\n")

    def pause(*_: object) -> None:
        runner.pause()
        said("paused")

    def resume(*_: object) -> None:
        runner.resume()
        said("running")

    handlers = {
        _PAUSE: pause,
        _CONTINUE: resume,
        signal.SIGINT: lambda *_: runner.stop(),
        signal.SIGTERM: lambda *_: runner.stop(),
    }
    try:
        with FileLock(folder / _LOCK, timeout=0):
            former = {number: signal.signal(number, act) for number, act in handlers.items()}
            try:
                said("running")
                yield
            finally:
                path.unlink(missing_ok=True)
                for number, handler in former.items():
                    signal.signal(number, handler)
    except Timeout as error:
        raise ZooError(
            "this study is already running",
            where=folder,
            remedy="see zoo study --status, or stop it with --stop",
        ) from error


def state(folder: Path) -> State | None:
    """Returns which process runs the study in a folder, or None if none does.

    Raises:
        ZooError: if the state file is damaged.
    """
    if not (folder / _LOCK).exists():
        return None
    try:
        with FileLock(folder / _LOCK, timeout=0):
            return None
    except Timeout:
        pass
    path = folder / _STATE
    try:
        return State.model_validate_json(read_bytes(path, "the state of the study", 4096, "wait"))
    except ValidationError as error:
        raise ZooError("the state of the study is damaged", where=path) from error


def pause(folder: Path) -> None:
    """Pauses the study in a folder; returns when its commands stand still.

    Raises:
        ZooError: if no study runs there.
    """
    _send(folder, _PAUSE, "paused")


def resume(folder: Path) -> None:
    """Continues a paused study.

    Raises:
        ZooError: if no study runs there.
    """
    _send(folder, _CONTINUE, "running")


def stop(folder: Path) -> None:
    """Ends the study in a folder; returns when nothing of it runs any more.

    Raises:
        ZooError: if no study runs there.
    """
    _send(folder, signal.SIGTERM, None)


def _send(folder: Path, number: signal.Signals, wanted: str | None) -> None:
    """Signals the process that runs the study, and waits until its state is as wanted."""
    now = state(folder)
    if now is None:
        raise ZooError("no study runs here", where=folder, remedy="start it with zoo study FILE")
    os.kill(now.pid, number)
    while now is not None and now.state != wanted:
        time.sleep(_POLL_S)
        now = state(folder)
