"""Where releases come from: a folder, or a web server, which is not trusted with anything.

A source gives at most the bytes that it was asked for: a server that stalls, cuts off, lies about a
size, sends another part or points to another host costs a line, no memory and no file.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import ZooError
from zoo.hub.http_source import WebSource
from zoo.hub.source import BLOCK_BYTES, ReleaseSource, Sink, SourceError, pour

if TYPE_CHECKING:
    pass


def source(name: str, timeout_s: float = 30.0, hosts: tuple[str, ...] = ()) -> ReleaseSource:
    """A source by its address: http://…, https://…, or a folder.

    Args:
        name: the address of the folder that index.json is in.
        timeout_s: how long a server may be silent.
        hosts: others that it may redirect to, as a hub's content network.

    Raises:
        ZooError: another kind of address.
    """
    if name.startswith(("http://", "https://")):
        return WebSource(name, timeout_s, hosts)
    if "://" in name:
        raise ZooError("an address of another kind", where=name, expected="http, https or a folder")
    return FolderSource(Path(name))


class FolderSource:
    """A folder of this computer."""

    def __init__(self, folder: Path):
        self.name, self._folder = str(folder), folder

    def read(self, place: str, limit: int) -> bytes:
        """See `ReleaseSource`."""
        path = self._folder / place
        try:
            with path.open("rb") as file:
                found = file.read(limit + 1)
        except OSError as error:
            raise SourceError("no such file", where=path, got=error.strerror) from error
        if len(found) > limit:
            raise SourceError("the file is too large", where=path, expected=f"{limit} bytes")
        return found

    def copy(self, place: str, size: int, out: Sink) -> None:
        """See `ReleaseSource`."""
        path = self._folder / place
        pour(self._blocks(path, out.done), size - out.done, out.write, str(path))

    def _blocks(self, path: Path, done: int) -> Iterator[bytes]:
        try:
            with path.open("rb") as file:
                file.seek(done)
                while block := file.read(BLOCK_BYTES):
                    yield block
        except OSError as error:
            raise SourceError("can't copy", where=path, got=error.strerror) from error
