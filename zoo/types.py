"""What is read back from files: run folders and manifests.

Strict pydantic models: an unknown or missing key is an error, since such files may come from
anyone. With the catalogue's rows (`zoo.specs`) and the result lines (`zoo.results`) they are the
project's central types: ModelSpec → Recipe → Artifact → Measurement. No TensorFlow here.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from zoo.specs import Recipe

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
# Names of runs and files: one folder deep, no dot in front, nothing that a shell or a URL reads
# otherwise. A run's has at most 120 characters; steps and precision are appended to it.
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,149}$")]


class Strict(BaseModel):
    """Base of everything that is read from a file: unknown keys refused, immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ModelConfig(Strict):
    """What rebuilds a network: a catalogue name and the builder's arguments.

    `batch_norm` concerns the networks whose paper has none; `dropout` None is the paper's own.
    `arguments` of the family's builder replace those of the catalogue's row.
    """

    model: str
    input_shape: tuple[int, int, int]
    classes: int
    width: float = Field(default=1.0, gt=0, le=8)
    batch_norm: bool = False
    dropout: float | None = Field(default=None, ge=0, lt=1)
    arguments: dict[str, bool | int | float | str] = {}


class PerLayer(Strict):
    """Values of a compression scheme layer by layer: sparsities, numbers of clusters or ranks.

    Attributes:
        layers: layer name → its value; 0 leaves the layer alone.
        others: whether layers that are not named get the recipe's value, or are left alone.
    """

    layers: dict[str, float] = {}
    others: bool = True


class LowRank(Strict):
    """The layers that were split in two, and by what rank.

    Attributes:
        spatial: k×k convolutions are split into k×1 and 1×k ones, else into k×k and 1×1.
        ranks: layer name → channels between the two.
    """

    spatial: bool = False
    ranks: dict[str, Annotated[int, Field(ge=1)]]


class TrainedOn(Strict):
    """The data set as a run saw it, for stages that read it again when it may be another.

    Attributes:
        labels: class names by index.
        mean, std: that pixels were normalised by, 0–255.
        digest: of the user's own pictures' names and sizes; empty for published sets.
        validation_images: how many the run was chosen by.
    """

    labels: tuple[str, ...]
    mean: float
    std: float
    digest: str = ""
    validation_images: int


class Run(Strict):
    """`run.json` of a training or compression run's folder.

    `start` is the file of the weights that quantisation-aware training began with: which operators
    it trains depends on them. `trained_on` is None in runs of earlier versions.
    """

    name: str
    stage: Literal["train", "compress"]
    config: ModelConfig
    dataset: str
    trained_on: TrainedOn | None = None
    recipe: Recipe
    scheme: tuple[str, ...] = ()
    per_layer: PerLayer = PerLayer()
    low_rank: LowRank | None = None
    start: str | None = None
    start_sha256: Sha256 | None = None
    parent: str | None = None
    parent_sha256: Sha256 | None = None
    init_from: str | None = None
    init_sha256: Sha256 | None = None
    teacher_sha256: Sha256 | None = None
    weights: str
    weights_sha256: Sha256
    validation_accuracy: float
    best_epoch: int
    versions: dict[str, str]


class TensorInfo(Strict):
    """One input or output of a `.tflite`; `scale` and `zero_point` only where it is quantised."""

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
        licence_code, licence_weights, licence_data: of the architecture's public code, of the
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
    licence_code: str
    licence_weights: str
    licence_data: str


Pixels = Annotated[float, Field(ge=-1e6, le=1e6)]
Spread = Annotated[float, Field(ge=1e-6, le=1e6)]


class PixelRule(Strict):
    """What an application does with pixels: `Artifact.preprocessing`, as `zoo.classifier` needs it.

    The bounds keep what comes out a finite float32.

    Attributes:
        channels: in this order.
        geometry, formula: in words, for people.
        mean, std: of each channel, or one for all, in units of 0–255 pixel values.
    """

    channels: Literal["RGB", "BGR", "grey"]
    geometry: str
    formula: str
    mean: tuple[Pixels, ...]
    std: tuple[Spread, ...]


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
    preprocessing: dict[str, Any]
    labels: tuple[str, ...]
    operators: dict[str, int]
    parameters: int
    zeros: float
    validation_accuracy: float
    recipe: Recipe
    versions: dict[str, str]
    released: Released | None = None
