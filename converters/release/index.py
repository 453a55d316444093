"""The index of a release folder, made of what lies in it."""

from __future__ import annotations

from pathlib import Path

from zoo.io.files import sha256_of
from zoo.schema.artifact import Artifact
from zoo.schema.release import Checkpoint, Entry, Index, ReleaseFile, packed


def build(folder: Path, artifacts: list[Artifact], checkpoints: list[Checkpoint]) -> Index:
    """The index; the same for the same files.

    Args:
        folder: of the release, with every file in its place.
        artifacts: manifests in `artifacts/`.
        checkpoints: manifests in `checkpoints/`.
    """
    entries = [_model(folder, each) for each in artifacts]
    entries += [_checkpoint(folder, each) for each in checkpoints]
    others = sorted(
        path
        for pattern in (
            "labels/*.txt",
            "cards/*.md",
            "sensitivity/*.json",
            "results.jsonl",
            "index.html",
        )
        for path in folder.glob(pattern)
    )
    return Index(
        entries=tuple(sorted(entries, key=lambda entry: entry.name)),
        others=tuple(_file(folder, path) for path in others),
    )


def _model(folder: Path, artifact: Artifact) -> Entry:
    path = folder / "artifacts" / f"{artifact.name}.tflite"
    container = packed(path)
    file = ReleaseFile(path=f"artifacts/{path.name}", bytes=artifact.bytes, sha256=artifact.sha256)
    told = artifact.released
    latency: dict[str, float] = {}
    for timing in told.timings if told else ():
        latency[timing.device] = min(
            timing.latency_us, latency.get(timing.device, timing.latency_us)
        )
    accuracy = next((each.top1 for each in told.accuracies), None) if told else None
    return Entry(
        name=artifact.name,
        kind="tflite",
        run=artifact.parent_run,
        model=artifact.model,
        dataset=artifact.dataset,
        precision=artifact.precision,
        scheme=artifact.scheme,
        parameters=artifact.parameters,
        file=file,
        download=_file(folder, container) if container.is_file() else file,
        manifest=_file(folder, path.with_suffix(".json")),
        top1=accuracy,
        latency_us=latency,
    )


def _checkpoint(folder: Path, checkpoint: Checkpoint) -> Entry:
    path = folder / "checkpoints" / f"{checkpoint.name}.safetensors"
    return Entry(
        name=checkpoint.name,
        kind="checkpoint",
        run=checkpoint.run,
        model=checkpoint.model,
        dataset=checkpoint.dataset,
        precision="checkpoint",
        scheme=checkpoint.scheme,
        parameters=checkpoint.parameters,
        file=_file(folder, path),
        download=_file(folder, path),
        manifest=_file(folder, path.with_suffix(".json")),
    )


def _file(folder: Path, path: Path) -> ReleaseFile:
    return ReleaseFile(
        path=path.relative_to(folder).as_posix(),
        bytes=path.stat().st_size,
        sha256=sha256_of(path),
    )
