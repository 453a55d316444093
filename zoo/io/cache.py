"""The cache folder of downloads."""

from __future__ import annotations

import os
from pathlib import Path

ELSEWHERE = "free some space, or set MODEL_ZOO_CACHE to a writable folder"


def folder() -> Path:
    """Returns $MODEL_ZOO_CACHE, or else mobile-model-zoo in $XDG_CACHE_HOME or ~/.cache."""
    if configured := os.environ.get("MODEL_ZOO_CACHE"):
        return Path(configured)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "mobile-model-zoo"
