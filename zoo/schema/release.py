"""What a release folder holds: manifests with measurements, checkpoints, and the index of it all.

    FOLDER/index.json                    every file with its size and SHA-256
    FOLDER/artifacts/NAME.tflite, .json  the model (or NAME.tflite.ztfl, packed) and its manifest
    FOLDER/checkpoints/NAME.safetensors  weights to train on from, with a manifest each
    FOLDER/labels/DATASET.txt            class names, one a line, in the order of the outputs; those
                                         of own pictures by run: labels/image_folder-RUN.txt
    FOLDER/cards/RUN.md                  a model card for each trained network
    FOLDER/sensitivity/RUN-WHAT.json     what each layer bears, where that was scanned
    FOLDER/results.jsonl, index.html     every result line, and the page made of them

It is plain files, for any web server. Everything read here is untrusted: names are checked to be
names and sizes to be bounded before anything is opened.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from zoo.schema.base import Name, Sha256, Strict
from zoo.schema.recipe import Recipe
from zoo.schema.run import ModelConfig

INDEX = "index.json"
CONTAINER = ".ztfl"  # behind a file's name: packed by scripts.pack
MAX_INDEX_BYTES = 16 * 2**20
MAX_FILE_BYTES = 2**30

# A name with a suffix, alone or in a folder of the release.
ReleasePath = Annotated[
    str, Field(pattern=r"^(?:[a-z]{1,20}/)?[A-Za-z0-9_][A-Za-z0-9._-]{0,169}$", max_length=190)
]
FileBytes = Annotated[int, Field(ge=0, le=MAX_FILE_BYTES)]


def packed(path: Path) -> Path:
    """Where a file of a release is when it is packed."""
    return path.with_name(path.name + CONTAINER)


class ReleaseFile(Strict):
    """A file of the release, by its path from the index."""

    path: ReleasePath
    bytes: FileBytes
    sha256: Sha256


class Checkpoint(Strict):
    """The manifest beside a `.safetensors`."""

    name: Name
    run: Name
    model: str
    dataset: str
    scheme: tuple[str, ...] = ()
    parameters: int
    sha256: Sha256
    bytes: FileBytes
    run_sha256: Sha256
    config: ModelConfig
    recipe: Recipe
    validation_accuracy: float
    versions: dict[str, str]


class Entry(Strict):
    """One thing to download.

    Attributes:
        name: what to ask for; `run` is what it was made of.
        kind: what `file` is once unpacked.
        file: as it is used: its hash and size after unpacking.
        download: what is transferred, `file` itself or a container of it.
        manifest: the JSON that describes it.
        top1: test accuracy, 0 to 1; None where it was not scored.
        latency_us: by device, of the fastest delegate there.
    """

    name: Name
    kind: Literal["tflite", "checkpoint"]
    run: Name
    model: str
    dataset: str
    task: str = "image-classification"
    precision: str
    scheme: tuple[str, ...] = ()
    parameters: int
    file: ReleaseFile
    download: ReleaseFile
    manifest: ReleaseFile
    top1: float | None = None
    latency_us: dict[str, float] = Field(default_factory=dict)


class Index(Strict):
    """All that a release has."""

    format: Literal[1] = 1
    entries: tuple[Entry, ...]
    others: tuple[ReleaseFile, ...] = ()
