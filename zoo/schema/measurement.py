"""Result lines: what each stage measured, one JSON object a line of `results.jsonl`.

A failed case is a line too, with its reasons. No TensorFlow here.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from zoo.schema.base import Sha256, Strict, former_names

_RESAMPLES = 2000


class Device(Strict):
    """Where something was measured. `id` is `host` or a salted hash of the phone's serial."""

    kind: Literal["host", "phone"]
    id: str
    name: str
    details: dict[str, str] = Field(default_factory=dict)


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
        net_mw_uncertainty, net_mj_uncertainty: about 95 % lie within.
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
    net_mw_uncertainty: float
    net_mj: float
    net_mj_uncertainty: float
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

    _former = former_names(net_mw_doubt="net_mw_uncertainty", net_mj_doubt="net_mj_uncertainty")


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
    state_before: dict[str, str] = Field(default_factory=dict)
    state_after: dict[str, str] = Field(default_factory=dict)
    valid: bool
    reasons: tuple[str, ...] = ()


class Measurement(Timed):
    """One process of a timed case, or (`android_bench.tasks.schedule`) all of them as one.

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
        largest_difference: of all dequantized output values.
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
