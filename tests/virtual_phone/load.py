"""CPU load of a virtual phone besides inferences, as shown in its /proc/stat."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from tests.support.processes import HANG_S
from tests.virtual_phone.tree import stat_text

_STEP_S = 0.05


class OtherLoad:
    """Counts the CPU time of other work in the phone's /proc/stat.

    The tool's own CPU time is not counted, because here it mostly sleeps.

    Attributes:
        cores: Number of busy cores; may be changed at any time.
    """

    def __init__(self) -> None:
        self.cores = 0.0
        self._busy_s = 0.0
        self._counted = threading.Condition()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def wait_until(self, core_s: float) -> None:
        """Waits until the cores have used another `core_s` seconds of CPU time in total."""
        with self._counted:
            target_s = self._busy_s + core_s
            self._counted.wait_for(lambda: self._busy_s >= target_s, HANG_S)

    def start(self, stat: Path) -> None:
        """Counts in real time, in the file `stat`."""
        self._stat = stat
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def follow(self, stat: Path, now_s: float) -> None:
        """Counts in simulated time, which `advance` sets, in the file `stat`."""
        self._stat, self._last_s = stat, now_s

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=HANG_S)

    def advance(self, now_s: float) -> None:
        """Adds the busy time up to `now_s`."""
        with self._counted:
            if self.cores and now_s > self._last_s:
                self._busy_s += self.cores * (now_s - self._last_s)
                # In place, because this file is mounted in the phone.
                with self._stat.open("r+") as file:
                    file.write(stat_text(self._busy_s))
                self._counted.notify_all()
            self._last_s = now_s

    def _run(self) -> None:
        self._last_s = time.monotonic()
        while not self._stop.wait(_STEP_S):
            self.advance(time.monotonic())
