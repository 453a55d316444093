"""Downloads files of a release, checks their SHA-256 and stores them atomically.

    FOLDER/artifacts/NAME.tflite, .json     complete, checked files, as in a release
    FOLDER/checkpoints/NAME.safetensors, .json
    FOLDER/.partial/SHA256                  incomplete downloads, resumed by the next attempt

The index has the size and hash of every file. Its paths are validated and cannot leave the folder
(`zoo.schema.release`). A container is never unpacked to more than the size in the index.
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

from zoo.errors import ZooError
from zoo.hub.index import first
from zoo.hub.source import ReleaseSource, SourceError
from zoo.io import cache
from zoo.io.files import sha256_of, write_bytes
from zoo.schema.artifact import Artifact
from zoo.schema.json_files import MAX_JSON_BYTES, first_problem
from zoo.schema.release import Checkpoint, Entry, ReleaseFile

_ATTEMPTS = 3  # per source; each resumes where the previous one stopped
_PARALLEL = 4
_BLOCK = 2**20


@dataclass(frozen=True)
class Progress:
    """Callbacks for the progress of downloads, called from several threads.

    Attributes:
        more: Called with the name of an entry and the number of further bytes, which is negative if
            bytes were discarded.
        ended: Called once per entry with its name and the outcome in words.
    """

    more: Callable[[str, int], None] = lambda name, size: None
    ended: Callable[[str, str], None] = lambda name, words: None


def fetch(
    entries: Sequence[Entry],
    sources: Sequence[ReleaseSource],
    folder: Path,
    progress: Progress = Progress(),
) -> tuple[dict[str, Path], list[ZooError]]:
    """Downloads entries into a folder, several at a time.

    Args:
        entries: Entries of the index.
        sources: Sources, tried in order for each file.
        folder: Destination folder.
        progress: Callbacks for the progress.

    Returns:
        The path of each downloaded file by its name, and the errors of the remaining entries.
    """
    paths: dict[str, Path] = {}
    problems: list[ZooError] = []

    def fetch_entry(entry: Entry) -> Path | ZooError:
        try:
            return _entry(entry, sources, folder, progress)
        except ZooError as error:
            progress.ended(entry.name, "failed")
            return error

    with ThreadPoolExecutor(_PARALLEL) as pool:
        for entry, result in zip(entries, pool.map(fetch_entry, entries), strict=True):
            if isinstance(result, ZooError):
                problems.append(result)
            else:
                paths[entry.name] = result
    return paths, problems


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
                words = "already downloaded"
            else:
                words = _fetch_file(entry, sources, path, partial, progress)
            write_bytes(path.with_suffix(".json"), manifest)
        Path(f"{partial}.lock").unlink(missing_ok=True)
    except OSError as error:
        raise ZooError(
            "cannot save the download", where=path, got=error.strerror, remedy=cache.ELSEWHERE
        ) from error
    progress.ended(entry.name, words)
    return path


def _fetch_file(
    entry: Entry, sources: Sequence[ReleaseSource], path: Path, partial: Path, progress: Progress
) -> str:
    """Downloads a file, unpacks it if it is packed, and returns the outcome in words."""
    first(sources, lambda source: _download(entry, source, partial, progress))
    path.parent.mkdir(parents=True, exist_ok=True)
    if entry.download == entry.file:
        partial.replace(path)
        return f"{entry.download.bytes:,} bytes"
    whole = partial.with_name(f"{entry.file.sha256}.whole")
    try:
        with partial.open("rb") as packed, whole.open("wb") as out:
            from zoo.container import unpack  # imports the entropy coder, rarely needed

            unpack.unpack(packed, out, entry.file.bytes)
        size, digest = whole.stat().st_size, sha256_of(whole)
        if (size, digest) != (entry.file.bytes, entry.file.sha256):
            raise _mismatch(entry.file, size, digest, entry.name)
        whole.replace(path)
    finally:
        whole.unlink(missing_ok=True)
        partial.unlink(missing_ok=True)
    return f"{entry.download.bytes:,} bytes, unpacked to {entry.file.bytes:,}"


class _Partial:
    """An incomplete download. Hashes the bytes as they arrive, so the file is read only once.

    Args:
        path: Path of the file. The content left by an earlier attempt is kept unless it is too
            large.
        size: Size of the complete file in bytes.
        report: Called with the number of further bytes, which is negative if bytes are discarded.
    """

    def __init__(self, path: Path, size: int, report: Callable[[int], None]):
        self._stream = path.open("r+b" if path.exists() else "w+b")
        self._report, self.done, self._hash = report, 0, sha256()
        existing = fstat(self._stream.fileno()).st_size
        if existing > size:
            self.restart()
            existing = 0
        while self.done < existing and (block := self._stream.read(_BLOCK)):
            self._add(block)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def write(self, block: bytes) -> None:
        self._stream.write(block)
        self._add(block)

    def restart(self) -> None:
        self._stream.seek(0)
        self._stream.truncate()
        self._report(-self.done)
        self.done, self._hash = 0, sha256()

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()

    def holds(self, file: ReleaseFile) -> bool:
        return (self.done, self.digest) == (file.bytes, file.sha256)

    def _add(self, block: bytes) -> None:
        self._hash.update(block)
        self.done += len(block)
        self._report(len(block))


def _download(entry: Entry, source: ReleaseSource, partial: Path, progress: Progress) -> None:
    """Completes the partial file from one source.

    If the download was resumed with bytes of another source or an earlier run and its hash is
    wrong, either part may be at fault, so the whole file is requested from this source.
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
                mismatch = _mismatch(entry.download, out.done, out.digest, source.name)
                out.restart()  # resuming from wrong bytes would fail again
                raise mismatch
        except SourceError:
            if out.done:  # the next source resumes from these bytes and reports them again
                progress.more(entry.name, -out.done)
            else:
                partial.unlink()
            raise


def _fill(entry: Entry, source: ReleaseSource, out: _Partial) -> None:
    """Completes the partial file, with several attempts."""
    for attempt in range(_ATTEMPTS):
        before = out.done
        try:
            if before < entry.download.bytes:
                source.copy(entry.download.path, entry.download.bytes, out)
            return
        except SourceError:
            # Another attempt makes sense only if this one made progress.
            if attempt == _ATTEMPTS - 1 or out.done <= before:
                raise


def _mismatch(file: ReleaseFile, size: int, digest: str, where: str) -> SourceError:
    return SourceError(
        "the file does not match the index",
        where=f"{where}: {file.path}",
        expected=f"{file.bytes} bytes, sha256 {file.sha256}",
        got=f"{size} bytes" if size != file.bytes else f"sha256 {digest}",
    )


def _manifest(entry: Entry, source: ReleaseSource) -> bytes:
    """Reads the manifest and checks that it matches the index and describes the entry's file."""
    file = entry.manifest
    content = source.read(file.path, min(file.bytes, MAX_JSON_BYTES))
    where = f"{source.name}: {file.path}"
    if (got := sha256(content).hexdigest()) != file.sha256:
        raise SourceError(
            "the manifest does not match the index",
            where=where,
            expected=f"sha256 {file.sha256}",
            got=got,
        )
    form: type[Artifact] | type[Checkpoint] = Artifact if entry.kind == "tflite" else Checkpoint
    try:
        manifest: Any = form.model_validate_json(content)
    except ValidationError as error:
        raise SourceError(
            "the manifest is not valid", where=where, got=first_problem(error)
        ) from error
    expected = (entry.name, entry.file.sha256, entry.file.bytes)
    if (manifest.name, manifest.sha256, manifest.bytes) != expected:
        raise SourceError("the manifest describes another file", where=where, got=manifest.name)
    return content
