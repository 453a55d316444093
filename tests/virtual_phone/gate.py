"""Pauses a run of the tool at a defined point until an action of the test is done."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from collections.abc import Callable
from pathlib import Path


class Gate:
    """Pauses the next run of the tool after some inferences, calls `action` and resumes the run.

    The tool opens the pipe `gate.told` and then waits for the lock of the file `gate`, so neither
    side polls.

    Args:
        folder: Folder in which the tool looks for the pipe and the file.
        action: Called in the gate's thread while the tool is paused.
        errors: Exceptions of `action` are appended to this list.
    """

    def __init__(self, folder: Path, action: Callable[[], object], errors: list[Exception]):
        self._told, self._gate = folder / "gate.told", folder / "gate"
        self._action, self._errors = action, errors
        self._cancelled = False
        self._lock = self._gate.open("w")
        self._gate.chmod(0o666)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        os.mkfifo(self._told)
        self._told.chmod(0o666)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stops waiting for a run, or waits for the end of an action that has begun."""
        self._cancelled = True
        with contextlib.suppress(OSError):  # the thread no longer waits for a run
            os.close(os.open(self._told, os.O_WRONLY | os.O_NONBLOCK))
        self._thread.join()

    def _run(self) -> None:
        with self._told.open("rb") as told:
            told.read()
        self._told.unlink()
        try:
            if not self._cancelled:
                self._action()
        except Exception as error:  # otherwise lost at the end of the thread
            self._errors.append(error)
        finally:
            self._gate.unlink()
            self._lock.close()
