"""One result line of the report: its case, verdict and wording. Pure functions."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from datetime import UTC, datetime

from zoo.errors import one_line
from zoo.schema.measurement import (
    Accuracy,
    Agreement,
    Configuration,
    ConvertRecord,
    Device,
    Measurement,
    OperatorProfile,
    Placement,
    Record,
    Sustained,
    TrainRecord,
)

CaseResult = Accuracy | Measurement | Agreement | Sustained | OperatorProfile

DELEGATES = {
    "xnnpack": "XNNPACK",
    "none": "no delegate",
    "gpu": "GPU",
    "nnapi": "NNAPI",
    "hexagon": "Hexagon",
    "coreml": "Core ML",
}
SHORTEST_US, LONGEST_US = 1e-3, 1e10  # a nanosecond, three hours: no inference takes that
MOST_IMAGES = 10**9
_MOST_TYPES = 5


@dataclass(frozen=True)
class Setup:
    """Where and how something was timed; latencies compare only within one setup."""

    kind: str
    device: str
    device_id: str
    runtime: str
    threads: int
    cores: str = ""


@dataclass(frozen=True)
class Line:
    """One result line in words."""

    time: str
    what: str
    result: str
    command: str


def clean(text: object, limit: int = 160) -> str:
    """Text from a file, fit for a terminal, HTML and SVG once escaped: one line, bounded."""
    return one_line(text, limit) or "(empty)"


def instant(record: Record) -> datetime | None:
    """When the line was written, in UTC; None where it does not say so legibly."""
    try:
        time = datetime.fromisoformat(record.time_utc)
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def failure_of(record: CaseResult) -> str:
    """Why a result is no number, in words; empty for a good one.

    A line that calls itself valid is still doubted where its value makes no sense: the file may
    come from anyone.
    """
    if not record.valid:
        return clean("; ".join(record.reasons), 400) if record.reasons else "no reason was recorded"
    if isinstance(record, Accuracy):
        if record.top1 is None or not 1 <= record.images <= MOST_IMAGES:
            return "the line holds no accuracy"
        return "" if 0 <= record.top1 <= 1 else f"accuracy {record.top1:g} is not within 0–1"
    if isinstance(record, Agreement):
        return _no_agreement(record)
    if isinstance(record, OperatorProfile):
        return "" if record.types else "the line holds no profile"
    if isinstance(record, Sustained):
        typical_us = record.last_us if record.first_us is not None and record.points else None
    else:
        typical_us = record.latency.typical_us if record.latency else None
    if typical_us is None:
        return "the line holds no latency"
    return (
        ""
        if SHORTEST_US <= typical_us <= LONGEST_US
        else f"a latency of {typical_us:g} µs makes no sense"
    )


def _no_agreement(record: Agreement) -> str:
    if record.largest_difference is None or not 1 <= record.images <= MOST_IMAGES:
        return "the line holds no comparison"
    shares = [record.top1_agreement] if record.top1_agreement is not None else []
    if record.largest_difference < 0 or not all(0 <= share <= 1 for share in shares):
        return "the line's comparison makes no sense"
    return ""


def age_order(record: Record) -> datetime:
    """The key that sorts lines by age, oldest first."""
    # Lines without a legible time count as oldest; sorting is stable, so they keep their order.
    return instant(record) or datetime.min.replace(tzinfo=UTC)


def case_of(record: CaseResult | ConvertRecord) -> tuple[object, ...]:
    """What makes two lines about one file the same case."""
    if isinstance(record, ConvertRecord):
        return (record.kind,)
    ran: Configuration = record.configuration
    case = (record.kind, record.device.id, ran.runtime, ran.delegate, ran.threads, ran.cores)
    return (*case, record.dataset, record.split) if isinstance(record, Accuracy) else case


def setup_of(record: CaseResult) -> Setup:
    """The setup of a line; a host's name is part of it, since every host has the id `host`."""
    device: Device = record.device
    return Setup(
        kind=device.kind,
        device=clean(device.name, 60),
        device_id=clean(device.id, 60),
        runtime=clean(record.configuration.runtime, 40),
        threads=record.configuration.threads,
        cores=clean(record.configuration.cores, 40) if record.configuration.cores else "",
    )


def delegate_label(delegate: str) -> str:
    """`xnnpack` → `XNNPACK`; an unknown delegate keeps its name."""
    return DELEGATES.get(delegate, delegate)


def threads_label(ran: Setup | Configuration) -> str:
    """`1 thread`, `4 threads on big cores`."""
    count = f"{ran.threads} thread" if ran.threads == 1 else f"{ran.threads} threads"
    cores = clean(ran.cores, 40) if ran.cores else ""
    return f"{count} on {cores} cores" if cores else count


def when(record: Record) -> str:
    """The line's time for people."""
    time = instant(record)
    return f"{time:%Y-%m-%d %H:%M:%S} UTC" if time else clean(record.time_utc, 40)


def command_of(record: Record) -> str:
    """The command as it could be typed again."""
    return clean(shlex.join(record.command), 2000)


def describe(record: Record) -> Line:
    """One result line in words, for the page's details."""
    return Line(when(record), what_ran(record), clean(_result(record), 600), command_of(record))


def what_ran(record: Record) -> str:
    """The case of a line in words: what was done, where and how."""
    if isinstance(record, CaseResult):
        ran = record.configuration
        subject: str = record.kind
        if isinstance(record, Sustained):
            subject = "sustained run"
        if isinstance(record, Accuracy):
            subject += f" on {record.dataset}/{record.split}"
        where = f"{record.device.name}, {ran.runtime} {ran.runtime_version}"
        how = f"{delegate_label(ran.delegate)}, {threads_label(ran)}"
        return clean(f"{subject} on {where}, {how}", 300)
    return "conversion" if isinstance(record, ConvertRecord) else "training"


def _result(record: Record) -> str:
    if isinstance(record, ConvertRecord):
        return f"{record.bytes:,} bytes, {record.gzip_bytes:,} with gzip"
    if isinstance(record, TrainRecord):
        return f"{100 * record.validation_accuracy:.2f} % of the validation images"
    if not isinstance(record, CaseResult):
        return ""
    if reason := failure_of(record):
        return f"failed: {reason}"
    if isinstance(record, Accuracy):
        return f"{100 * (record.top1 or 0):.2f} % of {record.images:,} images"
    if isinstance(record, Sustained):
        return curve_in_words(record)
    if isinstance(record, OperatorProfile):
        return profile_in_words(record)
    if isinstance(record, Agreement):
        return agreement_of(record)
    if record.latency is None:
        return ""
    times = record.latency
    which = "mean" if times.median_us is None else "median"
    between = times.interval_us
    interval = f" (95 %: {between[0] / 1000:.3f} to {between[1] / 1000:.3f})" if between else ""
    return (
        f"{which} {times.typical_us / 1000:.3f} ms{interval}, {times.min_us / 1000:.3f} to "
        f"{times.max_us / 1000:.3f} ms; first run {times.first_us / 1000:.3f} ms, initialization "
        f"{times.init_us / 1000:.3f} ms; {_times(times.runs, 'run')} in "
        f"{_times(times.processes, 'process', 'processes')}{_energy(record)}"
    )


def _energy(record: Measurement) -> str:
    energy = record.energy
    if energy is None:
        return "" if record.no_energy is None else f"; no energy: {record.no_energy}"
    what = "the gauge" if energy.source == "battery" else "the processor's counters"
    words = [
        f"{energy.net_mj:.3g} ± {energy.net_mj_uncertainty:.2g} mJ an inference",
        f"{energy.gross_mw:.0f} mW less {energy.idle_mw:.0f} mW idle, {energy.readings} readings "
        f"of {what} in {energy.window_s:.0f} s",
    ]
    if energy.inferences_per_percent is not None:
        words.append(f"{energy.inferences_per_percent:,.0f} inferences a percent of the battery")
    if energy.hours is not None:
        words.append(f"{energy.hours:.1f} h without a pause")
    return "; " + ", ".join(words)


def profile_in_words(record: OperatorProfile) -> str:
    """Which operators take the time, those inside a delegate where it tells."""
    types = record.delegate_types or record.types
    most = [f"{clean(one.type, 60)} {one.percent:.1f} %" for one in types[:_MOST_TYPES]]
    inside = " inside the delegate" if record.delegate_types else ""
    return f"{', '.join(most)}{inside}, by {sum(one.avg_ms for one in types):.3f} ms with profiling"


def curve_in_words(record: Sustained) -> str:
    """What a sustained run came to."""
    if not record.points or record.first_us is None or record.last_us is None:
        return ""
    minutes = record.points[-1].at_s / 60
    words = [f"{record.first_us / 1000:.3f} ms at first, {record.last_us / 1000:.3f} ms in the end"]
    slower = record.slower_after_s
    words.append(
        f"no slower over {minutes:.0f} min"
        if slower is None
        else f"slower by {100 * (record.last_us / record.first_us - 1):.0f} % "
        f"from minute {slower / 60:.1f} on"
    )
    if record.limited_after_s is not None:
        words.append(f"clock cut in minute {record.limited_after_s / 60:.1f}")
    first_c, last_c = record.points[0].battery_c, record.points[-1].battery_c
    if first_c is not None and last_c is not None:
        words.append(f"battery {first_c:.1f} to {last_c:.1f} °C")
    return "; ".join(words)


def agreement_of(record: Agreement) -> str:
    """How far a phone's outputs are from the host's, in words, of a line that did not fail."""
    words = []
    if record.top1_agreement is not None:
        same = round(record.top1_agreement * record.images)
        words.append(f"agree with the host on {same:,} of {_times(record.images, 'picture')}")
    words.append(f"largest difference {record.largest_difference:.2g}")
    if record.relative_difference is not None:
        words[-1] += f", {100 * record.relative_difference:.2g} % of their range"
    if record.top1_agreement is None:
        words.append(_times(record.images, "picture"))
    return ", ".join([*words, clean(record.pictures)])


def nodes(placement: Placement | None) -> str:
    """How much of the graph the delegate took: `41/41`, else `full`, `partial`, `none`."""
    if placement is None:
        return ""
    if placement.nodes is not None and placement.delegated is not None:
        return f"{placement.delegated}/{placement.nodes}"
    return "" if placement.level == "unknown" else placement.level


def _times(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"
