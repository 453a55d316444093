"""Writing a release folder: files in, manifests completed, cards, labels and the index made."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from converters.packing.pack import pack
from converters.release import cards, checks, index, manifest, read, result_lines
from converters.release.result_lines import public_recipe
from zoo.errors import ZooError
from zoo.io.files import MAX_MODEL_BYTES, read_bytes, write_bytes, write_text
from zoo.io.log import Log
from zoo.runtime.sandbox import Sandbox
from zoo.schema.artifact import Artifact, Metric, Released, Timing
from zoo.schema.json_files import read_records
from zoo.schema.measurement import Record
from zoo.schema.release import INDEX, Checkpoint, Index, packed
from zoo.schema.run import Run


@dataclass(frozen=True)
class FileMeasurements:
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
    measured: Mapping[str, FileMeasurements],
    log: Log,
) -> list[str]:
    """Copies what passes the checks into the release.

    Args:
        source: the --output folder that has the files.
        folder: the release.
        run: what they were made of.
        artifacts: which of them.
        measured: by artifact name.
        log: gets a line for each file.

    Returns:
        A line for each that was refused, with the reasons.
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
            parent = measured.get(float_name(artifact))
            found = checks.problems(
                content,
                artifact,
                run,
                placement,
                measured.get(artifact.name, FileMeasurements()).test,
                parent.test if parent else None,
            )
            if found:
                _remove(target)
                refused.append(f"{artifact.name} is not published: {'; '.join(found)}")
                continue
            before = target.with_suffix(".json")
            known = read.manifest(before, Artifact) if before.is_file() else None
            same = known is not None and known.sha256 == artifact.sha256
            if not same:
                packed(target).unlink(missing_ok=True)
                write_bytes(target, content)
            # Of the release's own manifest only what packing took long for is believed.
            released = known.released if known and same else None
            _write(before, artifact.model_copy(update={"released": released}))
            log(f"{artifact.name}: {'as before' if same else 'taken'}")
    return refused


def forget(folder: Path, run: Run, kept: Sequence[Artifact], precisions: Sequence[str]) -> None:
    """Removes what the release has of that run, but for files that stay as they are.

    Args:
        folder: the release.
        run: with its weights of now; what was made of earlier ones goes in any case.
        kept: what is published next.
        precisions: the only ones that are published anew; none means all.
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
    """A file of the release, packed or not, with its manifest."""
    for each in (path, packed(path), path.with_suffix(".json")):
        each.unlink(missing_ok=True)


def complete(
    folder: Path,
    measured: Mapping[str, FileMeasurements],
    container_from: int,
    page: Callable[[], None],
    log: Log,
) -> Index:
    """Makes everything that follows from the files and the result lines.

    Args:
        folder: the release.
        measured: by artifact name, of the release's own result lines.
        container_from: files of that many bytes are shipped packed alone.
        page: writes index.html, once all that it shows and links to is there.
        log: gets a line for each run.

    Raises:
        ZooError: a file is not what its manifest says.
    """
    artifacts, checkpoints = manifests(folder)
    records, _ = read_records(folder / "results.jsonl")
    names = {each.name for each in artifacts}
    done = []
    for artifact in artifacts:
        path = folder / "artifacts" / f"{artifact.name}.tflite"
        content = read.content(path)
        if (got := sha256(content).hexdigest()) != artifact.sha256:
            raise ZooError(
                "the model is not the one that its manifest describes",
                where=path.name,
                expected=artifact.sha256,
                got=got,
                remedy=f"publish {artifact.parent_run} again",
            )
        found = measured.get(artifact.name, FileMeasurements())
        released = described(content, artifact, names, found, records)
        done.append(artifact.model_copy(update={"released": released}))
        _write(path.with_suffix(".json"), done[-1])
        write_text(folder / released.labels, manifest.labels_text(artifact))
        _store(path, content, pack_it=len(content) >= container_from)
    shown = {folder / each.released.labels for each in done if each.released}
    shown |= _write_cards(folder, done, checkpoints, log)
    for path in (*folder.glob("labels/*.txt"), *folder.glob("cards/*.md")):
        if path not in shown:  # of what the release has no more
            path.unlink()
    page()
    made = index.build(folder, done, checkpoints)
    write_text(folder / INDEX, made.model_dump_json(indent=1) + "\n")
    return made


def described(
    content: bytes,
    artifact: Artifact,
    names: Collection[str],
    measured: FileMeasurements,
    records: Iterable[Record],
) -> Released:
    """The part of a manifest that a release adds.

    Args:
        content: the `.tflite`.
        artifact: its manifest, see `manifest.released`.
        names: of all artifacts of the release.
        measured: of this file.
        records: the release's result lines.
    """
    parent = float_name(artifact)
    return manifest.released(
        content,
        artifact,
        parent if parent in names else None,
        measured.accuracies,
        measured.timings,
        result_lines.chain(artifact, records),
    )


def _store(path: Path, content: bytes, *, pack_it: bool) -> None:
    """Keeps the file either as it is or packed."""
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
    """One for each trained network; their paths."""
    by_run: dict[str, list[Artifact]] = {}
    for artifact in sorted(artifacts, key=lambda each: -each.bytes):
        by_run.setdefault(artifact.parent_run.removesuffix("-qat"), []).append(artifact)
    stored = {each.run: each for each in checkpoints}
    written = set()
    for run, made in sorted(by_run.items()):
        path = folder / "cards" / f"{run}.md"
        write_text(path, cards.markdown(run, made, stored.get(run)))
        written.add(path)
        log(f"{run}: {len(made)} files")
    return written


def manifests(folder: Path) -> tuple[list[Artifact], list[Checkpoint]]:
    """Those of the release, by name.

    Raises:
        ZooError: one can't be read.
    """
    artifacts, checkpoints = (
        sorted((folder / kind).glob("*.json")) for kind in ("artifacts", "checkpoints")
    )
    return (
        [read.manifest(path, Artifact) for path in artifacts],
        [read.manifest(path, Checkpoint) for path in checkpoints],
    )


def float_name(artifact: Artifact) -> str:
    """The float32 artifact of the same network."""
    return f"{artifact.name.removesuffix(artifact.precision)}float32"


def _write(path: Path, artifact: Artifact) -> None:
    artifact = artifact.model_copy(update={"recipe": public_recipe(artifact.recipe)})
    write_text(path, artifact.model_dump_json(indent=1) + "\n")
