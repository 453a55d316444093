"""Writing files so that a reader never sees half of one, and reading ones that can't be trusted."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from zoo.errors import ZooError
from zoo.types import RESULT, Record, Result

MAX_JSON_BYTES = 16 * 2**20
MAX_MODEL_BYTES = 2 * 2**30  # a flatbuffer's offsets are 32 bits

M = TypeVar("M", bound=BaseModel)


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path` that replaces it when the block ends without error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
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


def read_model(path: Path, kind: type[M], what: str, remedy: str) -> M:
    """A strict pydantic model from a JSON file.

    Raises:
        ZooError: it is missing, too large, no JSON, or not of that form.
    """
    data = read_bytes(path, what, MAX_JSON_BYTES, remedy)
    try:
        return kind.model_validate_json(data)
    except ValidationError as error:
        raise ZooError(f"{what} is not valid", where=path, got=_first(error), remedy=remedy) from (
            error
        )


def _first(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    more = error.error_count() - 1
    return (f"{place}: " if place else "") + first["msg"] + (f" (and {more} more)" if more else "")


def append_record(path: Path, record: Record) -> None:
    """Appends one line to a JSON Lines file, in one write, so that parallel writers don't mix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    line = (record.model_dump_json() + "\n").encode()
    handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        size = os.fstat(handle).st_size
        if size and os.pread(handle, 1, size - 1) != b"\n":  # a writer died in mid-line
            line = b"\n" + line
        os.write(handle, line)
        os.fsync(handle)
    finally:
        os.close(handle)


def read_records(path: Path) -> tuple[list[Result], list[str]]:
    """All result lines of a JSON Lines file.

    Returns:
        the records, and one message for each line that is not a record (cut off by a crash, or
        edited), so that one bad line costs only itself.

    Raises:
        ZooError: the file is missing or too large.
    """
    remedy = "run python -m scripts.benchmark first, or name the right --output folder"
    data = read_bytes(path, "the results file", 512 * 2**20, remedy)
    records: list[Result] = []
    problems: list[str] = []
    for number, line in enumerate(data.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            records.append(RESULT.validate_json(line))
        except ValidationError as error:
            problems.append(f"{path}:{number}: not a result line: {_first(error)}")
    return records, problems
