"""Artifact: the manifest of a `.tflite` file.

Manifests may come from untrusted sources, so these are strict pydantic models: unknown and missing
keys are errors. Together with the catalog's rows (`zoo.schema.model`), the recipes
(`zoo.schema.recipe`) and the result lines (`zoo.schema.measurement`) they are the project's central
types: ModelSpec → Recipe → Artifact → Measurement. Imports no TensorFlow.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from zoo.schema.base import Name, Sha256, Strict, former_names, with_former_channels
from zoo.schema.recipe import Recipe


class TensorInfo(Strict):
    """One input or output of a `.tflite`; `scale` and `zero_point` are None unless quantized."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float | None = None
    zero_point: int | None = None


class Range(Strict):
    """Range of the dequantized values of an input or output."""

    low: float
    high: float


class Metric(Strict):
    """Accuracy of this very file, 0 to 1; `low` and `high` bound its 95 % Wilson interval."""

    dataset: str
    split: str
    images: int
    top1: float
    low: float
    high: float
    runtime: str


class Timing(Strict):
    """Latency per inference on one device with one delegate, and energy if it was measured."""

    device: str
    runtime: str
    delegate: str
    threads: int
    latency_us: float
    interval_us: tuple[float, float] | None = None
    energy_mj: float | None = None


class EngineResult(Strict):
    """What an engine computed of this very file, against LiteRT's XNNPACK on the same test images.

    Attributes:
        engine: Name of the engine, see `zoo.runtime.RUNTIMES`.
        version: Its version.
        delegate: Its delegate, with the SoC of an NPU: `npu:SM8650`.
        accelerator: Device that it stands for; None for an interpreter.
        computes_in: Type that the accelerator computes in; None for an interpreter.
        whole: Whether the accelerator runs all operators; None for an interpreter.
        images: Number of images.
        agreement: Share of images with the same top-1 class.
        top1: Accuracy on these images.
    """

    engine: str
    version: str
    delegate: str
    accelerator: str | None = None
    computes_in: str | None = None
    whole: bool | None = None
    images: int
    agreement: float
    top1: float | None = None

    @property
    def kind(self) -> str:
        """The delegate without the SoC: `gpu`, `npu`; `xnnpack` for an interpreter."""
        return self.delegate.partition(":")[0]


class Released(Strict):
    """Fields of a manifest that are only known when the artifact is released.

    Attributes:
        zip_bytes: Size of the file compressed by ZIP's deflate.
        container_bytes: Size of the file packed by `scripts.pack`.
        parent: Name of the float32 artifact of the same network; None in its own manifest.
        input_range: Value range of the first input; None if unbounded.
        output_range: Value range of the first output; None if unbounded.
        labels: Path of the labels file.
        labels_offset: Index of the output that the first label belongs to.
        accuracies: Accuracies measured on this very file.
        timings: Latencies measured on this very file.
        engines: What engines computed of this very file, compared with the CPU.
        published: The authors' accuracies for the architecture, not ours.
        commands: Commands that trained, compressed and converted it, in order.
        paper: Citation with an address.
        license_code: License of the architecture's public code.
        license_weights: License of the weights.
        license_data: License of the training data.
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
    engines: tuple[EngineResult, ...] = ()
    published: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    paper: str
    license_code: str
    license_weights: str
    license_data: str

    _former = former_names(
        licence_code="license_code",  # codespell:ignore licence
        licence_weights="license_weights",  # codespell:ignore licence
        licence_data="license_data",  # codespell:ignore licence
    )


PixelMean = Annotated[float, Field(ge=-1e6, le=1e6)]
PixelStd = Annotated[float, Field(ge=1e-6, le=1e6)]


class PixelRule(Strict):
    """How an application preprocesses an image: the validated form of `Artifact.preprocessing`.

    The bounds of `mean` and `std` ensure finite float32 results.

    Attributes:
        channels: Channel order.
        geometry: How the image is resized and cropped, in words.
        formula: How pixel values are normalized, in words.
        mean: One value per channel or one for all, in units of 0–255 pixel values.
        std: Standard deviation, in the same form as `mean`.
    """

    channels: Literal["RGB", "BGR", "gray"]
    geometry: str
    formula: str
    mean: tuple[PixelMean, ...]
    std: tuple[PixelStd, ...]


class Artifact(Strict):
    """The manifest next to a `.tflite`: `NAME.json` describes `NAME.tflite`.

    Manifests are untrusted, so every field that becomes part of a path is a `Name`, which can't
    leave its folder. `released` is filled in by `scripts.publish`.
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
    preprocessing: Annotated[dict[str, Any], BeforeValidator(with_former_channels)]
    labels: tuple[str, ...]
    operators: dict[str, int]
    parameters: int
    zeros: float
    validation_accuracy: float
    recipe: Recipe
    versions: dict[str, str]
    released: Released | None = None
