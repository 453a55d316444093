"""Engines for fixtures: a test is skipped where an engine does not work."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.processes import HANG_S
from zoo.errors import ZooError
from zoo.runtime.sandbox import Sandbox


def working(name: str) -> Iterator[Sandbox]:
    """Yields a sandbox of an engine, or skips the test and says what is missing.

    Args:
        name: A key of `zoo.runtime.engines.RUNTIMES`.
    """
    with Sandbox(name, HANG_S) as runner:
        try:
            runner.check()
        except ZooError as error:
            pytest.skip(str(error))
        yield runner
