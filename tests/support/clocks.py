"""Clocks for the harness: with them no test depends on how fast this computer is."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from android_bench.clock import Clock

_LATE = 20.0  # times as long as it says is every limit
_HURRY = 60.0  # times as short, where nothing can come any more
_PAUSE_S = 0.04  # that a pause takes at most


class TestClock(Clock):
    """Limits come late and pauses are short, until a test says that there is nothing to wait for.

    A limit that is to be reached is reached by `skip` or `hurry`, when what it is for has happened.
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
        """Lets so much pass at once: what is being waited for now comes to its limit."""
        with self._changed:
            self._said += seconds

    def hurry(self) -> None:
        """From now on limits come soon."""
        self._set_rate(_HURRY)

    def normal(self) -> None:
        """From now on limits come late."""
        self._set_rate(1 / _LATE)
        self._pauses.clear()

    @property
    def pauses(self) -> list[float]:
        """All that were asked for since the last `normal`."""
        return list(self._pauses)

    def wait_for_pause(self, seconds: float, times: int = 1) -> None:
        """Returns when so many pauses of that length have begun from now on."""
        with self._changed:
            before = self._pauses.count(seconds)
            self._changed.wait_for(lambda: self._pauses.count(seconds) >= before + times)

    def wait_for_next_pause(self) -> None:
        """Returns when one more pause has begun: whoever waits does so by now."""
        with self._changed:
            before = len(self._pauses)
            self._changed.wait_for(lambda: len(self._pauses) > before)

    def wait_for_pauses(self, count: int) -> list[float]:
        """The pauses since the last `normal`, as soon as there were so many."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._pauses) >= count)
            return list(self._pauses)

    def _now(self) -> float:
        return self._said + (time.monotonic() - self._at) * self._rate

    def _set_rate(self, rate: float) -> None:
        with self._changed:
            self._said, self._at, self._rate = self._now(), time.monotonic(), rate


class PausingClock(TestClock):
    """Limits come late; whoever pauses waits as `pause` does."""

    def __init__(self, pause: Callable[[float], None]) -> None:
        super().__init__()
        self._pause = pause

    def sleep(self, seconds: float) -> None:
        self._pause(seconds)
