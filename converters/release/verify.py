"""Compares a release's manifest with the one that publishing would write now."""

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
_MAX_CHARACTERS = 200  # of a value in a message


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
    """Returns one sentence per mismatch between a file and its manifest.

    Args:
        folder: The release.
        content: The `.tflite`.
        artifact: Its manifest. Without a `released` part, only the converted file is checked.
        placement: Operators that XNNPACK runs. None if LiteRT fails to run the file.
        names: Names of all artifacts of the release.
        measured: Measurements of this file, from the result lines of the release.
        records: Result lines of the release.
        repack: Also check the size of the container, which takes seconds.
    """
    sentences = checks.recomputed(content, artifact, placement)
    stated = artifact.released
    if stated is None or sha256(content).hexdigest() != artifact.sha256:
        return sentences
    bare = artifact.model_copy(update={"released": None if repack else stated})
    sentences += [
        f"{name}: the computed value is {str(value)[:_MAX_CHARACTERS]}, "
        f"the manifest says {str(getattr(stated, name))[:_MAX_CHARACTERS]}"
        for name, value in described(content, bare, names, measured, records)
        if not _same(name, value, getattr(stated, name))
    ]
    return sentences + _labels(folder, artifact)


def _same(name: str, actual: Any, stated: Any) -> bool:
    return checks.as_packed(actual, stated) if name in _PACKED else bool(actual == stated)


def _labels(folder: Path, artifact: Artifact) -> list[str]:
    path = folder / manifest.labels_path(artifact)
    try:
        text = read_bytes(path, "the labels", MAX_MODEL_BYTES, "publish it again")
    except ZooError as error:
        return [str(error)]
    if text != manifest.labels_text(artifact).encode():
        return [f"the labels in {path.name} differ from those in the manifest"]
    return []
