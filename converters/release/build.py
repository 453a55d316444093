"""Writes a release folder: models, completed manifests, model cards, labels and the index."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from converters.packing.pack import pack
from converters.release import cards, checks, gate, index, manifest, read, result_lines
from converters.release.result_lines import public_recipe
from zoo.catalog.precisions import BASE
from zoo.errors import ZooError
from zoo.io.files import MAX_MODEL_BYTES, read_bytes, write_bytes, write_text
from zoo.io.log import Log
from zoo.runtime.sandbox import Sandbox
from zoo.schema.artifact import Artifact, Metric, Released, Timing
from zoo.schema.engine_check import EngineCheck
from zoo.schema.json_files import read_records
from zoo.schema.measurement import Record
from zoo.schema.release import INDEX, Checkpoint, Index, packed
from zoo.schema.run import Run


@dataclass(frozen=True)
class FileMeasurements:
    """Measurements of one file."""

    accuracies: tuple[Metric, ...] = ()
    timings: tuple[Timing, ...] = ()
    engines: tuple[EngineCheck, ...] = ()

    @property
    def test(self) -> Metric | None:
        """Accuracy on the test split, None if it was not measured."""
        return next((metric for metric in self.accuracies if metric.split == "test"), None)


def take(
    source: Path,
    folder: Path,
    run: Run,
    artifacts: Sequence[Artifact],
    measured: Mapping[str, FileMeasurements],
    engines: Sequence[str],
    log: Log,
) -> list[str]:
    """Copies the artifacts that pass the checks into the release.

    Args:
        source: The --output folder with the files.
        folder: The release.
        run: Run that the artifacts were converted from.
        artifacts: Manifests of the artifacts to copy.
        measured: Measurements by artifact name.
        engines: Engines on which a file must compute what it does on the CPU.
        log: Called with one line per copied file.

    Returns:
        One line per rejected artifact, with the reasons.
    """
    refused = []
    with Sandbox("litert", timeout_s=60.0) as runner:
        for artifact in artifacts:
            path = source / "artifacts" / f"{artifact.name}.tflite"
            target = folder / "artifacts" / path.name
            content = read_bytes(path, "the model", MAX_MODEL_BYTES, "convert it again")
            try:
                placement = runner.placement(path)
            except ZooError:
                placement = None
            own = measured.get(artifact.name, FileMeasurements())
            parent = measured.get(float_name(artifact))
            problems = checks.problems(
                content, artifact, run, placement, own.test, parent.test if parent else None
            )
            problems += gate.problems(artifact, own.engines, engines)
            if problems:
                _remove(target)
                refused.append(f"{artifact.name} is not published: {'; '.join(problems)}")
                continue
            manifest_path = target.with_suffix(".json")
            previous = read.manifest(manifest_path, Artifact) if manifest_path.is_file() else None
            same = previous is not None and previous.sha256 == artifact.sha256
            if not same:
                packed(target).unlink(missing_ok=True)
                write_bytes(target, content)
            # Packing is slow, so the packed size of an unchanged file is reused. Nothing else in
            # the release's manifest is trusted.
            released = previous.released if previous and same else None
            _write(manifest_path, artifact.model_copy(update={"released": released}))
            log(f"{artifact.name}: {'unchanged' if same else 'added'}")
    return refused


def forget(folder: Path, run: Run, kept: Sequence[Artifact], precisions: Sequence[str]) -> None:
    """Removes the files of a run that are about to be replaced, and outdated ones.

    Args:
        folder: The release.
        run: The run. Files made from earlier weights of it are always removed.
        kept: Artifacts to be published next; identical files stay.
        precisions: Precisions to be published again. Empty means all.
    """
    same = {(artifact.name, artifact.sha256) for artifact in kept}
    artifacts, checkpoints = manifests(folder)
    for artifact in artifacts:
        if artifact.parent_run != run.name or (artifact.name, artifact.sha256) in same:
            continue
        outdated = artifact.parent_sha256 != run.weights_sha256
        if outdated or not precisions or artifact.precision in precisions:
            _remove(folder / "artifacts" / f"{artifact.name}.tflite")
    for checkpoint in checkpoints:
        if checkpoint.run == run.name:
            _remove(folder / "checkpoints" / f"{checkpoint.name}.safetensors")


def _remove(path: Path) -> None:
    """Removes a file of the release, its packed form and its manifest."""
    for file in (path, packed(path), path.with_suffix(".json")):
        file.unlink(missing_ok=True)


def complete(
    folder: Path,
    measured: Mapping[str, FileMeasurements],
    container_from: int,
    page: Callable[[], None],
    log: Log,
) -> Index:
    """Completes the manifests and writes labels, model cards, the page and the index.

    Args:
        folder: The release, with models, checkpoints and result lines.
        measured: Measurements by artifact name, from the result lines of the release.
        container_from: Files of at least this many bytes are published only in packed form.
        page: Writes index.html. Called when everything that the page links to exists.
        log: Called with one line per run.

    Raises:
        ZooError: if a file does not match its manifest.
    """
    artifacts, checkpoints = manifests(folder)
    records, _ = read_records(folder / "results.jsonl")
    names = {artifact.name for artifact in artifacts}
    completed = []
    for artifact in artifacts:
        path = folder / "artifacts" / f"{artifact.name}.tflite"
        content = read.content(path)
        if (got := sha256(content).hexdigest()) != artifact.sha256:
            raise ZooError(
                "the model does not match its manifest",
                where=path.name,
                expected=artifact.sha256,
                got=got,
                remedy=f"publish {artifact.parent_run} again",
            )
        measurements = measured.get(artifact.name, FileMeasurements())
        released = described(content, artifact, names, measurements, records)
        completed.append(artifact.model_copy(update={"released": released}))
        _write(path.with_suffix(".json"), completed[-1])
        write_text(folder / released.labels, manifest.labels_text(artifact))
        _store(path, content, pack_it=len(content) >= container_from)
    current = {folder / artifact.released.labels for artifact in completed if artifact.released}
    current |= _write_cards(folder, completed, checkpoints, log)
    for path in (*folder.glob("labels/*.txt"), *folder.glob("cards/*.md")):
        if path not in current:
            path.unlink()
    page()
    return write_index(folder, completed, checkpoints)


def write_index(folder: Path, artifacts: list[Artifact], checkpoints: list[Checkpoint]) -> Index:
    """Writes and returns the index of the files in a release.

    Args:
        folder: The release, with all other files in place.
        artifacts: Its artifact manifests.
        checkpoints: Its checkpoint manifests.
    """
    content = index.build(folder, artifacts, checkpoints)
    write_text(folder / INDEX, content.model_dump_json(indent=1) + "\n")
    return content


def described(
    content: bytes,
    artifact: Artifact,
    names: Collection[str],
    measured: FileMeasurements,
    records: Iterable[Record],
) -> Released:
    """Returns the part of a manifest that a release adds.

    Args:
        content: The `.tflite`.
        artifact: Its manifest, see `manifest.released`.
        names: Names of all artifacts of the release.
        measured: Measurements of this file.
        records: Result lines of the release.
    """
    parent = float_name(artifact)
    return manifest.released(
        content,
        artifact,
        parent if parent in names else None,
        measured.accuracies,
        measured.timings,
        gate.results(artifact, measured.engines),
        result_lines.chain(artifact, records),
    )


def _store(path: Path, content: bytes, *, pack_it: bool) -> None:
    """Stores the file either plain or packed and deletes the other form."""
    container = packed(path)
    if pack_it and not container.is_file():
        write_bytes(container, pack(content).data)
    if not pack_it and not path.is_file():
        write_bytes(path, content)
    (path if pack_it else container).unlink(missing_ok=True)


def _write_cards(
    folder: Path,
    artifacts: Iterable[Artifact],
    checkpoints: Iterable[Checkpoint],
    log: Log,
) -> set[Path]:
    """Writes one model card per trained network and returns the paths."""
    by_run: dict[str, list[Artifact]] = {}
    for artifact in sorted(artifacts, key=lambda artifact: -artifact.bytes):
        by_run.setdefault(artifact.parent_run.removesuffix("-qat"), []).append(artifact)
    checkpoint_of = {checkpoint.run: checkpoint for checkpoint in checkpoints}
    written = set()
    for run, files in sorted(by_run.items()):
        path = folder / "cards" / f"{run}.md"
        write_text(path, cards.markdown(run, files, checkpoint_of.get(run)))
        written.add(path)
        log(f"{run}: {len(files)} files")
    return written


def manifests(folder: Path) -> tuple[list[Artifact], list[Checkpoint]]:
    """Returns the artifact and checkpoint manifests of a release, each sorted by name.

    Raises:
        ZooError: if a manifest is not readable.
    """
    artifacts, checkpoints = (
        sorted((folder / kind).glob("*.json")) for kind in ("artifacts", "checkpoints")
    )
    return (
        [read.manifest(path, Artifact) for path in artifacts],
        [read.manifest(path, Checkpoint) for path in checkpoints],
    )


def float_name(artifact: Artifact) -> str:
    """Returns the name of the float32 artifact of the same network."""
    return f"{artifact.name.removesuffix(artifact.precision)}{BASE}"


def _write(path: Path, artifact: Artifact) -> None:
    artifact = artifact.model_copy(update={"recipe": public_recipe(artifact.recipe)})
    write_text(path, artifact.model_dump_json(indent=1) + "\n")
