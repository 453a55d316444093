"""The id by which results name a phone."""

from __future__ import annotations

import hashlib


def device_id(serial: str) -> str:
    """A short name for a phone that does not give its serial number away, the same every time."""
    return hashlib.sha256(b"mobile-model-zoo phone\0" + serial.encode()).hexdigest()[:12]
