"""Silences C++ libraries, which bypass Python's `sys.stderr`."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet() -> Iterator[None]:
    """Discards everything that the process writes to stderr; exceptions propagate unchanged.

    This affects all threads of the process.
    """
    sys.stderr.flush()
    with tempfile.TemporaryFile() as discarded:
        stderr = os.dup(2)
        os.dup2(discarded.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
