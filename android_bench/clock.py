"""The clock that all waiting on a phone uses."""

from __future__ import annotations

import time


class Clock:
    """The host's monotonic clock: measures timeouts and sleeps.

    All code that waits for a phone uses the clock of its `Adb`, so a different clock can be passed
    in for simulated phones or slow computers.
    """

    def now(self) -> float:
        """Returns seconds since an arbitrary moment; never decreases."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Blocks for `seconds` of this clock's time."""
        time.sleep(seconds)
