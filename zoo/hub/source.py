"""Protocols for sources of released files and for the sinks they are copied to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol, TypeVar

from zoo.errors import ZooError

BLOCK_BYTES = 2**20

T = TypeVar("T")


class SourceError(ZooError):
    """A source failed to provide a file; another source may succeed."""


class Sink(Protocol):
    """Receives the content of a file in blocks."""

    @property
    def done(self) -> int:
        """Number of bytes received so far."""
        ...

    def write(self, block: bytes) -> object:
        """Appends a block."""
        ...

    def restart(self) -> None:
        """Discards all bytes received so far."""
        ...


class ReleaseSource(Protocol):
    """The files of a release, by their paths in its index."""

    name: str

    def read(self, place: str, limit: int) -> bytes:
        """Reads a small file.

        Args:
            place: Path of the file.
            limit: Maximum size in bytes.

        Raises:
            SourceError: if the file is not available or larger than `limit`.
        """
        ...

    def copy(self, place: str, size: int, out: Sink) -> None:
        """Copies a file, starting after the bytes that `out` already has.

        Args:
            place: Path of the file.
            size: Exact size of the file in bytes.
            out: Receives the bytes; restarted if the source must start from the beginning.

        Raises:
            SourceError: if the transfer fails or the total differs from `size`. `out` keeps the
                bytes received so far.
        """
        ...


def pour(
    blocks: Iterator[bytes],
    left: int,
    write: Callable[[bytes], object],
    where: str,
    exactly: bool = True,
) -> None:
    """Writes blocks until they end, at most `left` bytes.

    Args:
        blocks: Blocks of the file.
        left: Maximum number of bytes.
        write: Called with each block.
        where: Address of the file, shown in error messages.
        exactly: Whether fewer than `left` bytes are an error.

    Raises:
        SourceError: if there are more than `left` bytes, or fewer with `exactly`.
    """
    expected = left
    for block in blocks:
        if len(block) > left:
            raise SourceError("more bytes than expected", where=where, expected=f"{expected} bytes")
        write(block)
        left -= len(block)
    if left and exactly:
        raise SourceError(
            "fewer bytes than expected",
            where=where,
            expected=f"{expected} bytes",
            got=f"{expected - left} bytes",
        )
