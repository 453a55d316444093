"""Release folders: models and their manifests, checkpoints, measurements, and an index of them.

    FOLDER/index.json                    every file with its size and SHA-256
    FOLDER/artifacts/NAME.tflite, .json  the model (or NAME.tflite.ztfl, packed) and its manifest
    FOLDER/checkpoints/NAME.safetensors  weights for further training, and their manifests
    FOLDER/labels/DATASET.txt            class names, one per line, in the order of the outputs; for
                                         a user's own images labels/image_folder-RUN.txt
    FOLDER/cards/RUN.md                  a model card for each trained network
    FOLDER/sensitivity/RUN-WHAT.json     compression sensitivity by layer, if it was scanned
    FOLDER/runs/RUN.json                 training record: epochs, and which test images are right
    FOLDER/results.jsonl, index.html     all result lines, and the report page generated from them

A release is a set of plain files for any web server. All of it is untrusted input: names and sizes
are validated before a file is opened.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from zoo.schema.base import Name, Sha256, Strict
from zoo.schema.recipe import Recipe
from zoo.schema.run import ModelConfig

INDEX = "index.json"
CONTAINER = ".ztfl"  # appended to the name of a file packed by scripts.pack
MAX_INDEX_BYTES = 16 * 2**20
MAX_FILE_BYTES = 2**30

# A file name, optionally in one of the folders of the release.
ReleasePath = Annotated[
    str, Field(pattern=r"^(?:[a-z]{1,20}/)?[A-Za-z0-9_][A-Za-z0-9._-]{0,169}$", max_length=190)
]
FileBytes = Annotated[int, Field(ge=0, le=MAX_FILE_BYTES)]


def packed(path: Path) -> Path:
    """Returns the path of the packed form of a release file."""
    return path.with_name(path.name + CONTAINER)


class ReleaseFile(Strict):
    """A file of the release; its path is relative to the index."""

    path: ReleasePath
    bytes: FileBytes
    sha256: Sha256


class Checkpoint(Strict):
    """The manifest next to a `.safetensors` file."""

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
    """A downloadable model or checkpoint.

    Attributes:
        name: Name to download it by.
        kind: Type of the unpacked file.
        run: Name of the run that it was made from.
        file: The unpacked file, with its size and hash.
        download: The transferred file: `file` itself, or its packed form.
        manifest: The JSON file that describes it.
        top1: Test accuracy, 0 to 1; None if it was not measured.
        latency_us: Device → latency with the fastest delegate on it, in microseconds.
        engines: Accelerator (`gpu`, `npu`) → whether its engine runs the file `whole` or in part.
            Only those on which the file was shown to compute what it does on the CPU.
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
    engines: dict[str, Literal["whole", "partial"]] = Field(default_factory=dict)


class Index(Strict):
    """The index of a release: its models and checkpoints (`entries`) and its other files."""

    format: Literal[1] = 1
    entries: tuple[Entry, ...]
    others: tuple[ReleaseFile, ...] = ()
