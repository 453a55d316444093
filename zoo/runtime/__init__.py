"""Runs `.tflite` files with the engines of `zoo.runtime.engines`, here or in a child process.

`from zoo import runtime` offers the most used functions. They are imported on first use, because
they need NumPy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoo.runtime.engines import (
        ACCELERATORS,
        COMPARED,
        DELEGATES,
        INTERPRETERS,
        RUNTIMES,
        check,
        delegates,
        load,
        load_any,
        placement,
        version,
    )
    from zoo.runtime.net import Net

__all__ = [
    "ACCELERATORS", "COMPARED", "DELEGATES", "INTERPRETERS", "RUNTIMES", "Net", "check",
    "delegates", "load", "load_any", "placement", "version",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = "net" if name == "Net" else "engines"
    return getattr(import_module(f"zoo.runtime.{module}"), name)
