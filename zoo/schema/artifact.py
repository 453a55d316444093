"""Artifact: a `.tflite` as its manifest describes it.

Strict pydantic models: an unknown or missing key is an error, since such files may come from
anyone. With the catalog's rows (`zoo.schema.model`), the recipes (`zoo.schema.recipe`) and the
result lines (`zoo.schema.measurement`) they are the project's central types: ModelSpec → Recipe →
Artifact → Measurement. No TensorFlow here.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from zoo.schema.base import Name, Sha256, Strict, former_names
from zoo.schema.recipe import Recipe


class TensorInfo(Strict):
    """One input or output of a `.tflite`; `scale` and `zero_point` only where it is quantized."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float | None = None
    zero_point: int | None = None


class Range(Strict):
    """The real values that an input's or output's numbers stand for."""

    low: float
    high: float


class Metric(Strict):
    """An accuracy of the file itself. `low`, `high`: what chance alone gives in 95 % (Wilson)."""

    dataset: str
    split: str
    images: int
    top1: float
    low: float
    high: float
    runtime: str


class Timing(Strict):
    """Latency, and energy where it was measured, on one device by one delegate."""

    device: str
    runtime: str
    delegate: str
    threads: int
    latency_us: float
    interval_us: tuple[float, float] | None = None
    energy_mj: float | None = None


class Released(Strict):
    """What the manifest of a release tells beyond what converting knew.

    Attributes:
        zip_bytes, container_bytes: the file packed by ZIP's deflate and by `scripts.pack`.
        parent: the float32 artifact of the same network, None in its own manifest.
        input_range, output_range: of the first input and output; None where nothing bounds it.
        labels: path of the labels; the first one is output number `labels_offset`.
        accuracies, timings: measured, each on this very file.
        published: the authors' figures for the architecture, theirs and not ours.
        commands: what trained, compressed and converted it, in order.
        license_code, license_weights, license_data: of the architecture's public code, of the
            weights, and of what they were trained on.
    """

    zip_bytes: int
    container_bytes: int
    parent: str | None = None
    input_range: Range | None = None
    output_range: Range | None = None
    labels: str
    labels_offset: int = 0
    accuracies: tuple[Metric, ...] = ()
    timings: tuple[Timing, ...] = ()
    published: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    paper: str
    license_code: str
    license_weights: str
    license_data: str

    _former = former_names(
        licence_code="license_code", licence_weights="license_weights", licence_data="license_data"
    )


PixelMean = Annotated[float, Field(ge=-1e6, le=1e6)]
PixelStd = Annotated[float, Field(ge=1e-6, le=1e6)]


class PixelRule(Strict):
    """What an application does with pixels: `Artifact.preprocessing`, as the classifier needs it.

    The bounds keep what comes out a finite float32.

    Attributes:
        channels: in this order.
        geometry, formula: in words, for people.
        mean, std: of each channel, or one for all, in units of 0–255 pixel values.
    """

    channels: Literal["RGB", "BGR", "gray"]
    geometry: str
    formula: str
    mean: tuple[PixelMean, ...]
    std: tuple[PixelStd, ...]


def _american(preprocessing: object) -> object:
    """Manifests of the first version say "grey"."""
    if isinstance(preprocessing, dict) and preprocessing.get("channels") == "grey":
        return {**preprocessing, "channels": "gray"}
    return preprocessing


class Artifact(Strict):
    """The manifest beside a `.tflite`: `NAME.json` describes `NAME.tflite`.

    `released` is what `scripts.publish` adds. What paths are made of are names that can't leave a
    folder, since a manifest is anyone's.
    """

    name: Name
    model: Name
    dataset: Name
    precision: Name
    scheme: tuple[str, ...]
    sha256: Sha256
    bytes: int
    gzip_bytes: int
    parent_run: Name
    parent_sha256: Sha256
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    preprocessing: Annotated[dict[str, Any], BeforeValidator(_american)]
    labels: tuple[str, ...]
    operators: dict[str, int]
    parameters: int
    zeros: float
    validation_accuracy: float
    recipe: Recipe
    versions: dict[str, str]
    released: Released | None = None
