"""Datasets: registration, download, decoding and splits.

`from zoo import data` offers the most used functions. They are imported on first use, because they
need NumPy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoo.data.dataset import (
        DATASETS,
        Dataset,
        check_name,
        fetch,
        load,
        normalize,
        of,
        of_run,
        seen,
    )

__all__ = [
    "DATASETS",
    "Dataset",
    "check_name",
    "fetch",
    "load",
    "normalize",
    "of",
    "of_run",
    "seen",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("zoo.data.dataset"), name)
