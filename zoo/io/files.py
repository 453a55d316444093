"""Atomic writes, and reads of untrusted files."""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zoo.errors import ZooError

MAX_MODEL_BYTES = 2 * 2**30  # limit of FlatBuffers, whose offsets have 32 bits


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Adds `path` to disk-full errors of the block; the system does not name the file."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            error.filename = str(path)
        raise


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yields a temporary path in the same folder that replaces `path` if the block succeeds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle, name = tempfile.mkstemp(
            dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix
        )
    except OSError as error:
        error.filename = str(path)  # the temporary path would mean nothing to the user
        raise
    os.close(handle)
    temporary = Path(name)
    try:
        with named(path):
            yield temporary
            temporary.chmod(0o644)
            with temporary.open("rb") as stream:
                os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Atomically replaces the content of `path`."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Atomically replaces the content of `path`, encoded as UTF-8."""
    write_bytes(path, text.encode())


def sha256_of(path: Path) -> str:
    """Returns the SHA-256 of a file in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def read_bytes(path: Path, what: str, limit: int, remedy: str) -> bytes:
    """Reads a regular file.

    Args:
        path: File to read.
        what: Noun phrase for error messages, for example "the manifest".
        limit: Maximum size in bytes.
        remedy: What the user can do about a bad file.

    Raises:
        ZooError: if the file is missing, unreadable, not a regular file or too large.
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
