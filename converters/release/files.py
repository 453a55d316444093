"""Reading what a release folder holds: manifests that are anyone's, models packed or not."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from zoo.errors import ZooError
from zoo.files import MAX_MODEL_BYTES, read_bytes
from zoo.records import read_model
from zoo.release import CONTAINER, Checkpoint
from zoo.types import Artifact

_REMEDY = "publish it again, or convert it again"

M = TypeVar("M", Artifact, Checkpoint)


def manifest(path: Path, kind: type[M]) -> M:
    """The manifest in a file, whose name is that of what it describes.

    Raises:
        ZooError: it can't be read, or it describes another file.
    """
    found = read_model(path, kind, "the manifest", _REMEDY)
    if found.name != path.stem:
        raise ZooError(
            "the manifest names another file",
            where=path,
            expected=path.stem,
            got=found.name,
            remedy=_REMEDY,
        )
    return found


def packed(path: Path) -> Path:
    """Where a file is when it is packed."""
    return path.with_name(path.name + CONTAINER)


def content(path: Path) -> bytes:
    """A model's bytes, whether `path` or only its container is there.

    Raises:
        ZooError: neither is there, or what is can't be read.
    """
    if path.is_file() or not packed(path).is_file():
        return read_bytes(path, "the model", MAX_MODEL_BYTES, _REMEDY)
    from zoo.container.container import unpack_bytes  # loads the coder, which few need

    return unpack_bytes(read_bytes(packed(path), "the packed model", MAX_MODEL_BYTES, _REMEDY))
