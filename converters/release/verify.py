"""A release's manifest against what publishing would write there now."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any

from converters.release import checks, manifest
from converters.release.build import FileMeasurements, described
from zoo.errors import ZooError
from zoo.io.files import MAX_MODEL_BYTES, read_bytes
from zoo.schema.artifact import Artifact
from zoo.schema.measurement import Placement, Record

_PACKED = ("zip_bytes", "container_bytes")
_MOST = 200  # characters of a value that are shown


def differences(
    folder: Path,
    content: bytes,
    artifact: Artifact,
    placement: Placement | None,
    names: Collection[str],
    measured: FileMeasurements,
    records: Iterable[Record],
    repack: bool = True,
) -> list[str]:
    """One sentence for each thing that is not as the manifest says.

    Args:
        folder: the release.
        content: the `.tflite`.
        artifact: its manifest; one that was never published has less to compare.
        placement: where XNNPACK runs it; None where LiteRT can't.
        names: of all artifacts of the release.
        measured: of this file, by the release's own result lines.
        records: those lines.
        repack: count the bytes of its container too, which takes seconds.
    """
    found = checks.recomputed(content, artifact, placement)
    said = artifact.released
    if said is None or sha256(content).hexdigest() != artifact.sha256:
        return found
    bare = artifact.model_copy(update={"released": None if repack else said})
    now = described(content, bare, names, measured, records)
    found += [
        f"{name}: it is {str(there)[:_MOST]}, the manifest says {str(getattr(said, name))[:_MOST]}"
        for name, there in now
        if not _same(name, there, getattr(said, name))
    ]
    return found + _labels(folder, artifact)


def _same(name: str, there: Any, said: Any) -> bool:
    return checks.as_packed(there, said) if name in _PACKED else bool(there == said)


def _labels(folder: Path, artifact: Artifact) -> list[str]:
    path = folder / manifest.labels_path(artifact)
    try:
        text = read_bytes(path, "the labels", MAX_MODEL_BYTES, "publish it again")
    except ZooError as error:
        return [str(error)]
    if text != manifest.labels_text(artifact).encode():
        return [f"{path.name} has other labels than the manifest"]
    return []
