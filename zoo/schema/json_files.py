"""Reading and writing JSON files: run.json, manifests, result lines."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from zoo.errors import ZooError
from zoo.io.files import named, read_bytes
from zoo.schema.artifact import Artifact
from zoo.schema.measurement import Record
from zoo.schema.release import Checkpoint
from zoo.schema.result import RESULT, Result

MAX_JSON_BYTES = 16 * 2**20

M = TypeVar("M", bound=BaseModel)
N = TypeVar("N", Artifact, Checkpoint)


def read_model(path: Path, kind: type[M], what: str, remedy: str) -> M:
    """Reads and validates a JSON file.

    Args:
        path: File to read.
        kind: Pydantic model of its content.
        what: Noun phrase for error messages, for example "the manifest".
        remedy: What the user can do about a bad file.

    Raises:
        ZooError: if the file is missing, too large, not valid JSON or does not match `kind`.
    """
    data = read_bytes(path, what, MAX_JSON_BYTES, remedy)
    try:
        return kind.model_validate_json(data)
    except ValidationError as error:
        raise ZooError(
            f"{what} is not valid", where=path, got=first_problem(error), remedy=remedy
        ) from (error)


def read_manifest(path: Path, kind: type[N], remedy: str) -> N:
    """Reads a manifest with `read_model` and checks that it has the name of its file.

    Args:
        path: Manifest to read.
        kind: Pydantic model of its content.
        remedy: What the user can do about a bad manifest.

    Raises:
        ZooError: as `read_model`, or if the manifest describes another file.
    """
    manifest = read_model(path, kind, "the manifest", remedy)
    if manifest.name != path.stem:
        raise ZooError(
            "the manifest names another file",
            where=path,
            expected=path.stem,
            got=manifest.name,
            remedy=remedy,
        )
    return manifest


def first_problem(error: ValidationError) -> str:
    """Returns the first problem as "field: message", with the number of further ones."""
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    more = error.error_count() - 1
    return (f"{place}: " if place else "") + first["msg"] + (f" (and {more} more)" if more else "")


def append_record(path: Path, record: Record) -> None:
    """Appends a line to a JSON Lines file, in one write so that parallel writers don't mix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    line = (record.model_dump_json() + "\n").encode()
    handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        size = os.fstat(handle).st_size
        if size and os.pread(handle, 1, size - 1) != b"\n":  # an earlier write was cut off
            line = b"\n" + line
        with named(path):
            if os.write(handle, line) < len(line):  # the disk was full in the middle of the line
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(handle)
    finally:
        os.close(handle)


def read_records(path: Path) -> tuple[list[Result], list[str]]:
    """Reads all result lines of a JSON Lines file.

    Returns:
        The records, and one message for each invalid line, for example one that was edited or cut
        off by a crash. Invalid lines don't affect the others.

    Raises:
        ZooError: if the file is missing or too large.
    """
    remedy = "run zoo benchmark first, or name the right --output folder"
    data = read_bytes(path, "the results file", 512 * 2**20, remedy)
    records: list[Result] = []
    problems: list[str] = []
    for number, line in enumerate(data.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            records.append(RESULT.validate_json(line))
        except ValidationError as error:
            problems.append(f"{path}:{number}: not a result line: {first_problem(error)}")
    return records, problems
