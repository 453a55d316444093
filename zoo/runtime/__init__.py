"""Runs `.tflite` files with LiteRT or tflite_runtime, in this process or in a child process.

`from zoo import runtime` offers the most used functions. They are imported on first use, because
they need NumPy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoo.runtime.interpreter import DELEGATES, RUNTIMES, Net, load, placement, version

__all__ = ["DELEGATES", "RUNTIMES", "Net", "load", "placement", "version"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("zoo.runtime.interpreter"), name)
