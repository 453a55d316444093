"""Result lines: the results of each stage, one JSON object per line of `results.jsonl`.

Failed cases also get a line, with the reasons. Imports no TensorFlow.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from zoo.schema.base import Sha256, Strict, former_names
from zoo.schema.correct import CorrectBits

_RESAMPLES = 2000


class Device(Strict):
    """Where a result was measured. `id` is `host` or a salted hash of the phone's serial number."""

    kind: Literal["host", "phone"]
    id: str
    name: str
    details: dict[str, str] = Field(default_factory=dict)


class Configuration(Strict):
    """How a case was run: runtime or tool, delegate, number of threads and CPU cores.

    `cores` is `big`, `little`, `prime` or a CPU mask; empty for all cores.
    """

    runtime: str
    runtime_version: str
    delegate: str
    threads: int
    cores: str = ""


class Accelerator(Strict):
    """The device that an engine computes on.

    `stand_in` tells that a processor or an emulator computes what the accelerator would: its
    outputs count, its times do not.
    """

    name: str
    driver: str
    computes_in: Literal["float32", "float16", "integers"]
    stand_in: bool

    @property
    def in_words(self) -> str:
        """Device, driver and arithmetic in one line."""
        return f"{self.name} ({self.driver}), computes in {self.computes_in}"

    @property
    def words(self) -> str:
        """The same, and what a stand-in means."""
        limit = ", a stand-in: outputs count, times do not" if self.stand_in else ""
        return f"{self.in_words}{limit}"


class Placement(Strict):
    """Where the nodes of the graph actually ran.

    `nodes` and `delegated` are None if the tool reports only the level. `left` counts the nodes
    that were not delegated, by operator, and `refused` is what the engine says about them; None if
    the tool does not report it. `accelerator` is None for a processor.
    """

    level: Literal["full", "partial", "none", "unknown"]
    nodes: int | None = None
    delegated: int | None = None
    partitions: int | None = None
    left: dict[str, int] | None = None
    refused: tuple[str, ...] | None = None
    accelerator: Accelerator | None = None


class Latency(Strict):
    """Latency statistics in microseconds.

    When several processes are merged, `runs` is their sum and every other field is the median over
    processes, or None if any process lacks it. `interval_us` is the 95 % bootstrap interval of the
    median over processes. With 3 processes it spans from the fastest to the slowest; with fewer it
    is None.
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
        """Merges the latencies of several processes, one each."""
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
        """The median if the tool reports one, else the mean."""
        return self.avg_us if self.median_us is None else self.median_us


def _bootstrap(values: Sequence[float]) -> tuple[float, float]:
    """Returns the 95 % percentile interval of the median (Efron 1979); the draws are seeded."""
    draw = random.Random(1)  # noqa: S311
    medians = sorted(
        statistics.median(draw.choices(values, k=len(values))) for _ in range(_RESAMPLES)
    )
    tail = round(0.025 * _RESAMPLES)
    return medians[tail], medians[-tail - 1]


class Energy(Strict):
    """Energy consumption of inference: of a whole phone, or of the host's processors only.

    Attributes:
        gross_mw: Mean power under load, in mW.
        idle_mw: Mean power without load, in mW.
        net_mw: Difference of the two.
        net_mw_uncertainty: Half-width of the approximate 95 % confidence interval of `net_mw`.
        net_mj: Net energy per inference, in mJ.
        net_mj_uncertainty: Half-width of the approximate 95 % confidence interval of `net_mj`.
        inferences_per_percent: Inferences per percent of the battery, by net energy; None if its
            capacity is unknown.
        hours: Hours of continuous inference per battery charge, by gross power; None if its
            capacity is unknown.
        window_s: Length of the evaluated load, in seconds.
        readings: Number of distinct gauge readings in that window.
        gauge_period_s: Seconds between two readings.
        source: `battery` for the phone's gauge, `rapl` for the counters of the CPU packages.
        unit: Unit of the battery gauge's current, inferred from `evidence`.
        charging_is: Sign of the gauge's current while charging, inferred from `evidence`.
        evidence: What `unit` and `charging_is` are inferred from; with `rapl` the packages that
            were counted.
        sampler: How the phone was sampled: `native` program or shell `loop`.
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
    """Fields of every result line."""

    time_utc: str
    command: tuple[str, ...]
    versions: dict[str, str]
    model: str
    model_sha256: Sha256


class TrainRecord(Record):
    """A finished run of `scripts.train` or `scripts.compress`; `model_sha256` is of its weights."""

    kind: Literal["train", "compress"]
    dataset: str
    scheme: tuple[str, ...] = ()
    validation_accuracy: float
    epochs: int
    seconds: float
    zeros: float


class ConvertRecord(Record):
    """A `.tflite` file written by `scripts.convert`."""

    kind: Literal["convert"] = "convert"
    precision: str
    bytes: int
    gzip_bytes: int
    seconds: float


class Accuracy(Record):
    """Accuracy of a `.tflite` in a TFLite runtime, on a whole split of a dataset.

    `correct` tells which images were classified correctly, in the order of the split, see
    `zoo.schema.correct`; it allows paired comparisons. None in lines of earlier versions.
    """

    kind: Literal["accuracy"] = "accuracy"
    precision: str
    dataset: str
    split: str
    images: int
    top1: float | None
    correct: CorrectBits | None = None
    device: Device
    configuration: Configuration
    placement: Placement | None = None
    valid: bool
    reasons: tuple[str, ...] = ()


class Timed(Record):
    """One process of a case that was timed, or a sustained run of it.

    `case` identifies the requested measurement; it is empty in lines of early versions. `process`
    counts from 1. A failed process also gets a line, with `reasons`. If the phone's state made a
    measurement invalid, its numbers are kept.
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
    """One process of a timed case, or all of them merged by `zoo.schema.processes`.

    If energy was requested, either `energy` or the reason in `no_energy` is set.
    """

    kind: Literal["latency"] = "latency"
    latency: Latency | None = None
    energy: Energy | None = None
    no_energy: str | None = None


class SustainedPoint(Strict):
    """One interval of a sustained run. Fields are None if the phone does not report them.

    Attributes:
        at_s: Seconds from the start of the run to the start of the interval.
        latency_us: Typical latency, as in `Latency`.
        busy: Share of the interval spent on inference; the rest is loading and warm-up.
        battery_c: Battery temperature in the middle of the interval, in °C.
        big_core_khz: Mean clock of the fastest CPU cluster.
        big_core_limit_khz: Lowest frequency limit of the fastest CPU cluster.
        gpu_hz: Mean clock of the GPU.
        thermal_status: Android's thermal status at the end of the interval, 0 to 6.
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
    """Latency over several minutes of continuous inference.

    Attributes:
        points: One point per interval.
        first_us: Typical latency of the first intervals.
        last_us: Typical latency of the last intervals.
        slower_after_s: Time after which latency stayed 10 % above `first_us`; None if it never did.
        limited_after_s: Time at which the clock limit of the fastest CPU cluster first dropped;
            None if it never did.
    """

    kind: Literal["sustained"] = "sustained"
    points: tuple[SustainedPoint, ...] = ()
    first_us: float | None = None
    last_us: float | None = None
    slower_after_s: float | None = None
    limited_after_s: float | None = None


class OperatorTime(Strict):
    """Time per inference of one operator, or of all operators of one type.

    Attributes:
        type: Operator type as the tool names it; a delegate's node is also a type.
        name: Name of the operator; empty for a type.
        count: Number of operators of the type, or calls of the operator.
        avg_ms: Their total time per inference, in milliseconds.
        percent: Share of the time of all operators.
    """

    type: str
    name: str = ""
    count: int
    avg_ms: float
    percent: float


class OperatorProfile(Timed):
    """Time by operator, from a separate run because profiling slows inference.

    Attributes:
        types: Time by type of the graph's nodes.
        slowest: The slowest nodes of the graph.
        delegate_types: Time by type of the operators inside delegate nodes; empty if the delegate
            does not report them.
        delegate_slowest: The slowest operators inside delegate nodes; empty if the delegate does
            not report them.
    """

    kind: Literal["operators"] = "operators"
    types: tuple[OperatorTime, ...] = ()
    slowest: tuple[OperatorTime, ...] = ()
    delegate_types: tuple[OperatorTime, ...] = ()
    delegate_slowest: tuple[OperatorTime, ...] = ()


class Agreement(Record):
    """How far a phone's outputs differ from this computer's, for the same images.

    Attributes:
        reference: Runtime that computed the outputs on this computer.
        pictures: Which images were compared.
        images: Number of images; 0 if the comparison failed before it ran.
        top1_agreement: Share of images with the same top-1 class; None if the output is not a
            vector of class scores.
        largest_difference: Largest absolute difference of all dequantized output values.
        relative_difference: `largest_difference` divided by the range of the reference's values;
            None if these are all equal.
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
