"""The clock of the tool: real time, or the simulated time of its phone."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path


class Clock:
    """Real time."""

    def now_ns(self) -> int:
        return time.perf_counter_ns()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def unevenness(self) -> float:
        """Returns a factor for the latency of an inference; real sleeps vary by themselves."""
        return 1.0

    def gate(self) -> bool:
        """Pauses the run for an action of the test; False if this clock does not support it."""
        return False


class PhoneClock(Clock):
    """Simulated time of a phone; see tests/virtual_phone/simulated.py."""

    def __init__(self, folder: Path):
        self._sleepers = os.open(folder / "sleepers", os.O_WRONLY)
        reply = folder / f"sleeper.{os.getpid()}"
        reply.unlink(missing_ok=True)  # left by a killed process with the same ID
        os.mkfifo(reply)
        self._reply = os.open(reply, os.O_RDWR)
        self._draw = random.Random(1)
        self._ask("0")
        self.began_ns = self._now_ns

    def now_ns(self) -> int:
        return self._now_ns

    def sleep(self, seconds: float) -> None:
        self._ask(f"{seconds!r}")

    def unevenness(self) -> float:
        return self._draw.uniform(1.0, 1.05)

    def gate(self) -> bool:
        self._ask("gate")
        return True

    def _ask(self, wish: str) -> None:
        os.write(self._sleepers, f"{os.getpid()}+ {wish}\n".encode())
        self._now_ns = round(1e9 * float(os.read(self._reply, 100)))


def clock(folder: Path) -> Clock:
    """Returns the clock for a phone's state folder."""
    return PhoneClock(folder) if (folder / "sleepers").exists() else Clock()
