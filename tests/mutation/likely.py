"""Finds the tests that are most likely to detect a fault in a module, by the names in them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath


def likely(module: str, tests: Mapping[str, str]) -> list[str]:
    """Returns the test files that name a module.

    Args:
        module: Path of the module.
        tests: Text of the test files by path.
    """
    named = re.compile("|".join(_names(PurePosixPath(module))), re.MULTILINE)
    return [path for path, text in tests.items() if named.search(text)]


def waves(
    module: str, tests: Mapping[str, str], modules: Mapping[str, str], count: int = 3
) -> list[list[str]]:
    """Returns the test files that name a module or are named after it, then more distant ones.

    Args:
        module: Path of the module.
        tests: Text of the test files by path.
        modules: Text of the modules by path.
        count: Number of waves. Each is one import further away: tests that name the module, tests
            that name a module that names it, and so on.
    """
    result: list[list[str]] = []
    near, seen = {module}, {module}
    for number in range(count):
        named = {test for each in near for test in likely(each, tests)}
        if number == 0:
            named |= {test for test in tests if is_named_after(test, module)}
        result.append(sorted(named - {test for wave in result for test in wave}))
        near = {name for each in near for name in likely(each, modules)} - seen
        seen |= near
    return result


def is_named_after(test: str, module: str) -> bool:
    """Returns whether a test file's name contains the name of the module."""
    return f"_{PurePosixPath(module).stem}_" in f"{PurePosixPath(test).stem}_"


def _names(path: PurePosixPath) -> list[str]:
    words = path.with_suffix("").parts
    if words[-1] == "__init__":
        words = words[:-1]
    *packages, name = words
    file = re.escape(str(path))
    if not packages:  # the name of a package is in all of its modules
        return [file, rf"^\s*import {name}\b(?!\.)"]
    package = re.escape(".".join(packages))
    patterns = [
        file,
        rf"(?<![\w.]){package}\.{name}\b",
        rf"\bfrom {package} import (?:\([^)]*|[^(\n]*)\b{name}\b",
    ]
    if packages == ["scripts"]:
        patterns.append(rf"\bcommand\(\s*[\"']{name}[\"']")
    return patterns
