"""Reads manifests and models, plain or packed, from a release folder. Manifests are untrusted."""

from __future__ import annotations

from pathlib import Path

from zoo.io.files import MAX_MODEL_BYTES, read_bytes
from zoo.schema.json_files import N, read_manifest
from zoo.schema.release import packed

_REMEDY = "publish it again, or convert it again"


def manifest(path: Path, kind: type[N]) -> N:
    """Reads a manifest.

    Args:
        path: Manifest file. Its stem must equal the name in the manifest.
        kind: Type of the manifest.

    Raises:
        ZooError: if the manifest is unreadable or invalid, or names another file.
    """
    return read_manifest(path, kind, _REMEDY)


def content(path: Path) -> bytes:
    """Returns the bytes of a model, unpacked if only its container exists.

    Args:
        path: Path of the plain `.tflite`.

    Raises:
        ZooError: if neither file exists, or the existing one is unreadable.
    """
    if path.is_file() or not packed(path).is_file():
        return read_bytes(path, "the model", MAX_MODEL_BYTES, _REMEDY)
    from zoo.container.unpack import unpack_bytes  # slow import, rarely needed

    return unpack_bytes(read_bytes(packed(path), "the packed model", MAX_MODEL_BYTES, _REMEDY))
