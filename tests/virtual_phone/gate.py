"""Where a run of the tool stops until something has happened: in order, not at some time."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from collections.abc import Callable
from pathlib import Path


class Gate:
    """Stops the next run of the tool in its midst, calls `action` and lets it go on.

    The tool opens the pipe `gate.told` and then asks for the lock of `gate`; neither polls.

    Args:
        folder: where the tool looks for both.
        action: what happens meanwhile, in a thread of the gate.
        errors: gets what it raises.
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
        """Gives up a run that did not come, and waits for an action that has begun."""
        self._cancelled = True
        with contextlib.suppress(OSError):  # nobody waits for a run any more
            os.close(os.open(self._told, os.O_WRONLY | os.O_NONBLOCK))
        self._thread.join()

    def _run(self) -> None:
        with self._told.open("rb") as told:
            told.read()
        self._told.unlink()
        try:
            if not self._cancelled:
                self._action()
        except Exception as error:  # it would be lost with the thread
            self._errors.append(error)
        finally:
            self._gate.unlink()
            self._lock.close()
