"""What a source of released files is: a Protocol, and reading one into a sink."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Protocol, TypeVar

from zoo.errors import ZooError

if TYPE_CHECKING:
    pass


BLOCK_BYTES = 2**20

T = TypeVar("T")


class SourceError(ZooError):
    """A source that does not give what it should; another one may."""


class Sink(Protocol):
    """Where a file goes, block by block."""

    @property
    def done(self) -> int:
        """Bytes that are there."""
        ...

    def write(self, block: bytes) -> object:
        """Appends."""
        ...

    def restart(self) -> None:
        """Forgets what is there."""
        ...


class ReleaseSource(Protocol):
    """A release's files by their path from its index."""

    name: str

    def read(self, place: str, limit: int) -> bytes:
        """A whole small file.

        Raises:
            SourceError: it can't be had, or has over `limit` bytes.
        """
        ...

    def copy(self, place: str, size: int, out: Sink) -> None:
        """Gives what `out` has not yet.

        Args:
            place: the file's path.
            size: bytes that it must have.
            out: where they go; restarted where the source starts from the beginning.

        Raises:
            SourceError: as soon as it gives other than `size` bytes in all; what came is kept.
        """
        ...


def pour(
    blocks: Iterator[bytes],
    left: int,
    write: Callable[[bytes], object],
    where: str,
    exactly: bool = True,
) -> None:
    """Writes the blocks, at most `left` bytes of them."""
    promised = left
    for block in blocks:
        if len(block) > left:
            raise SourceError("more bytes than promised", where=where, expected=f"{promised} bytes")
        write(block)
        left -= len(block)
    if left and exactly:
        raise SourceError(
            "fewer bytes than promised",
            where=where,
            expected=f"{promised} bytes",
            got=f"{promised - left} bytes",
        )
