"""Progress messages of long tasks."""

from __future__ import annotations

from collections.abc import Callable

Log = Callable[[str], None]  # called with each progress message, one line of text
