"""What a release has: its index, and what a user's names stand for. No file is transferred."""

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
    """The index of the first source that has a good one.

    Raises:
        ZooError: none has.
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
    """The entries that are asked for, each once.

    Args:
        release: what there is.
        names: of files, or of runs, which stand for all their files.
        precisions: only these, which each run must have; checkpoints are the precision
            `checkpoint`, and are left out where a run is named without it.
        all_: everything, each run in those of the precisions that it has.

    Raises:
        UnknownNameError: there is no such name, or no such precision of it.
        ZooError: a run has checkpoints alone, and they are not asked for.
    """
    known = {entry.precision for entry in release.entries}
    for precision in precisions:
        if precision not in known:
            raise UnknownNameError("--precision", precision, known)
    found: dict[str, Entry] = {}
    for name in [*names, *(["*"] if all_ else [])]:
        named = [entry for entry in release.entries if entry.name == name]
        group = [entry for entry in release.entries if name in ("*", entry.run)]
        if not named and not group:
            raise UnknownNameError(
                "model", name, {each for e in release.entries for each in (e.name, e.run)}
            )
        wanted = precisions or known - {"checkpoint"}
        found |= {e.name: e for e in named or group if named or e.precision in wanted}
        if named or name == "*":
            continue
        has = {entry.precision for entry in group}
        for precision in precisions:
            if precision not in has:
                raise UnknownNameError(f"precision of {name}", precision, has)
        if has.isdisjoint(wanted):
            raise ZooError("only checkpoints", where=name, remedy="add --precision=checkpoint")
    return list(found.values())


def first(sources: Sequence[ReleaseSource], get: Callable[[ReleaseSource], T]) -> T:
    """What the first source gives that can; the last one's problem where none can."""
    problems = []
    for source in sources:
        try:
            return get(source)
        except SourceError as error:
            problems.append(error)
    if len(problems) == 1:
        raise problems[0]
    raise SourceError(
        "no source has it" if problems else "no source",
        got="; ".join(str(problem) for problem in problems) or None,
        remedy="give --source=URL or a folder with index.json",
    )
