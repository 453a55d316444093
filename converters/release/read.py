"""Reading what a release folder holds: manifests that are anyone's, models packed or not."""

from __future__ import annotations

from pathlib import Path

from zoo.io.files import MAX_MODEL_BYTES, read_bytes
from zoo.schema.json_files import N, read_manifest
from zoo.schema.release import packed

_REMEDY = "publish it again, or convert it again"


def manifest(path: Path, kind: type[N]) -> N:
    """The manifest in a file, whose name is that of what it describes.

    Raises:
        ZooError: it can't be read, or it describes another file.
    """
    return read_manifest(path, kind, _REMEDY)


def content(path: Path) -> bytes:
    """A model's bytes, whether `path` or only its container is there.

    Raises:
        ZooError: neither is there, or what is can't be read.
    """
    if path.is_file() or not packed(path).is_file():
        return read_bytes(path, "the model", MAX_MODEL_BYTES, _REMEDY)
    from zoo.container.unpack import unpack_bytes  # loads the coder, which few need

    return unpack_bytes(read_bytes(packed(path), "the packed model", MAX_MODEL_BYTES, _REMEDY))
