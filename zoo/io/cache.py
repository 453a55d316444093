"""Where downloads are kept."""

from __future__ import annotations

import os
from pathlib import Path

ELSEWHERE = "free some space, or set MODEL_ZOO_CACHE to a folder that can be written"


def folder() -> Path:
    """$MODEL_ZOO_CACHE, else mobile-model-zoo in $XDG_CACHE_HOME or ~/.cache."""
    if own := os.environ.get("MODEL_ZOO_CACHE"):
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "mobile-model-zoo"
