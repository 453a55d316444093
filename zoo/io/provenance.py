"""What goes into every result line beside the result itself."""

from __future__ import annotations

import importlib.metadata
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

# Every package whose version can change a result. Only those installed are recorded.
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
    """The exact command and the versions it ran with."""

    command: tuple[str, ...]
    versions: dict[str, str]

    @classmethod
    def here(cls) -> Provenance:
        """This process's command, in the form that the README uses, and its versions."""
        spec = getattr(sys.modules["__main__"], "__spec__", None)
        program = ("python", "-m", spec.name) if spec else (sys.argv[0],)
        return cls(command=(*program, *sys.argv[1:]), versions=versions())

    def fields(self) -> dict[str, Any]:
        """The record's fields `time_utc`, `command` and `versions`, with the present time."""
        return {
            "time_utc": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": self.command,
            "versions": self.versions,
        }


def versions() -> dict[str, str]:
    """Versions of Python and of the installed packages that matter, without importing them."""
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
