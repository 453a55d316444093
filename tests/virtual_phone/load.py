"""What a virtual phone's cores do besides inferences, as its /proc/stat tells it."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from tests.virtual_phone.tree import stat_text

_STEP_S = 0.05


class OtherLoad:
    """Counts the busy time of other work; `cores` may change at any time.

    The tool's own time is left out, since most of what it does here is sleeping.
    """

    def __init__(self) -> None:
        self.cores = 0.0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, stat: Path) -> None:
        self._thread = threading.Thread(target=self._run, args=(stat,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=5)

    def _run(self, stat: Path) -> None:
        busy_s, last = 0.0, time.monotonic()
        while not self._stop.wait(_STEP_S):
            now = time.monotonic()
            if self.cores:
                busy_s += self.cores * (now - last)
                # In place: the phone has this very file mounted.
                with stat.open("r+") as file:
                    file.write(stat_text(busy_s))
            last = now
