"""Changes a release as a whole: readers see the previous release until the change is complete."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zoo.schema.release import INDEX

_FOLDERS = ("artifacts", "checkpoints", "labels", "cards", "sensitivity", "runs")
_FILES = ("results.jsonl", "index.html", INDEX)


@contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """Yields a copy of a release to change, which replaces it if the block ends without an error.

    New files are installed first, then the index, and old files are deleted last. The index thus
    never names missing files, even if the process is killed. Unrelated files in the folder stay.

    Args:
        folder: The release. It may not exist yet.
    """
    folder = folder.resolve()
    copy = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(copy, ignore_errors=True)  # left behind by a killed process
    copy.mkdir(parents=True)
    try:
        for name in _FOLDERS:
            if (folder / name).is_dir():
                shutil.copytree(folder / name, copy / name, copy_function=_link)
        for name in _FILES:
            if (folder / name).is_file():
                _link(folder / name, copy / name)
        yield copy
        _install(copy, folder)
    finally:
        shutil.rmtree(copy, ignore_errors=True)


def _link(source: str | Path, target: str | Path) -> None:
    """Hard-links a file, which is safe because release files are replaced, never modified."""
    try:
        os.link(source, target)
    except OSError:  # the file system has no hard links
        shutil.copy2(source, target)


def _install(copy: Path, folder: Path) -> None:
    new = {path.relative_to(copy) for path in copy.rglob("*") if path.is_file()}
    for name in sorted(new, key=lambda name: (name == Path(INDEX), name)):
        target = folder / name
        if not (target.is_file() and target.samefile(copy / name)):
            target.parent.mkdir(parents=True, exist_ok=True)
            (copy / name).replace(target)
    for part in _FOLDERS:
        for path in (folder / part).rglob("*"):
            if path.is_file() and path.relative_to(folder) not in new:
                path.unlink()
