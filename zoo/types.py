"""What is read back from files: run folders, manifests, result lines.

Strict pydantic models: an unknown or missing key is an error, since such files may come from
anyone. With the catalogue's rows (`zoo.specs`) they are the project's central types:
ModelSpec → Recipe → Artifact → Measurement. No TensorFlow here.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from zoo.specs import Recipe

_RESAMPLES = 2000

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


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


class Run(Strict):
    """`run.json` of a training or compression run's folder.

    `start` is the file of the weights that quantisation-aware training began with: which operators
    it trains depends on them.
    """

    name: str
    stage: Literal["train", "compress"]
    config: ModelConfig
    dataset: str
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


class Artifact(Strict):
    """The manifest beside a `.tflite`: `NAME.json` describes `NAME.tflite`.

    `released` is what `scripts.publish` adds.
    """

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
    released: Released | None = None


class Device(Strict):
    """Where something was measured. `id` is `host` or a salted hash of the phone's serial."""

    kind: Literal["host", "phone"]
    id: str
    name: str
    details: dict[str, str] = {}


class Configuration(Strict):
    """What one case ran: which runtime or tool, which delegate, how many threads, on which cores.

    `cores` is `big`, `little`, `prime` or a mask; empty for all.
    """

    runtime: str
    runtime_version: str
    delegate: str
    threads: int
    cores: str = ""


class Placement(Strict):
    """Where the graph's nodes really ran.

    `nodes` and `delegated` are None where the tool tells only full, partial or none. `left` counts
    by operator the nodes that stayed outside; None where the tool does not tell.
    """

    level: Literal["full", "partial", "none", "unknown"]
    nodes: int | None = None
    delegated: int | None = None
    partitions: int | None = None
    left: dict[str, int] | None = None


class Latency(Strict):
    """Times in microseconds.

    With several processes `runs` is their sum and every other field the median over processes;
    one that any process lacks is None. `interval_us` then is the 95 % bootstrap interval of that
    median: with 3 processes simply from the fastest to the slowest; None with fewer.
    """

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
    interval_us: tuple[float, float] | None = None

    @classmethod
    def over_processes(cls, parts: Sequence[Latency]) -> Latency:
        """One latency of what several processes measured, each once."""
        merged: dict[str, float | None] = {}
        for name in cls.model_fields.keys() - {"interval_us"}:
            values = [getattr(part, name) for part in parts]
            merged[name] = None if None in values else statistics.median(values)
        runs = sum(part.runs for part in parts)
        typical = [part.typical_us if merged["median_us"] else part.avg_us for part in parts]
        interval = _bootstrap(typical) if len(parts) >= 3 else None
        whole = {"runs": runs, "processes": len(parts), "interval_us": interval}
        return cls.model_validate({**merged, **whole})

    @property
    def typical_us(self) -> float:
        """The median where the tool gives one, else the mean."""
        return self.avg_us if self.median_us is None else self.median_us


def _bootstrap(values: Sequence[float]) -> tuple[float, float]:
    """The percentile interval of the median (Efron 1979), with the same draws every time."""
    draw = random.Random(1)  # noqa: S311
    medians = sorted(
        statistics.median(draw.choices(values, k=len(values))) for _ in range(_RESAMPLES)
    )
    tail = round(0.025 * _RESAMPLES)
    return medians[tail], medians[-tail - 1]


class Energy(Strict):
    """What inferences take: from a phone's battery, or of the computer's processor alone.

    Attributes:
        gross_mw: mean power under load; idle_mw: without; net_mw: the difference.
        net_mw_doubt, net_mj_doubt: about 95 % lie within.
        net_mj: net energy of an inference.
        inferences_per_percent: of the battery, by net energy; None where its capacity is unknown.
        hours: of inference after inference, by gross power; likewise.
        window_s: length of the load that was looked at.
        readings: distinct ones in it, `gauge_period_s` apart.
        source: `battery`, or `rapl`: the processor packages' own counters.
        unit, charging_is: of the battery gauge's current, concluded from `evidence`.
        evidence: with `rapl` the packages that were counted.
        sampler: on phones, `native` or `loop`.
    """

    gross_mw: float
    idle_mw: float
    net_mw: float
    net_mw_doubt: float
    net_mj: float
    net_mj_doubt: float
    inferences_per_percent: float | None = None
    hours: float | None = None
    window_s: float
    readings: int
    gauge_period_s: float
    source: Literal["battery", "rapl"] = "battery"
    unit: Literal["uA", "mA"] | None = None
    charging_is: Literal["positive", "negative"] | None = None
    evidence: tuple[str, ...]
    sampler: Literal["native", "loop"] | None = None


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


class Timed(Record):
    """One process of a case that is run for its latency, or a sustained run of it.

    `case` stands for all that was asked for; empty in lines of before there was one. `process`
    counts from 1. A failed one is a row too: `reasons` says why. One that is not `valid` for what
    the phone did meanwhile keeps its numbers.
    """

    case: str = ""
    process: int = 1
    processes: int = 1
    precision: str
    device: Device
    configuration: Configuration
    placement: Placement | None = None
    state_before: dict[str, str] = {}
    state_after: dict[str, str] = {}
    valid: bool
    reasons: tuple[str, ...] = ()


class Measurement(Timed):
    """One process of a timed case, or (`android_bench.tasks`) all of them as one.

    Where energy was asked for, there is either `energy` or the reason `no_energy`.
    """

    kind: Literal["latency"] = "latency"
    latency: Latency | None = None
    energy: Energy | None = None
    no_energy: str | None = None


class SustainedPoint(Strict):
    """One stretch of a sustained run; None where the phone does not tell.

    Attributes:
        at_s: its beginning, since that of the run.
        latency_us: typical, as in `Latency`.
        busy: share of its time that inferences took; the rest is loading and warming up.
        battery_c: in the middle of it.
        big_core_khz: mean clock of the fastest cluster; big_core_limit_khz: the lowest limit.
        gpu_hz: mean clock of the GPU.
        thermal_status: at its end, 0 to 6.
    """

    at_s: float
    latency_us: float
    busy: float
    battery_c: float | None = None
    big_core_khz: float | None = None
    big_core_limit_khz: float | None = None
    gpu_hz: float | None = None
    thermal_status: int | None = None


class Sustained(Timed):
    """Inference after inference for minutes, as a curve.

    Attributes:
        points: stretch by stretch.
        first_us, last_us: typical latency of the first and the last stretches.
        slower_after_s: from when on it stayed 10 % above the first; None if it did not.
        limited_after_s: when the clock of the fastest cluster was first cut; likewise.
    """

    kind: Literal["sustained"] = "sustained"
    points: tuple[SustainedPoint, ...] = ()
    first_us: float | None = None
    last_us: float | None = None
    slower_after_s: float | None = None
    limited_after_s: float | None = None


class OperatorTime(Strict):
    """What a type of operators, or one operator, takes of an inference.

    Attributes:
        type: as the tool calls it; a delegate's node is one too.
        name: of the operator; empty for a type.
        count: operators of the type, or calls of the operator.
        avg_ms: of all of them together, in one inference.
        percent: of all operators' time.
    """

    type: str
    name: str = ""
    count: int
    avg_ms: float
    percent: float


class OperatorProfile(Timed):
    """Which operators take the time, of a run that timing them slowed.

    Attributes:
        types, slowest: of the graph's nodes.
        delegate_types, delegate_slowest: of those inside a delegate's nodes; empty where it does
            not tell.
    """

    kind: Literal["operators"] = "operators"
    types: tuple[OperatorTime, ...] = ()
    slowest: tuple[OperatorTime, ...] = ()
    delegate_types: tuple[OperatorTime, ...] = ()
    delegate_slowest: tuple[OperatorTime, ...] = ()


class Agreement(Record):
    """How far a phone's outputs are from this computer's, for the same pictures.

    Attributes:
        reference: what computed them here.
        pictures: which they were.
        images: how many; 0 where it did not come to that.
        top1_agreement: share of the pictures with the same class on top; None where the output is
            no list of classes.
        largest_difference: of all dequantised output values.
        relative_difference: the same as a share of the range of the reference's values.
    """

    kind: Literal["outputs"] = "outputs"
    precision: str
    device: Device
    configuration: Configuration
    placement: Placement | None = None
    reference: str = ""
    pictures: str = ""
    images: int = 0
    top1_agreement: float | None = None
    largest_difference: float | None = None
    relative_difference: float | None = None
    valid: bool
    reasons: tuple[str, ...] = ()


Result = (
    TrainRecord | ConvertRecord | Accuracy | Measurement | Sustained | OperatorProfile | Agreement
)
RESULT: TypeAdapter[Result] = TypeAdapter(Annotated[Result, Field(discriminator="kind")])
