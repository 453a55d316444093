"""Clocks for the harness, so that no test depends on the speed of this computer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from android_bench.clock import Clock

_LATE = 20.0  # factor by which timeouts are longer than requested
_HURRY = 60.0  # factor by which they are shorter after `hurry`
_PAUSE_S = 0.04  # longest real duration of a pause


class TestClock(Clock):
    """A clock with long timeouts and short pauses.

    A slow computer therefore reaches no timeout by accident. A test that needs a timeout to expire
    calls `skip` or `hurry` once the situation that it tests is reached.
    """

    __test__ = False

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._pauses: list[float] = []
        self._at, self._said, self._rate = time.monotonic(), 0.0, 1 / _LATE

    def now(self) -> float:
        with self._changed:
            return self._now()

    def sleep(self, seconds: float) -> None:
        with self._changed:
            self._pauses.append(seconds)
            self._changed.notify_all()
        time.sleep(min(seconds, _PAUSE_S))

    def skip(self, seconds: float) -> None:
        """Advances the clock by `seconds` at once, so that current timeouts expire."""
        with self._changed:
            self._said += seconds

    def hurry(self) -> None:
        """Makes timeouts short from now on."""
        self._set_rate(_HURRY)

    def normal(self) -> None:
        """Makes timeouts long again and forgets the pauses so far."""
        self._set_rate(1 / _LATE)
        self._pauses.clear()

    @property
    def pauses(self) -> list[float]:
        """Durations of all pauses since the last `normal`, in seconds."""
        return list(self._pauses)

    def wait_for_pause(self, seconds: float, times: int = 1) -> None:
        """Waits until `times` more pauses of exactly `seconds` have begun."""
        with self._changed:
            before = self._pauses.count(seconds)
            self._changed.wait_for(lambda: self._pauses.count(seconds) >= before + times)

    def wait_for_next_pause(self) -> None:
        """Waits until one more pause has begun, so the harness is waiting."""
        with self._changed:
            before = len(self._pauses)
            self._changed.wait_for(lambda: len(self._pauses) > before)

    def wait_for_pauses(self, count: int) -> list[float]:
        """Waits for `count` pauses since the last `normal` and returns all of them, in seconds."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._pauses) >= count)
            return list(self._pauses)

    def _now(self) -> float:
        return self._said + (time.monotonic() - self._at) * self._rate

    def _set_rate(self, rate: float) -> None:
        with self._changed:
            self._said, self._at, self._rate = self._now(), time.monotonic(), rate


class PausingClock(TestClock):
    """A clock with long timeouts whose pauses are delegated to a function.

    Args:
        pause: Called with the duration of each pause in seconds.
    """

    def __init__(self, pause: Callable[[float], None]) -> None:
        super().__init__()
        self._pause = pause

    def sleep(self, seconds: float) -> None:
        self._pause(seconds)
