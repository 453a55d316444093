"""What is made once in a test run, by whichever process needs it first, and read by all."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that `make` has filled; nobody may write into it afterwards.

    Where `make` fails, its error is the first test's, and the others that need it are skipped.

    Args:
        factory: pytest's `tmp_path_factory`.
        name: of the folder.
        make: gets the folder's path, which does not exist yet.
    """
    base = factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    done, failed = (folder.with_name(f"{name}.{word}") for word in ("done", "failed"))
    with FileLock(f"{folder}.lock"):
        if failed.exists():
            pytest.skip(f"{name} could not be made, which fails another test")
        if not done.exists():
            failed.touch()  # unless it goes well
            make(folder)
            failed.rename(done)
    return folder
