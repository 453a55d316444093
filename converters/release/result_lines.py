"""Selects the result lines of a release and removes private paths from them."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PureWindowsPath
from typing import TypeVar

from zoo.io.files import write_text
from zoo.schema.artifact import Artifact
from zoo.schema.json_files import read_records
from zoo.schema.measurement import Accuracy, Agreement, ConvertRecord, Record, Timed, TrainRecord
from zoo.schema.recipe import Recipe
from zoo.schema.release import Checkpoint

R = TypeVar("R", bound=Record)

_FOLDERS = re.compile(r"(?<![\w.:/])(?:~?/|[A-Za-z]:\\)[^\s|,;'\"]+")  # an absolute path


def merge(
    source: Path, folder: Path, artifacts: Iterable[Artifact], checkpoints: Iterable[Checkpoint]
) -> None:
    """Merges the result lines about the files of a release into its results.jsonl.

    Lines about other files, or about older versions, are dropped. Converting a run again yields the
    same bytes, so the last conversion line of a file replaces the earlier ones.

    Args:
        source: The --output folder.
        folder: The release.
        artifacts: Artifact manifests of the release.
        checkpoints: Checkpoint manifests of the release.
    """
    records: list[Record] = []
    for path in (folder / "results.jsonl", source / "results.jsonl"):
        if path.is_file():
            records += read_records(path)[0]
    hashes: set[str] = {checkpoint.run_sha256 for checkpoint in checkpoints}
    earlier: set[str] = set()
    for artifact in artifacts:
        hashes |= {artifact.sha256, artifact.parent_sha256}
        earlier |= _earlier_runs(artifact.parent_run)
    latest = {r.model: r for r in records if isinstance(r, TrainRecord) and r.model in earlier}
    hashes |= {record.model_sha256 for record in latest.values()}
    converted = {r.model_sha256: r for r in records if isinstance(r, ConvertRecord)}
    # Lines keep their positions, so publishing again yields identical bytes.
    current = (converted[r.model_sha256] if isinstance(r, ConvertRecord) else r for r in records)
    lines = dict.fromkeys(
        public_record(record).model_dump_json()
        for record in current
        if record.model_sha256 in hashes
    )
    write_text(folder / "results.jsonl", "".join(f"{line}\n" for line in lines))


def chain(artifact: Artifact, lines: Iterable[Record]) -> list[Record]:
    """Returns the lines that led to an artifact: training of its run and earlier runs, conversion.

    Args:
        artifact: Manifest of the artifact.
        lines: Result lines of the release.
    """
    earlier = _earlier_runs(artifact.parent_run)
    return [
        line
        for line in lines
        if line.model_sha256 in (artifact.sha256, artifact.parent_sha256)
        or (isinstance(line, TrainRecord) and line.model in earlier)
    ]


def _earlier_runs(run: str) -> set[str]:
    """Returns the names of all runs that a run builds on: the prefixes of its name."""
    steps = run.split("-")
    return {"-".join(steps[:count]) for count in range(1, len(steps))}


def public_recipe(recipe: Recipe) -> Recipe:
    """Returns the recipe without the local folders of the dataset and the teacher."""
    return dataclasses.replace(
        recipe, data_dir=_last(recipe.data_dir), teacher=_last(recipe.teacher)
    )


def public_record(record: R) -> R:
    """Returns the line without local folders.

    Paths in the command, in any flag, and absolute paths in reasons are cut to their last part. The
    flag --output is removed.
    """
    new: dict[str, tuple[str, ...]] = {"command": tuple(_public_parts(record.command))}
    if isinstance(record, Accuracy | Agreement | Timed):
        new["reasons"] = tuple(
            _FOLDERS.sub(lambda match: _last(match[0]), reason) for reason in record.reasons
        )
    return record.model_copy(update=new)


def _public_parts(command: Iterable[str]) -> Iterator[str]:
    parts = iter(command)
    for part in parts:
        flag, mark, value = part.partition("=") if part.startswith("-") else ("", "", part)
        if flag.lstrip("-") == "output":
            if not mark:
                next(parts, None)  # --output FOLDER, as two arguments
            continue
        yield flag + mark + ",".join(map(_last, value.split(",")))


def _last(path: str) -> str:
    """Returns the last part of a POSIX or Windows path."""
    return PureWindowsPath(path).name if re.search(r"[/\\]", path) else path
