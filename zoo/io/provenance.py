"""Provenance of results: time, command and versions, recorded in every result line."""

from __future__ import annotations

import importlib.metadata
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

# Packages whose version can affect results. Only the installed ones are recorded.
_PACKAGES = (
    "mobile-model-zoo",
    "adbutils",
    "ai-edge-litert",
    "numpy",
    "tensorflow",
    "tensorflow-model-optimization",
    "tf-keras",
    "tflite-runtime",
)


@dataclass(frozen=True)
class Provenance:
    """The exact command, and the package versions it ran with."""

    command: tuple[str, ...]
    versions: dict[str, str]

    @classmethod
    def here(cls) -> Provenance:
        """Returns this process's command, as `python -m …` where possible, and versions."""
        spec = getattr(sys.modules["__main__"], "__spec__", None)
        program = ("python", "-m", spec.name) if spec else (sys.argv[0],)
        return cls(command=(*program, *sys.argv[1:]), versions=versions())

    def fields(self) -> dict[str, Any]:
        """Returns the fields `time_utc` (now), `command` and `versions` of a record."""
        return {
            "time_utc": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": self.command,
            "versions": self.versions,
        }


def versions() -> dict[str, str]:
    """Returns the versions of Python and of the relevant packages, without importing these."""
    installed = {"python": ".".join(map(str, sys.version_info[:3]))}
    for package in _PACKAGES:
        try:
            installed[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return installed
