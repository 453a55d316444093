"""Which tests most likely see a fault of a module: those that name it, or what imports it."""

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


def waves(
    module: str, tests: Mapping[str, str], modules: Mapping[str, str], count: int = 3
) -> list[list[str]]:
    """The test files that name a module or are named after it, then those that name what does.

    Args:
        module: its path.
        tests: text of the test files by path.
        modules: text of the modules by path.
        count: of the waves; each is one import further away.
    """
    found: list[list[str]] = []
    near, seen = {module}, {module}
    for number in range(count):
        named = {test for each in near for test in likely(each, tests)}
        if number == 0:
            named |= {test for test in tests if is_named_after(test, module)}
        found.append(sorted(named - {test for wave in found for test in wave}))
        near = {name for each in near for name in likely(each, modules)} - seen
        seen |= near
    return found


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
