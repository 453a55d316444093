"""What a virtual phone's cores do besides inferences, as its /proc/stat tells it."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from tests.support.processes import HANG_S
from tests.virtual_phone.tree import stat_text

_STEP_S = 0.05


class OtherLoad:
    """Counts the busy time of other work; `cores` may change at any time.

    The tool's own time is left out, since most of what it does here is sleeping.
    """

    def __init__(self) -> None:
        self.cores = 0.0
        self._busy_s = 0.0
        self._counted = threading.Condition()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def wait_until(self, core_s: float) -> None:
        """Returns when the cores have been busy for so many seconds together from now on."""
        with self._counted:
            wanted_s = self._busy_s + core_s
            self._counted.wait_for(lambda: self._busy_s >= wanted_s, HANG_S)

    def start(self, stat: Path) -> None:
        """Counts as this computer's time passes."""
        self._stat = stat
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def follow(self, stat: Path, now_s: float) -> None:
        """Counts as `advance` tells what time it is."""
        self._stat, self._last_s = stat, now_s

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=HANG_S)

    def advance(self, now_s: float) -> None:
        """It is that time."""
        with self._counted:
            if self.cores and now_s > self._last_s:
                self._busy_s += self.cores * (now_s - self._last_s)
                # In place: the phone has this very file mounted.
                with self._stat.open("r+") as file:
                    file.write(stat_text(self._busy_s))
                self._counted.notify_all()
            self._last_s = now_s

    def _run(self) -> None:
        self._last_s = time.monotonic()
        while not self._stop.wait(_STEP_S):
            self.advance(time.monotonic())
