"""The tool's time: the computer's, or that of a phone which has its own."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path


class Clock:
    """The computer's."""

    def now_ns(self) -> int:
        return time.perf_counter_ns()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def unevenness(self) -> float:
        """By which factor an inference takes longer than it should; sleeping does it by itself."""
        return 1.0

    def gate(self) -> bool:
        """Stops in the midst of a run; False where that is not for the clock to do."""
        return False


class PhoneClock(Clock):
    """A phone's own: see tests/virtual_phone/simulated.py."""

    def __init__(self, folder: Path):
        self._sleepers = os.open(folder / "sleepers", os.O_WRONLY)
        reply = folder / f"sleeper.{os.getpid()}"
        reply.unlink(missing_ok=True)  # of one with the same number, which was killed
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
    """That of the phone whose tool looks into this folder."""
    return PhoneClock(folder) if (folder / "sleepers").exists() else Clock()
