"""Finds released files on this computer: downloads, and the release of a repository clone.

Each location is a folder with the layout described in `zoo.schema.release`; the first one that has
a name takes precedence. Packed files are unpacked into the downloads folder on first use.
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

CHECKPOINT = "-checkpoint"  # suffix of the names of checkpoints
_KINDS: tuple[tuple[str, str, type[Artifact] | type[Checkpoint]], ...] = (
    ("artifacts", ".tflite", Artifact),
    ("checkpoints", ".safetensors", Checkpoint),
)
CLONE = Path(__file__).parents[2] / "release"


@dataclass(frozen=True)
class LocalArtifact:
    """A released file.

    Attributes:
        path: Path of the file.
        manifest: Its manifest.
        content: Content of the file, which has the manifest's SHA-256.
    """

    path: Path
    manifest: Artifact | Checkpoint
    content: bytes


def downloads() -> Path:
    """Returns the folder of the downloads."""
    return cache.folder() / "models"


def places() -> tuple[Path, ...]:
    """Returns the folders to search, in order."""
    return (downloads(), CLONE)


def names(folders: tuple[Path, ...] | None = None) -> list[str]:
    """Returns the names of all artifacts and checkpoints, sorted.

    Args:
        folders: Folders to search; None for `places`.
    """
    stems = {
        path.stem
        for folder in folders or places()
        for kind in ("artifacts", "checkpoints")
        for path in (folder / kind).glob("*.json")
    }
    return sorted(stems)


def models(folders: tuple[Path, ...] | None = None) -> list[str]:
    """Returns the names of all artifacts, without the checkpoints; arguments as in `names`."""
    return [name for name in names(folders) if not name.endswith(CHECKPOINT)]


def find(name: str, folders: tuple[Path, ...] | None = None) -> LocalArtifact:
    """Finds a file by name and reads it.

    Args:
        name: Name of an artifact or a checkpoint.
        folders: Folders to search; None for `places`.

    Raises:
        UnknownNameError: if no folder has it.
        ZooError: if the file or its manifest is damaged, or it is packed and `downloads` is not
            writable.
    """
    remedy = f"run zoo download {name}"
    if "/" not in name and not name.startswith("."):
        for folder in folders or places():
            for kind, suffix, form in _KINDS:
                manifest_path = folder / kind / f"{name}.json"
                path = manifest_path.with_name(f"{name}{suffix}")
                container = packed(path)
                if not manifest_path.is_file() or not (path.is_file() or container.is_file()):
                    continue
                manifest: Artifact | Checkpoint = read_model(
                    manifest_path, form, "the manifest", remedy
                )
                if not path.is_file():
                    return _unpacked(container, manifest, remedy)
                content = read_bytes(path, "the file", MAX_FILE_BYTES, remedy)
                return LocalArtifact(path, manifest, _checked(content, path, manifest, remedy))
    raise UnknownNameError("model", name, models(folders))


def _unpacked(container: Path, manifest: Artifact | Checkpoint, remedy: str) -> LocalArtifact:
    from zoo.container.unpack import unpack_bytes  # imports the entropy coder, rarely needed

    data = read_bytes(container, "the packed file", MAX_FILE_BYTES, remedy)
    path = downloads() / container.parent.name / container.name.removesuffix(CONTAINER)
    content = _checked(unpack_bytes(data, manifest.bytes), path, manifest, remedy)
    try:
        write_bytes(path, content)
        write_bytes(path.with_suffix(".json"), manifest.model_dump_json(indent=1).encode() + b"\n")
    except OSError as error:
        raise ZooError(
            "cannot save the unpacked file",
            where=path,
            got=error.strerror,
            remedy=cache.ELSEWHERE,
        ) from error
    return LocalArtifact(path, manifest, content)


def _checked(content: bytes, path: Path, manifest: Artifact | Checkpoint, remedy: str) -> bytes:
    if (got := sha256(content).hexdigest()) != manifest.sha256 or manifest.name != path.stem:
        raise ZooError(
            "the file does not match its manifest",
            where=path,
            expected=f"sha256 {manifest.sha256} of {manifest.name}",
            got=got,
            remedy=remedy,
        )
    return content
