"""Folders that are created once per test run and shared by all test processes."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """Returns a folder that `make` has filled. Tests must not write into it.

    The first process that needs the folder calls `make`. If that fails, the test there fails with
    its error, and other tests that need the folder are skipped.

    Args:
        factory: pytest's `tmp_path_factory`.
        name: Name of the folder.
        make: Called with the path of the folder, which does not exist yet.
    """
    base = factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    done, failed = (folder.with_name(f"{name}.{word}") for word in ("done", "failed"))
    with FileLock(f"{folder}.lock"):
        if failed.exists():
            pytest.skip(f"creating {name} failed in another test")
        if not done.exists():
            failed.touch()  # renamed if `make` succeeds
            make(folder)
            failed.rename(done)
    return folder
