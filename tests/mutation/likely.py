"""Which tests most likely see a fault of a module: those whose text names it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath


def likely(module: str, tests: Mapping[str, str]) -> list[str]:
    """The test files that name a module.

    Args:
        module: its path.
        tests: text of the test files by path.
    """
    named = re.compile("|".join(_names(PurePosixPath(module))), re.MULTILINE)
    return [path for path, text in tests.items() if named.search(text)]


def is_named_after(test: str, module: str) -> bool:
    """Whether a test file has the module's name in its own: the quickest to find a fault."""
    return f"_{PurePosixPath(module).stem}_" in f"{PurePosixPath(test).stem}_"


def _names(path: PurePosixPath) -> list[str]:
    words = path.with_suffix("").parts
    if words[-1] == "__init__":
        words = words[:-1]
    *packages, name = words
    file = re.escape(str(path))
    if not packages:  # its own modules name it all the time
        return [file, rf"^\s*import {name}\b(?!\.)"]
    package = re.escape(".".join(packages))
    found = [
        file,
        rf"(?<![\w.]){package}\.{name}\b",
        rf"\bfrom {package} import (?:\([^)]*|[^(\n]*)\b{name}\b",
    ]
    if packages == ["scripts"]:
        found.append(rf"\bcommand\(\s*[\"']{name}[\"']")
    return found
