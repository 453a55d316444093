"""Writing a release folder: files in, manifests completed, cards, labels and the index made."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from converters.container.packing import pack
from converters.release import cards, checks, index, manifest
from zoo.errors import ZooError
from zoo.files import MAX_MODEL_BYTES, read_bytes, write_bytes, write_text
from zoo.isolated import Runner
from zoo.records import read_model, read_records
from zoo.release import CONTAINER, INDEX, Checkpoint, Index
from zoo.results import Record, TrainRecord
from zoo.specs import Recipe
from zoo.types import Artifact, Metric, Run, Timing

_REMEDY = "publish it again"


@dataclass(frozen=True)
class Measured:
    """What was measured of one file."""

    accuracies: tuple[Metric, ...] = ()
    timings: tuple[Timing, ...] = ()

    @property
    def test(self) -> Metric | None:
        """Its test accuracy."""
        return next((each for each in self.accuracies if each.split == "test"), None)


def take(
    source: Path,
    folder: Path,
    run: Run,
    artifacts: Sequence[Artifact],
    measured: Mapping[str, Measured],
    say: Callable[[str], None],
) -> list[str]:
    """Copies what passes the checks into the release.

    Args:
        source: the --output folder that has the files.
        folder: the release.
        run: what they were made of.
        artifacts: which of them.
        measured: by artifact name.
        say: gets a line for each file.

    Returns:
        A line for each that was refused, with the reasons.
    """
    refused = []
    with Runner("litert", timeout_s=60.0) as runner:
        for artifact in artifacts:
            path = source / "artifacts" / f"{artifact.name}.tflite"
            content = read_bytes(path, "the model", MAX_MODEL_BYTES, "convert it again")
            try:
                placement = runner.placement(path)
            except ZooError:
                placement = None
            parent = measured.get(float_name(artifact))
            found = checks.problems(
                content,
                artifact,
                run,
                placement,
                measured.get(artifact.name, Measured()).test,
                parent.test if parent else None,
            )
            if found:
                refused.append(f"{artifact.name} is not published: {'; '.join(found)}")
                continue
            target = folder / "artifacts" / path.name
            before = target.with_suffix(".json")
            known = _artifact(before) if before.is_file() else None
            same = known is not None and known.sha256 == artifact.sha256
            if not same:
                target.with_name(target.name + CONTAINER).unlink(missing_ok=True)
                write_bytes(target, content)
                _write(before, artifact)
            say(f"{artifact.name}: {'as before' if same else 'taken'}")
    return refused


def forget(folder: Path, run: Run, kept: Sequence[Artifact]) -> None:
    """Removes what the release has of that run, but for files that stay as they are."""
    same = {(artifact.name, artifact.sha256) for artifact in kept}
    artifacts, checkpoints = manifests(folder)
    gone = [
        folder / "artifacts" / each.name
        for each in artifacts
        if each.parent_run == run.name and (each.name, each.sha256) not in same
    ]
    gone += [folder / "checkpoints" / each.name for each in checkpoints if each.run == run.name]
    for path in gone:
        for suffix in (".json", ".tflite", f".tflite{CONTAINER}", ".safetensors"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)


def merge(source: Path, folder: Path) -> None:
    """Adds the result lines about what the release has; others, and older versions', are left."""
    artifacts, checkpoints = manifests(folder)
    records: list[Record] = []
    for path in (folder / "results.jsonl", source / "results.jsonl"):
        if path.is_file():
            records += read_records(path)[0]
    wanted = {each.sha256 for each in artifacts} | {each.parent_sha256 for each in artifacts}
    wanted |= {each.run_sha256 for each in checkpoints}
    before = {run for each in artifacts for run in _runs_before(each.parent_run)}
    latest = {r.model: r for r in records if isinstance(r, TrainRecord) and r.model in before}
    wanted |= {record.model_sha256 for record in latest.values()}
    kept = dict.fromkeys(
        _without_output(record).model_dump_json()
        for record in records
        if record.model_sha256 in wanted
    )
    write_text(folder / "results.jsonl", "".join(f"{line}\n" for line in kept))


def complete(
    folder: Path,
    measured: Mapping[str, Measured],
    container_from: int,
    page: Callable[[], None],
    say: Callable[[str], None],
) -> Index:
    """Makes everything that follows from the files and the result lines.

    Args:
        folder: the release.
        measured: by artifact name, of the release's own result lines.
        container_from: files of that many bytes are shipped packed alone.
        page: writes index.html, once all that it shows and links to is there.
        say: gets a line for each run.
    """
    artifacts, checkpoints = manifests(folder)
    lines, _ = read_records(folder / "results.jsonl")
    names = {each.name for each in artifacts}
    done = []
    for artifact in artifacts:
        path = folder / "artifacts" / f"{artifact.name}.tflite"
        content = _content(path)
        parent = float_name(artifact)
        found = measured.get(artifact.name, Measured())
        released = manifest.released(
            content,
            artifact,
            parent if parent in names else None,
            found.accuracies,
            found.timings,
            _chain(artifact, lines),
        )
        done.append(artifact.model_copy(update={"released": released}))
        _write(path.with_suffix(".json"), done[-1])
        write_text(folder / released.labels, "".join(f"{label}\n" for label in artifact.labels))
        _store(path, content, packed=len(content) >= container_from)
    _write_cards(folder, done, checkpoints, say)
    page()
    made = index.build(folder, done, checkpoints)
    write_text(folder / INDEX, made.model_dump_json(indent=1) + "\n")
    return made


def _store(path: Path, content: bytes, *, packed: bool) -> None:
    """Keeps the file either as it is or packed."""
    container = path.with_name(path.name + CONTAINER)
    if packed and not container.is_file():
        write_bytes(container, pack(content).data)
    if not packed and not path.is_file():
        write_bytes(path, content)
    (path if packed else container).unlink(missing_ok=True)


def _write_cards(
    folder: Path,
    artifacts: Iterable[Artifact],
    checkpoints: Iterable[Checkpoint],
    say: Callable[[str], None],
) -> None:
    by_run: dict[str, list[Artifact]] = {}
    for artifact in sorted(artifacts, key=lambda each: -each.bytes):
        by_run.setdefault(artifact.parent_run.removesuffix("-qat"), []).append(artifact)
    stored = {each.run: f"{each.name}.safetensors" for each in checkpoints}
    for run, files in sorted(by_run.items()):
        write_text(folder / "cards" / f"{run}.md", cards.markdown(run, files, stored.get(run)))
        say(f"{run}: {len(files)} files")


def manifests(folder: Path) -> tuple[list[Artifact], list[Checkpoint]]:
    """Those of the release, by name.

    Raises:
        ZooError: one can't be read.
    """
    artifacts = [_artifact(path) for path in sorted((folder / "artifacts").glob("*.json"))]
    checkpoints = [
        read_model(path, Checkpoint, "the checkpoint's manifest", _REMEDY)
        for path in sorted((folder / "checkpoints").glob("*.json"))
    ]
    return artifacts, checkpoints


def float_name(artifact: Artifact) -> str:
    """The float32 artifact of the same network."""
    return f"{artifact.name.removesuffix(artifact.precision)}float32"


def _artifact(path: Path) -> Artifact:
    return read_model(path, Artifact, "the manifest", _REMEDY)


def public(recipe: Recipe) -> Recipe:
    """The recipe without where on its maker's machine the pictures were."""
    return dataclasses.replace(recipe, data_dir=Path(recipe.data_dir).name)


def _write(path: Path, artifact: Artifact) -> None:
    artifact = artifact.model_copy(update={"recipe": public(artifact.recipe)})
    write_text(path, artifact.model_dump_json(indent=1) + "\n")


def _content(path: Path) -> bytes:
    from zoo.container.container import unpack_bytes

    packed = path.with_name(path.name + CONTAINER)
    if not path.is_file() and packed.is_file():
        return unpack_bytes(read_bytes(packed, "the packed model", MAX_MODEL_BYTES, _REMEDY))
    return read_bytes(path, "the model", MAX_MODEL_BYTES, _REMEDY)


def _chain(artifact: Artifact, lines: Iterable[Record]) -> list[Record]:
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


def _without_output(record: Record) -> Record:
    """The line as anyone would type it: where the folder was is nobody's matter."""
    command = tuple(part for part in record.command if not part.startswith("--output="))
    return record.model_copy(update={"command": command})
