"""Downloads of a release: nothing is used before its SHA-256 is right, nothing is half-written.

    FOLDER/artifacts/NAME.tflite, .json     what is whole and checked, as in a release
    FOLDER/checkpoints/NAME.safetensors, .json
    FOLDER/.partial/SHA256                  what was begun; the next attempt goes on with it

The index names every file with its size and hash, its own names are bounded and can't leave the
folder (`zoo.schema.release`), and a container is unpacked to no more than the size that was named.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from os import fstat
from pathlib import Path
from typing import Any, Self

from filelock import FileLock
from pydantic import ValidationError

from zoo.container import unpack
from zoo.errors import ZooError
from zoo.hub.index import first
from zoo.hub.source import ReleaseSource, SourceError
from zoo.io import cache
from zoo.io.files import sha256_of, write_bytes
from zoo.schema.artifact import Artifact
from zoo.schema.json_files import MAX_JSON_BYTES, first_problem
from zoo.schema.release import Checkpoint, Entry, ReleaseFile

_ATTEMPTS = 3  # at one source, each of which goes on where the last one broke off
_PARALLEL = 4
_BLOCK = 2**20


@dataclass(frozen=True)
class Progress:
    """Who is told what happens: `more(name, bytes)` and, at last, `ended(name, words)`."""

    more: Callable[[str, int], None] = lambda name, size: None
    ended: Callable[[str, str], None] = lambda name, words: None


def fetch(
    entries: Sequence[Entry],
    sources: Sequence[ReleaseSource],
    folder: Path,
    progress: Progress = Progress(),
) -> tuple[dict[str, Path], list[ZooError]]:
    """Brings entries into a folder, several at a time.

    Args:
        entries: of the index.
        sources: tried in order, for each file.
        folder: gets them.
        progress: is told of it, from several threads.

    Returns:
        Name → the file, for those that are there now; and why others are not.
    """
    found: dict[str, Path] = {}
    problems: list[ZooError] = []

    def one(entry: Entry) -> Path | ZooError:
        try:
            return _entry(entry, sources, folder, progress)
        except ZooError as error:
            progress.ended(entry.name, "failed")
            return error

    with ThreadPoolExecutor(_PARALLEL) as pool:
        for entry, result in zip(entries, pool.map(one, entries), strict=True):
            if isinstance(result, ZooError):
                problems.append(result)
            else:
                found[entry.name] = result
    return found, problems


def _entry(
    entry: Entry, sources: Sequence[ReleaseSource], folder: Path, progress: Progress
) -> Path:
    kind, suffix = (
        ("artifacts", ".tflite") if entry.kind == "tflite" else ("checkpoints", ".safetensors")
    )
    path = folder / kind / f"{entry.name}{suffix}"
    partial = folder / ".partial" / entry.download.sha256
    try:
        partial.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{partial}.lock"):
            manifest = first(sources, lambda source: _manifest(entry, source))
            if path.is_file() and sha256_of(path) == entry.file.sha256:
                words = "was there"
            else:
                words = _bring(entry, sources, path, partial, progress)
            write_bytes(path.with_suffix(".json"), manifest)
        Path(f"{partial}.lock").unlink(missing_ok=True)
    except OSError as error:
        raise ZooError(
            "can't keep the download", where=path, got=error.strerror, remedy=cache.ELSEWHERE
        ) from error
    progress.ended(entry.name, words)
    return path


def _bring(
    entry: Entry, sources: Sequence[ReleaseSource], path: Path, partial: Path, progress: Progress
) -> str:
    first(sources, lambda source: _download(entry, source, partial, progress))
    path.parent.mkdir(parents=True, exist_ok=True)
    if entry.download == entry.file:
        partial.replace(path)
        return f"{entry.download.bytes:,} bytes"
    whole = partial.with_name(f"{entry.file.sha256}.whole")
    try:
        with partial.open("rb") as packed, whole.open("wb") as out:
            unpack.unpack(packed, out, entry.file.bytes)
        size, digest = whole.stat().st_size, sha256_of(whole)
        if (size, digest) != (entry.file.bytes, entry.file.sha256):
            raise _another(entry.file, size, digest, entry.name)
        whole.replace(path)
    finally:
        whole.unlink(missing_ok=True)
        partial.unlink(missing_ok=True)
    return f"{entry.download.bytes:,} bytes, unpacked to {entry.file.bytes:,}"


class _Partial:
    """A file that is on its way, and the hash of what has come, so that it is read but once.

    Args:
        path: what an earlier attempt left there is taken as it is, unless it is too large.
        size: bytes of the whole.
        told: gets the number of bytes that came, or, below zero, that were thrown away.
    """

    def __init__(self, path: Path, size: int, told: Callable[[int], None]):
        self._stream = path.open("r+b" if path.exists() else "w+b")
        self._told, self.done, self._hash = told, 0, sha256()
        begun = fstat(self._stream.fileno()).st_size
        if begun > size:
            self.restart()
            begun = 0
        while self.done < begun and (block := self._stream.read(_BLOCK)):
            self._came(block)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def write(self, block: bytes) -> None:
        self._stream.write(block)
        self._came(block)

    def restart(self) -> None:
        self._stream.seek(0)
        self._stream.truncate()
        self._told(-self.done)
        self.done, self._hash = 0, sha256()

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()

    def holds(self, file: ReleaseFile) -> bool:
        return (self.done, self.digest) == (file.bytes, file.sha256)

    def _came(self, block: bytes) -> None:
        self._hash.update(block)
        self.done += len(block)
        self._told(len(block))


def _download(entry: Entry, source: ReleaseSource, partial: Path, progress: Progress) -> None:
    """Fills the partial file from one source.

    Where that goes on with bytes of another source or of an earlier run, and the whole is wrong,
    nobody knows whose fault it is: this source is then asked for all of it.
    """
    size = entry.download.bytes
    with _Partial(partial, size, lambda count: progress.more(entry.name, count)) as out:
        resumed = out.done > 0
        try:
            _fill(entry, source, out)
            if resumed and not out.holds(entry.download):
                out.restart()
                _fill(entry, source, out)
            if not out.holds(entry.download):
                wrong = _another(entry.download, out.done, out.digest, source.name)
                out.restart()  # what was wrong stays wrong
                raise wrong
        except SourceError:
            if out.done:  # another source finds it there, and tells of it again
                progress.more(entry.name, -out.done)
            else:
                partial.unlink()
            raise


def _fill(entry: Entry, source: ReleaseSource, out: _Partial) -> None:
    """Brings the partial file to its size, in a few attempts."""
    for attempt in range(_ATTEMPTS):
        before = out.done
        try:
            if before < entry.download.bytes:
                source.copy(entry.download.path, entry.download.bytes, out)
            return
        except SourceError:
            # Another attempt makes sense where the last one brought something.
            if attempt == _ATTEMPTS - 1 or out.done <= before:
                raise


def _another(file: ReleaseFile, size: int, digest: str, where: str) -> SourceError:
    return SourceError(
        "not the file that the index names",
        where=f"{where}: {file.path}",
        expected=f"{file.bytes} bytes, sha256 {file.sha256}",
        got=f"{size} bytes" if size != file.bytes else f"sha256 {digest}",
    )


def _manifest(entry: Entry, source: ReleaseSource) -> bytes:
    """The manifest, which must be of the file that the index names."""
    file = entry.manifest
    content = source.read(file.path, min(file.bytes, MAX_JSON_BYTES))
    where = f"{source.name}: {file.path}"
    if (got := sha256(content).hexdigest()) != file.sha256:
        raise SourceError(
            "not the manifest that the index names",
            where=where,
            expected=f"sha256 {file.sha256}",
            got=got,
        )
    form: type[Artifact] | type[Checkpoint] = Artifact if entry.kind == "tflite" else Checkpoint
    try:
        told: Any = form.model_validate_json(content)
    except ValidationError as error:
        raise SourceError(
            "the manifest is not valid", where=where, got=first_problem(error)
        ) from error
    if (told.name, told.sha256, told.bytes) != (entry.name, entry.file.sha256, entry.file.bytes):
        raise SourceError("the manifest is of another file", where=where, got=told.name)
    return content
