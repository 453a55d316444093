"""Anonymous phone ids for results."""

from __future__ import annotations

import hashlib


def device_id(serial: str) -> str:
    """Returns a stable 12-digit id of a phone that does not reveal its serial number."""
    return hashlib.sha256(b"mobile-model-zoo phone\0" + serial.encode()).hexdigest()[:12]
