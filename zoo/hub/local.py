"""Where released files are on this computer: what was downloaded, and a clone's own release.

Each place is a folder of the form that `zoo.schema.release` describes; the first that has a name
wins. What a release has packed is unpacked to the downloads when it is first wanted.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from zoo.errors import UnknownNameError, ZooError
from zoo.io import cache
from zoo.io.files import read_bytes, write_bytes
from zoo.schema.artifact import Artifact
from zoo.schema.json_files import read_model
from zoo.schema.release import CONTAINER, MAX_FILE_BYTES, Checkpoint, packed

CHECKPOINT = "-checkpoint"  # what a name ends with
_KINDS: tuple[tuple[str, str, type[Artifact] | type[Checkpoint]], ...] = (
    ("artifacts", ".tflite", Artifact),
    ("checkpoints", ".safetensors", Checkpoint),
)
CLONE = Path(__file__).parents[2] / "release"


@dataclass(frozen=True)
class LocalArtifact:
    """A released file.

    Attributes:
        path: where it is.
        manifest: what it is.
        content: its bytes, whose SHA-256 is the manifest's.
    """

    path: Path
    manifest: Artifact | Checkpoint
    content: bytes


def downloads() -> Path:
    """The folder that downloads go to."""
    return cache.folder() / "models"


def places() -> tuple[Path, ...]:
    """Where is looked, in order."""
    return (downloads(), CLONE)


def names(folders: tuple[Path, ...] | None = None) -> list[str]:
    """All that is there."""
    found = {
        path.stem
        for folder in folders or places()
        for kind in ("artifacts", "checkpoints")
        for path in (folder / kind).glob("*.json")
    }
    return sorted(found)


def find(name: str, folders: tuple[Path, ...] | None = None) -> LocalArtifact:
    """The file of that name.

    Args:
        name: of an artifact or a checkpoint.
        folders: where to look instead of `places`.

    Raises:
        UnknownNameError: it is nowhere.
        ZooError: it or its manifest is damaged, or it is packed and `downloads` can't be written.
    """
    remedy = f"python -m scripts.download {name}"
    if "/" not in name and not name.startswith("."):
        for folder in folders or places():
            for kind, suffix, form in _KINDS:
                told = folder / kind / f"{name}.json"
                path = told.with_name(f"{name}{suffix}")
                container = packed(path)
                if not told.is_file() or not (path.is_file() or container.is_file()):
                    continue
                manifest: Artifact | Checkpoint = read_model(told, form, "the manifest", remedy)
                if not path.is_file():
                    return _unpacked(container, manifest, remedy)
                content = read_bytes(path, "the file", MAX_FILE_BYTES, remedy)
                return LocalArtifact(path, manifest, _checked(content, path, manifest, remedy))
    raise UnknownNameError("model", name, names(folders))


def _unpacked(container: Path, manifest: Artifact | Checkpoint, remedy: str) -> LocalArtifact:
    from zoo.container.unpack import unpack_bytes  # loads the coder, which few need

    data = read_bytes(container, "the packed file", MAX_FILE_BYTES, remedy)
    path = downloads() / container.parent.name / container.name.removesuffix(CONTAINER)
    content = _checked(unpack_bytes(data, manifest.bytes), path, manifest, remedy)
    try:
        write_bytes(path, content)
        write_bytes(path.with_suffix(".json"), manifest.model_dump_json(indent=1).encode() + b"\n")
    except OSError as error:
        raise ZooError(
            "can't keep what was unpacked", where=path, got=error.strerror, remedy=cache.ELSEWHERE
        ) from error
    return LocalArtifact(path, manifest, content)


def _checked(content: bytes, path: Path, manifest: Artifact | Checkpoint, remedy: str) -> bytes:
    if (got := sha256(content).hexdigest()) != manifest.sha256 or manifest.name != path.stem:
        raise ZooError(
            "the file is not the one that its manifest describes",
            where=path,
            expected=f"sha256 {manifest.sha256} of {manifest.name}",
            got=got,
            remedy=remedy,
        )
    return content
