"""Writing files so that a reader never sees half of one, and reading ones that can't be trusted."""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zoo.errors import ZooError

MAX_MODEL_BYTES = 2 * 2**30  # a flatbuffer's offsets are 32 bits


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Adds the path to the error of a write that finds the disk full: the system names no file."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            error.filename = str(path)
        raise


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path` that replaces it when the block ends without error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle, name = tempfile.mkstemp(
            dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix
        )
    except OSError as error:
        error.filename = str(path)  # nobody knows the temporary one
        raise
    os.close(handle)
    temporary = Path(name)
    try:
        with named(path):
            yield temporary
            temporary.chmod(0o644)
            with temporary.open("rb") as written:
                os.fsync(written.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Replaces `path` by `data` in one step."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Replaces `path` by `text`, UTF-8, in one step."""
    write_bytes(path, text.encode())


def sha256_of(path: Path) -> str:
    """The file's SHA-256 in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def read_bytes(path: Path, what: str, limit: int, remedy: str) -> bytes:
    """The content of a regular file of at most `limit` bytes.

    Raises:
        ZooError: it is missing, unreadable or too large.
    """
    try:
        size = path.stat().st_size
        if not path.is_file():
            raise ZooError(f"{what} is not a file", where=path, remedy=remedy)
        if size > limit:
            raise ZooError(
                f"{what} is too large",
                where=path,
                expected=f"at most {limit} bytes",
                got=size,
                remedy=remedy,
            )
        return path.read_bytes()
    except OSError as error:
        raise ZooError(
            f"cannot read {what}", where=path, got=error.strerror, remedy=remedy
        ) from error
