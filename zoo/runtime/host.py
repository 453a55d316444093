"""This computer as the device of a result line."""

from __future__ import annotations

import platform
from functools import cache

from zoo.io.cpu import cpu_name
from zoo.schema.measurement import Device


@cache
def device() -> Device:
    """Returns this computer as a device: its CPU and platform, without the host name."""
    return Device(
        kind="host",
        id="host",
        name=cpu_name(),
        details={"system": platform.platform(), "machine": platform.machine()},
    )
