"""Silences or reads what C++ libraries print, which bypasses Python's `sys.stderr`."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_MOST_BYTES = 2**20


@contextmanager
def captured() -> Iterator[Callable[[], str]]:
    """Keeps everything that the process writes to stderr away from it.

    Exceptions propagate unchanged. This affects all threads of the process.

    Yields:
        A function that returns what was written until then, its last MiB.
    """
    sys.stderr.flush()
    with tempfile.TemporaryFile() as written:

        def text() -> str:
            size = os.fstat(written.fileno()).st_size
            start = max(0, size - _MOST_BYTES)
            return os.pread(written.fileno(), _MOST_BYTES, start).decode(errors="replace")

        stderr = os.dup(2)
        os.dup2(written.fileno(), 2)
        try:
            yield text
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


@contextmanager
def quiet() -> Iterator[None]:
    """Discards everything that the process writes to stderr; exceptions propagate unchanged.

    This affects all threads of the process.
    """
    with captured():
        yield
