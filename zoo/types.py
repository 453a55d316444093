"""The central types: ModelSpec → Recipe → Artifact → Measurement.

What only our own code writes is a frozen dataclass. What is read back from a file (manifests,
result lines, run folders) is a strict pydantic model: an unknown or missing key is an error, since
such files may come from anyone. No TensorFlow here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

# --------------------------------------------------------------------------------------------
# Catalogue rows


@dataclass(frozen=True)
class Published:
    """An accuracy that the authors published: theirs, never ours."""

    dataset: str
    top1: float
    top5: float | None = None
    source: str = ""


@dataclass(frozen=True)
class Preprocessing:
    """From uint8 pixels to what the network was trained on: (pixel - mean) / std.

    `mean` and `std` have one value a channel, in units of 0–255 pixel values, in `channels` order.
    """

    channels: Literal["RGB", "BGR", "grey"]
    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True)
class ModelSpec:
    """One architecture of the catalogue.

    Attributes:
        name: the catalogue name, `squeezenet_v1_1`.
        family: the module under `zoo.models` that builds it.
        arguments: keyword arguments of the family's `build`, besides input shape and classes.
        input_shape: (height, width, channels) of the published network.
        classes: number of outputs of the published network.
        parameters: trainable parameters at that input shape and number of classes.
        preprocessing: how the published weights want their input.
        published: the authors' accuracies.
        paper: citation with an address.
        licence: of the architecture's public code.
    """

    name: str
    family: str
    arguments: dict[str, Any]
    input_shape: tuple[int, int, int]
    classes: int
    parameters: int
    preprocessing: Preprocessing
    published: tuple[Published, ...]
    paper: str
    licence: str


def _recipe(default: Any, help: str) -> Any:
    return field(default=default, metadata={"help": help})


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a model is trained and compressed. Every field is also a flag of `scripts.train`."""

    __pydantic_config__ = ConfigDict(extra="forbid")  # run.json and manifests hold recipes

    name: str
    model: str = _recipe("squeezenet_v1_1", "catalogue name of the architecture")
    dataset: str = _recipe("fashion_mnist", "data set: fashion_mnist or digits")
    image_size: int = _recipe(32, "height and width that images are padded to, in pixels")
    batch_norm: bool = _recipe(True, "batch normalisation after every hidden convolution")
    dropout: float = _recipe(0.5, "rate of dropout before the classifier")
    validation_images: int = _recipe(5000, "images split off the training set for model choice")
    epochs: int = _recipe(10, "epochs; a checkpoint is written after each")
    epoch_images: int = _recipe(0, "images an epoch; 0 means the whole training split")
    batch_size: int = _recipe(64, "images a training step")
    learning_rate: float = _recipe(0.05, "peak rate of SGD with Nesterov momentum 0.9")
    warmup: float = _recipe(0.2, "share of the steps with a linearly rising rate; cosine after")
    weight_decay: float = _recipe(5e-4, "decoupled decay of kernels, times the learning rate")
    flip: bool = _recipe(True, "mirror training images at random")
    seed: int = _recipe(1, "seeds the weights, the order of images and the augmentation")
    prune_sparsity: float = _recipe(0.6, "share of zeros in each pruned convolution kernel")
    prune_epochs: int = _recipe(3, "epochs of fine-tuning while pruning")
    prune_learning_rate: float = _recipe(0.02, "peak learning rate while pruning")
    qat_epochs: int = _recipe(2, "epochs of quantisation-aware fine-tuning")
    qat_learning_rate: float = _recipe(0.005, "peak learning rate of quantisation-aware training")
    expected_accuracy: float | None = None
    cost: str = ""


# --------------------------------------------------------------------------------------------
# Files


class Strict(BaseModel):
    """Base of everything that is read from a file: unknown keys refused, immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ModelConfig(Strict):
    """What rebuilds a trained network: a catalogue name and the builder's arguments."""

    model: str
    input_shape: tuple[int, int, int]
    classes: int
    batch_norm: bool
    dropout: float = Field(default=0.5, ge=0, lt=1)


class Run(Strict):
    """`run.json` of a training or compression run's folder."""

    name: str
    stage: Literal["train", "compress"]
    config: ModelConfig
    dataset: str
    recipe: Recipe
    scheme: tuple[str, ...] = ()
    parent: str | None = None
    parent_sha256: Sha256 | None = None
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


class Artifact(Strict):
    """The manifest beside a `.tflite`: `NAME.json` describes `NAME.tflite`."""

    name: str
    model: str
    dataset: str
    precision: str
    scheme: tuple[str, ...]
    sha256: Sha256
    bytes: int
    gzip_bytes: int
    parent_run: str
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


class Device(Strict):
    """Where something was measured. `id` is `host` or a salted hash of the phone's serial."""

    kind: Literal["host", "phone"]
    id: str
    name: str
    details: dict[str, str] = {}


class Configuration(Strict):
    """What one case ran: which runtime or tool, which delegate, how many threads."""

    runtime: str
    runtime_version: str
    delegate: str
    threads: int


class Placement(Strict):
    """Where the graph's nodes really ran.

    `nodes` and `delegated` are None where the tool tells only full, partial or none.
    """

    level: Literal["full", "partial", "none", "unknown"]
    nodes: int | None = None
    delegated: int | None = None
    partitions: int | None = None


class Latency(Strict):
    """Times in microseconds. With several processes each field is the median over processes."""

    runs: int
    processes: int
    init_us: float
    first_us: float
    avg_us: float
    min_us: float
    max_us: float
    std_us: float
    median_us: float | None = None
    p5_us: float | None = None
    p95_us: float | None = None
    peak_memory_mb: float | None = None

    @property
    def typical_us(self) -> float:
        """The median where the tool gives one, else the mean."""
        return self.avg_us if self.median_us is None else self.median_us


class Record(Strict):
    """What every result line holds, whatever stage wrote it."""

    time_utc: str
    command: tuple[str, ...]
    versions: dict[str, str]
    model: str
    model_sha256: Sha256


class TrainRecord(Record):
    """A finished run of `scripts.train` or `scripts.compress`; the SHA-256 is the weights'."""

    kind: Literal["train", "compress"]
    dataset: str
    scheme: tuple[str, ...] = ()
    validation_accuracy: float
    epochs: int
    seconds: float
    zeros: float


class ConvertRecord(Record):
    """A `.tflite` that `scripts.convert` wrote."""

    kind: Literal["convert"] = "convert"
    precision: str
    bytes: int
    gzip_bytes: int
    seconds: float


class Accuracy(Record):
    """A `.tflite` scored through a TFLite runtime, on whole splits of real images."""

    kind: Literal["accuracy"] = "accuracy"
    precision: str
    dataset: str
    split: str
    images: int
    top1: float | None
    device: Device
    configuration: Configuration
    placement: Placement | None = None
    valid: bool
    reasons: tuple[str, ...] = ()


class Measurement(Record):
    """One timed case. A failed case is a row too: `latency` is None and `reasons` says why."""

    kind: Literal["latency"] = "latency"
    precision: str
    device: Device
    configuration: Configuration
    placement: Placement | None = None
    latency: Latency | None = None
    state_before: dict[str, str] = {}
    state_after: dict[str, str] = {}
    valid: bool
    reasons: tuple[str, ...] = ()


Result = TrainRecord | ConvertRecord | Accuracy | Measurement
RESULT: TypeAdapter[Result] = TypeAdapter(Annotated[Result, Field(discriminator="kind")])
