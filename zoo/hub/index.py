"""Reads the index of a release and resolves the names of models in it. Transfers no other file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from pydantic import ValidationError

from zoo.errors import UnknownNameError, ZooError
from zoo.hub.source import ReleaseSource, SourceError
from zoo.schema.json_files import first_problem
from zoo.schema.release import INDEX, MAX_INDEX_BYTES, Entry, Index

T = TypeVar("T")


def index(sources: Sequence[ReleaseSource]) -> Index:
    """Returns the index of the first source with a valid one.

    Raises:
        ZooError: if no source has a valid index.
    """

    def read(source: ReleaseSource) -> Index:
        try:
            return Index.model_validate_json(source.read(INDEX, MAX_INDEX_BYTES))
        except ValidationError as error:
            raise SourceError(
                "the index is not valid", where=source.name, got=first_problem(error)
            ) from error

    return first(sources, read)


def chosen(
    release: Index, names: Iterable[str], precisions: Sequence[str] = (), all_: bool = False
) -> list[Entry]:
    """Selects entries of a release, without duplicates.

    Args:
        release: Index of the release.
        names: Names of files, or of runs, which select all files of the run.
        precisions: Selects only these precisions, which each named run must have. Checkpoints have
            the precision `checkpoint` and are selected only if it is given or they are named.
        all_: Selects all runs, each in those of the precisions that it has.

    Raises:
        UnknownNameError: if a name or a precision of a run does not exist.
        ZooError: if a run has only checkpoints and they are not requested.
    """
    known = {entry.precision for entry in release.entries}
    for precision in precisions:
        if precision not in known:
            raise UnknownNameError("--precision", precision, known)
    selected: dict[str, Entry] = {}
    for name in [*names, *(["*"] if all_ else [])]:
        named = [entry for entry in release.entries if entry.name == name]
        group = [entry for entry in release.entries if name in ("*", entry.run)]
        if not named and not group:
            raise UnknownNameError(
                "model", name, {label for e in release.entries for label in (e.name, e.run)}
            )
        requested = precisions or known - {"checkpoint"}
        selected |= {e.name: e for e in named or group if named or e.precision in requested}
        if named or name == "*":
            continue
        available = {entry.precision for entry in group}
        for precision in precisions:
            if precision not in available:
                raise UnknownNameError(f"precision of {name}", precision, available)
        if available.isdisjoint(requested):
            raise ZooError(
                "the run has only checkpoints", where=name, remedy="add --precision=checkpoint"
            )
    return list(selected.values())


def first(sources: Sequence[ReleaseSource], get: Callable[[ReleaseSource], T]) -> T:
    """Returns the result of `get` for the first source that does not fail.

    Args:
        sources: Sources in order of preference.
        get: Called with each source in turn.

    Raises:
        SourceError: if all sources fail or there are none; lists the reasons.
    """
    problems = []
    for source in sources:
        try:
            return get(source)
        except SourceError as error:
            problems.append(error)
    if len(problems) == 1:
        raise problems[0]
    raise SourceError(
        "all sources failed" if problems else "no source is given",
        got="; ".join(str(problem) for problem in problems) or None,
        remedy="give --source=URL or a folder with index.json",
    )
