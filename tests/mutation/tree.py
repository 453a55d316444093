"""A copy of the work tree in which one file at a time is changed, and pytest runs in it."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

_MARK = "MODEL_ZOO_MUTATION"


@dataclass(frozen=True)
class Ended:
    """The exit code of pytest, None if it was stopped, and its output."""

    code: int | None
    output: str

    @property
    def failed(self) -> str | None:
        """The first failed test or test file in the summary, None for none."""
        # xdist appends `@` and the group, which is the name of the file.
        match = re.search(r"^(?:FAILED|ERROR) (\S+?\.py)(::.*?)?(?: - .*)?$", self.output, re.M)
        if match is None:
            return None
        file, test = match[1], match[2] or ""
        return file + test.removesuffix(f"@{Path(file).name}")


class Tree:
    """A copy of the work tree, which a `with` block creates and removes."""

    def __init__(self, root: Path):
        self._root = root
        self._temporary = tempfile.TemporaryDirectory(
            prefix="mutation_", ignore_cleanup_errors=True
        )
        self.folder = Path(self._temporary.name) / "tree"
        # In the environment of all processes that tests start.
        self._mark = uuid.uuid4().hex

    def __enter__(self) -> Tree:
        for name in _listed(self._root, "--cached", "--others"):
            source, target = self._root / name, self.folder / name
            # git also lists deleted files, and a .venv that is a link.
            if name != ".venv" and (source.is_symlink() or source.is_file()):
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target, follow_symlinks=False)
        (self.folder / ".venv").symlink_to(self._root / ".venv")
        shared = self._root.parent / "shared"  # tests expect large files there
        if shared.exists():
            (self.folder.parent / "shared").symlink_to(shared)
        return self

    def __exit__(self, *_: object) -> None:
        self._temporary.cleanup()

    def modules(self, packages: Sequence[str]) -> dict[str, bytes]:
        """Returns the source of the packages' modules tracked by git, by path."""
        return modules(self._root, packages, self.folder)

    def tests(self) -> dict[str, str]:
        """Returns the text of the test files by path."""
        paths = sorted((self.folder / "tests").rglob("test_*.py"))
        return {str(path.relative_to(self.folder)): path.read_text() for path in paths}

    @contextlib.contextmanager
    def changed(self, path: str, content: bytes) -> Iterator[None]:
        """Changes the content of a file within a `with` block."""
        file = self.folder / path
        original = file.read_bytes()
        try:
            self._write(file, content)
            yield
        finally:
            self._write(file, original)

    def _write(self, file: Path, content: bytes) -> None:
        file.write_bytes(content)
        # Python compares only the time in seconds and the size, which a fault may not change.
        for compiled in (file.parent / "__pycache__").glob(f"{file.stem}.*.pyc"):
            compiled.unlink()

    def pytest(self, arguments: Sequence[str], limit_s: float) -> Ended:
        """Runs pytest for at most `limit_s`, and kills all processes that it leaves running."""
        # Hypothesis would otherwise start with examples that failed for another fault.
        shutil.rmtree(self.folder / ".hypothesis", ignore_errors=True)
        code: int | None = None
        with tempfile.TemporaryFile() as printed:
            process = subprocess.Popen(
                [self.folder / ".venv" / "bin" / "python", "-m", "pytest", *arguments],
                cwd=self.folder, env={**os.environ, _MARK: self._mark, "COLUMNS": "1000"},
                stdin=subprocess.DEVNULL, stdout=printed, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip
            try:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    code = process.wait(limit_s)
            finally:
                self._end_all()
                process.wait()
            printed.seek(0)
            return Ended(code, printed.read().decode(errors="replace"))

    def _end_all(self) -> None:
        """Kills all processes with the mark, repeatedly because they may start others."""
        mark = f"{_MARK}={self._mark}".encode()
        while True:
            pids = [
                int(folder.name) for folder in Path("/proc").glob("[0-9]*") if _has(folder, mark)
            ]
            if not pids:
                return
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)


def modules(root: Path, packages: Sequence[str], folder: Path | None = None) -> dict[str, bytes]:
    """Returns the source of the packages' modules tracked by git, by path.

    Args:
        root: Root of the work tree.
        packages: Folders of the packages.
        folder: Folder to read the files from; None for `root`.
    """
    sources = {}
    for name in _listed(root, "--cached", *packages):
        path = (folder or root) / name
        if path.suffix == ".py" and path.is_file():
            sources[name] = path.read_bytes()
    return sources


def _listed(root: Path, *words: str) -> list[str]:
    done = subprocess.run(
        ["git", "ls-files", "-z", "--exclude-standard", *words],  # noqa: S607 - as installed
        cwd=root, check=True, capture_output=True,
    )  # fmt: skip
    return [name for name in done.stdout.decode().split("\0") if name]


def _has(process: Path, mark: bytes) -> bool:
    try:
        return mark in (process / "environ").read_bytes().split(b"\0")
    except OSError:  # it has ended, or belongs to another user
        return False
