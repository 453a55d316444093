"""Runs a command of this package in a child process whose output goes to a log file."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import zoo
from zoo.errors import one_line
from zoo.io.die_with_parent import guarded

_MAX_REASON_LENGTH = 300  # characters


class Failed(Exception):
    """The command failed. The message is one line with the reason."""


def run(
    module: str,
    arguments: Sequence[str],
    log: Path,
    *,
    name: str,
    cwd: Path | None = None,
    own_group: bool = False,
    environment: Mapping[str, str] | None = None,
    finished: Callable[[], bool] = lambda: False,
    started: Callable[[subprocess.Popen[bytes]], None] = lambda process: None,
) -> None:
    """Runs a module to its end, unless another process with the same log has finished it.

    The command ends together with the thread that called this, even if that is killed.

    Args:
        module: Module to run, for example `scripts.train`.
        arguments: Its command-line arguments.
        log: File to which the output is appended. A lock beside it is held by the command, so that
            no second one writes to the same files, even if this process dies.
        name: What the command is called in messages, for example "the trainer".
        cwd: Working directory; None for the current one.
        own_group: Whether it leads a process group of its own, so that a signal can be sent to it
            and its children alone.
        environment: Environment variables to add.
        finished: Called under the lock; the command is not run if it returns True.
        started: Called with the new process.

    Raises:
        Failed: if the command was killed, or its exit code is not 0.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    root = str(Path(zoo.__file__).parent.parent)
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    with log.with_suffix(".lock").open("w") as lock, log.open("ab") as stream:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if finished():
            return
        start = stream.tell()
        process = subprocess.Popen(
            guarded([sys.executable, "-m", module, *arguments]),
            cwd=cwd,
            env={**os.environ, **(environment or {}), "PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            pass_fds=(lock.fileno(),),
            process_group=0 if own_group else None,
        )
        started(process)
        code = process.wait()
    if code != 0:
        raise Failed(_reason(name, code, log, start))


def _reason(name: str, code: int, log: Path, start: int) -> str:
    """Returns the last error in the log from byte `start`, or else its last line."""
    if code < 0:
        return f"{name} was killed by {signal.Signals(-code).name}"
    with log.open("rb") as stream:
        stream.seek(start)
        lines = stream.read().decode(errors="replace").split("\n")
    messages = [line for line in lines if line.strip()] or [f"exit code {code}"]
    errors = [line for line in messages if line.startswith("error: ")]
    return one_line((errors or messages)[-1].removeprefix("error: "), _MAX_REASON_LENGTH)
