"""Builds the index of a release folder from its files."""

from __future__ import annotations

from pathlib import Path

from zoo.io.files import sha256_of
from zoo.schema.artifact import Artifact
from zoo.schema.release import Checkpoint, Entry, Index, ReleaseFile, packed


def build(folder: Path, artifacts: list[Artifact], checkpoints: list[Checkpoint]) -> Index:
    """Returns the index. It depends only on the files of the release.

    Args:
        folder: The release, with all files in place.
        artifacts: Manifests in `artifacts/`.
        checkpoints: Manifests in `checkpoints/`.
    """
    entries = [_model(folder, artifact) for artifact in artifacts]
    entries += [_checkpoint(folder, checkpoint) for checkpoint in checkpoints]
    others = sorted(
        path
        for pattern in (
            "labels/*.txt",
            "cards/*.md",
            "sensitivity/*.json",
            "runs/*.json",
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
    released = artifact.released
    latency: dict[str, float] = {}
    for timing in released.timings if released else ():
        latency[timing.device] = min(
            timing.latency_us, latency.get(timing.device, timing.latency_us)
        )
    top1 = next((metric.top1 for metric in released.accuracies), None) if released else None
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
        top1=top1,
        latency_us=latency,
        engines={
            result.kind: "whole" if result.whole else "partial"
            for result in (released.engines if released else ())
            if result.accelerator
        },
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
