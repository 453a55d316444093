"""Where released files are on this computer: what was downloaded, and a clone's own release.

Each place is a folder of the form that `zoo.release` describes; the first that has a name wins.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from zoo import cache
from zoo.errors import UnknownNameError, ZooError
from zoo.files import read_bytes
from zoo.records import read_model
from zoo.release import MAX_FILE_BYTES, Checkpoint
from zoo.types import Artifact

CHECKPOINT = "-checkpoint"  # what a name ends with
_KINDS: tuple[tuple[str, str, type[Artifact] | type[Checkpoint]], ...] = (
    ("artifacts", ".tflite", Artifact),
    ("checkpoints", ".safetensors", Checkpoint),
)
CLONE = Path(__file__).parent.parent / "release"


@dataclass(frozen=True)
class Found:
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


def find(name: str, folders: tuple[Path, ...] | None = None) -> Found:
    """The file of that name.

    Args:
        name: of an artifact or a checkpoint.
        folders: where to look instead of `places`.

    Raises:
        UnknownNameError: it is nowhere.
        ZooError: it is damaged, or its manifest is.
    """
    remedy = f"python -m scripts.download {name}"
    if "/" not in name and not name.startswith("."):
        for folder in folders or places():
            for kind, suffix, form in _KINDS:
                told = folder / kind / f"{name}.json"
                if told.is_file() and (path := told.with_name(f"{name}{suffix}")).is_file():
                    manifest: Artifact | Checkpoint = read_model(told, form, "the manifest", remedy)
                    return Found(path, manifest, _checked(path, manifest, remedy))
    raise UnknownNameError("model", name, names(folders))


def _checked(path: Path, manifest: Artifact | Checkpoint, remedy: str) -> bytes:
    content = read_bytes(path, "the file", MAX_FILE_BYTES, remedy)
    if (got := sha256(content).hexdigest()) != manifest.sha256 or manifest.name != path.stem:
        raise ZooError(
            "the file is not the one that its manifest describes",
            where=path,
            expected=f"sha256 {manifest.sha256} of {manifest.name}",
            got=got,
            remedy=remedy,
        )
    return content
