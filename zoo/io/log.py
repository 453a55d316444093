"""What a long task tells while it goes on."""

from __future__ import annotations

from collections.abc import Callable

Log = Callable[[str], None]  # gets one line of text at a time
