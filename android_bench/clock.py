"""What waiting on a phone goes by."""

from __future__ import annotations

import time


class Clock:
    """This computer's time: limits are reckoned with it, and pauses made.

    All that waits for a phone goes by the clock of its `Adb`, so that whoever has another time (a
    phone that lives faster, a computer that is slower) gives another one.
    """

    def now(self) -> float:
        """Seconds since some moment; never falls."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Lets so much of it pass."""
        time.sleep(seconds)
