"""The result lines of a release: which ones it has, and what they must not tell."""

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
    """Adds the result lines about what the release has; others, and older versions', are left.

    Who converts a file again gets the same bytes, and the last line tells it.

    Args:
        source: the --output folder.
        folder: the release.
        artifacts, checkpoints: manifests of the release.
    """
    records: list[Record] = []
    for path in (folder / "results.jsonl", source / "results.jsonl"):
        if path.is_file():
            records += read_records(path)[0]
    wanted: set[str] = {each.run_sha256 for each in checkpoints}
    before: set[str] = set()
    for artifact in artifacts:
        wanted |= {artifact.sha256, artifact.parent_sha256}
        before |= _runs_before(artifact.parent_run)
    latest = {r.model: r for r in records if isinstance(r, TrainRecord) and r.model in before}
    wanted |= {record.model_sha256 for record in latest.values()}
    converted = {r.model_sha256: r for r in records if isinstance(r, ConvertRecord)}
    # Where a line stood it stays, so that publishing again gives the same bytes.
    current = (converted[r.model_sha256] if isinstance(r, ConvertRecord) else r for r in records)
    kept = dict.fromkeys(
        public_record(record).model_dump_json()
        for record in current
        if record.model_sha256 in wanted
    )
    write_text(folder / "results.jsonl", "".join(f"{line}\n" for line in kept))


def chain(artifact: Artifact, lines: Iterable[Record]) -> list[Record]:
    """The lines that made it: its run's training, those of the runs before, its conversion."""
    before = _runs_before(artifact.parent_run)
    return [
        line
        for line in lines
        if line.model_sha256 in (artifact.sha256, artifact.parent_sha256)
        or (isinstance(line, TrainRecord) and line.model in before)
    ]


def _runs_before(run: str) -> set[str]:
    """Names of the runs that it was made from, step by step, by the grammar of names."""
    steps = run.split("-")
    return {"-".join(steps[:count]) for count in range(1, len(steps))}


def public_recipe(recipe: Recipe) -> Recipe:
    """The recipe without where on its maker's machine pictures and teacher were."""
    return dataclasses.replace(
        recipe, data_dir=_last(recipe.data_dir), teacher=_last(recipe.teacher)
    )


def public_record(record: R) -> R:
    """The line as anyone would type it: where folders were is nobody's matter.

    Any path in the command is cut to its last part, whichever flag it is given to, and --output
    is left out; absolute paths in reasons are cut likewise.
    """
    new: dict[str, tuple[str, ...]] = {"command": tuple(_public_parts(record.command))}
    if isinstance(record, Accuracy | Agreement | Timed):
        new["reasons"] = tuple(
            _FOLDERS.sub(lambda found: _last(found[0]), each) for each in record.reasons
        )
    return record.model_copy(update=new)


def _public_parts(command: Iterable[str]) -> Iterator[str]:
    parts = iter(command)
    for part in parts:
        flag, mark, value = part.partition("=") if part.startswith("-") else ("", "", part)
        if flag.lstrip("-") == "output":
            if not mark:
                next(parts, None)  # --output FOLDER, in two words
            continue
        yield flag + mark + ",".join(map(_last, value.split(",")))


def _last(path: str) -> str:
    """The last part of a path of any system."""
    return PureWindowsPath(path).name if re.search(r"[/\\]", path) else path
