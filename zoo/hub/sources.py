"""Sources of releases: a local folder or an untrusted web server.

A source never provides more bytes than requested. A server that stalls, breaks off, reports a wrong
size, sends the wrong range or redirects to another host causes a one-line error, but no unbounded
memory use and no wrong file.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from zoo.errors import ZooError
from zoo.hub.http_source import WebSource
from zoo.hub.source import BLOCK_BYTES, ReleaseSource, Sink, SourceError, pour


def source(name: str, timeout_s: float = 30.0, hosts: tuple[str, ...] = ()) -> ReleaseSource:
    """Creates a source from its address: http://…, https://… or a folder.

    Args:
        name: Address of the folder that contains index.json.
        timeout_s: Maximum time without data from a server, in seconds.
        hosts: Other hosts that the server may redirect to, for example a CDN.

    Raises:
        ZooError: if the address has another scheme.
    """
    if name.startswith(("http://", "https://")):
        return WebSource(name, timeout_s, hosts)
    if "://" in name:
        raise ZooError("unsupported address", where=name, expected="http, https or a folder")
    return FolderSource(Path(name))


class FolderSource:
    """A release in a local folder."""

    def __init__(self, folder: Path):
        self.name, self._folder = str(folder), folder

    def read(self, place: str, limit: int) -> bytes:
        """See `ReleaseSource`."""
        path = self._folder / place
        try:
            with path.open("rb") as file:
                content = file.read(limit + 1)
        except OSError as error:
            raise SourceError("cannot read the file", where=path, got=error.strerror) from error
        if len(content) > limit:
            raise SourceError(
                "the file is too large", where=path, expected=f"at most {limit} bytes"
            )
        return content

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
            raise SourceError("cannot read the file", where=path, got=error.strerror) from error
