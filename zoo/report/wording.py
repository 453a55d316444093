"""Result lines as text: their case, validity and description. Pure functions."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from datetime import UTC, datetime

from zoo.errors import one_line
from zoo.schema.engine_check import EngineCheck
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

CaseResult = Accuracy | Measurement | Agreement | EngineCheck | Sustained | OperatorProfile

DELEGATES = {
    "xnnpack": "XNNPACK",
    "none": "no delegate",
    "gpu": "GPU",
    "nnapi": "NNAPI",
    "hexagon": "Hexagon",
    "coreml": "Core ML",
}
SHORTEST_US, LONGEST_US = 1e-3, 1e10  # one nanosecond to three hours: plausible latencies
MOST_IMAGES = 10**9
_MOST_TYPES = 5


@dataclass(frozen=True)
class Setup:
    """Device, runtime and threads of a timing; latencies are comparable only within one setup."""

    kind: str
    device: str
    device_id: str
    runtime: str
    threads: int
    cores: str = ""


@dataclass(frozen=True)
class Line:
    """One result line as text."""

    time: str
    what: str
    result: str
    command: str


def clean(text: object, limit: int = 160) -> str:
    """Returns text from a file as one printable line of at most `limit` characters.

    The result still has to be escaped for HTML and SVG.
    """
    return one_line(text, limit) or "(empty)"


def instant(record: Record) -> datetime | None:
    """Returns the time of the line in UTC; None if it cannot be parsed."""
    try:
        time = datetime.fromisoformat(record.time_utc)
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def failure_of(record: CaseResult) -> str:
    """Returns why a result has no usable value; empty for a good one.

    Values of lines marked valid are checked too, since the file may come from an untrusted source.
    """
    if not record.valid:
        return clean("; ".join(record.reasons), 400) if record.reasons else "no reason recorded"
    if isinstance(record, Accuracy):
        if record.top1 is None or not 1 <= record.images <= MOST_IMAGES:
            return "the result line has no accuracy"
        return "" if 0 <= record.top1 <= 1 else f"accuracy {record.top1:g} is outside 0–1"
    if isinstance(record, EngineCheck):
        share = record.agreement
        sound = share is not None and 0 <= share <= 1 and 1 <= record.images <= MOST_IMAGES
        return "" if sound else "the result line has no comparison"
    if isinstance(record, Agreement):
        return _no_agreement(record)
    if isinstance(record, OperatorProfile):
        return "" if record.types else "the result line has no profile"
    if isinstance(record, Sustained):
        typical_us = record.last_us if record.first_us is not None and record.points else None
    else:
        typical_us = record.latency.typical_us if record.latency else None
    if typical_us is None:
        return "the result line has no latency"
    return (
        ""
        if SHORTEST_US <= typical_us <= LONGEST_US
        else f"implausible latency of {typical_us:g} µs"
    )


def _no_agreement(record: Agreement) -> str:
    if record.largest_difference is None or not 1 <= record.images <= MOST_IMAGES:
        return "the result line has no comparison"
    shares = [record.top1_agreement] if record.top1_agreement is not None else []
    if record.largest_difference < 0 or not all(0 <= share <= 1 for share in shares):
        return "implausible comparison values"
    return ""


def age_order(record: Record) -> datetime:
    """Sort key for lines by age, oldest first."""
    # Lines without a valid time count as oldest; sorting is stable, so they keep their order.
    return instant(record) or datetime.min.replace(tzinfo=UTC)


def case_of(record: CaseResult | ConvertRecord) -> tuple[object, ...]:
    """Returns the key that is equal for two lines about the same case of one file."""
    if isinstance(record, ConvertRecord):
        return (record.kind,)
    ran: Configuration = record.configuration
    case = (record.kind, record.device.id, ran.runtime, ran.delegate, ran.threads, ran.cores)
    return (*case, record.dataset, record.split) if isinstance(record, Accuracy) else case


def setup_of(record: CaseResult) -> Setup:
    """Returns the setup of a line, with the device name, since every host has the id `host`."""
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
    """Returns the display name of a delegate; an unknown delegate keeps its name."""
    kind, _, soc = delegate.partition(":")
    if kind == "npu" and soc:
        return f"NPU of {soc}"
    return DELEGATES.get(delegate, delegate)


def threads_label(ran: Setup | Configuration) -> str:
    """Returns for example `1 thread` or `4 threads on big cores`."""
    count = f"{ran.threads} thread" if ran.threads == 1 else f"{ran.threads} threads"
    cores = clean(ran.cores, 40) if ran.cores else ""
    return f"{count} on {cores} cores" if cores else count


def when(record: Record) -> str:
    """Returns the time of the line for display, in UTC to the second."""
    time = instant(record)
    return f"{time:%Y-%m-%d %H:%M:%S} UTC" if time else clean(record.time_utc, 40)


def command_of(record: Record) -> str:
    """Returns the command of the line, quoted for a shell."""
    return clean(shlex.join(record.command), 2000)


def describe(record: Record) -> Line:
    """Returns one result line as text, for the details on the page."""
    return Line(when(record), what_ran(record), clean(_result(record), 600), command_of(record))


def what_ran(record: Record) -> str:
    """Describes the case of a line: the measurement, the device and the configuration."""
    if isinstance(record, CaseResult):
        ran = record.configuration
        subject: str = record.kind
        if isinstance(record, Sustained):
            subject = "sustained run"
        if isinstance(record, EngineCheck):
            subject = "check of the engine"
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
        return f"validation accuracy {100 * record.validation_accuracy:.2f} %"
    if not isinstance(record, CaseResult):
        return ""
    if reason := failure_of(record):
        return f"failed: {reason}"
    if isinstance(record, Accuracy):
        return f"accuracy {100 * (record.top1 or 0):.2f} % on {record.images:,} images"
    if isinstance(record, Sustained):
        return curve_in_words(record)
    if isinstance(record, OperatorProfile):
        return profile_in_words(record)
    if isinstance(record, Agreement):
        return agreement_of(record)
    if isinstance(record, EngineCheck):
        return check_in_words(record)
    if record.latency is None:
        return ""
    times = record.latency
    which = "mean" if times.median_us is None else "median"
    low_high = times.interval_us
    interval = (
        f" (95 % confidence interval {low_high[0] / 1000:.3f} to {low_high[1] / 1000:.3f} ms)"
        if low_high
        else ""
    )
    return (
        f"{which} {times.typical_us / 1000:.3f} ms{interval}, range {times.min_us / 1000:.3f} to "
        f"{times.max_us / 1000:.3f} ms; first run {times.first_us / 1000:.3f} ms, initialization "
        f"{times.init_us / 1000:.3f} ms; {_times(times.runs, 'run')} in "
        f"{_times(times.processes, 'process', 'processes')}{_energy(record)}"
    )


def _energy(record: Measurement) -> str:
    energy = record.energy
    if energy is None:
        return "" if record.no_energy is None else f"; no energy: {record.no_energy}"
    source = "battery gauge" if energy.source == "battery" else "CPU energy counter"
    words = [
        f"{energy.net_mj:.3g} ± {energy.net_mj_uncertainty:.2g} mJ per inference",
        f"{energy.gross_mw:.0f} mW minus {energy.idle_mw:.0f} mW idle, {energy.readings} "
        f"{source} readings in {energy.window_s:.0f} s",
    ]
    if energy.inferences_per_percent is not None:
        words.append(f"{energy.inferences_per_percent:,.0f} inferences per percent of the battery")
    if energy.hours is not None:
        words.append(f"{energy.hours:.1f} h of continuous inference")
    return "; " + ", ".join(words)


def profile_in_words(record: OperatorProfile) -> str:
    """Lists the most expensive operator types; those inside the delegate if it reports them."""
    types = record.delegate_types or record.types
    shares = [f"{clean(op.type, 60)} {op.percent:.1f} %" for op in types[:_MOST_TYPES]]
    inside = " inside the delegate" if record.delegate_types else ""
    total_ms = sum(op.avg_ms for op in types)
    return f"{', '.join(shares)}{inside}; {total_ms:.3f} ms in total with profiling"


def curve_in_words(record: Sustained) -> str:
    """Summarizes a sustained run: slowdown, clock limit and battery temperature."""
    if not record.points or record.first_us is None or record.last_us is None:
        return ""
    minutes = record.points[-1].at_s / 60
    words = [
        f"{record.first_us / 1000:.3f} ms at the start, {record.last_us / 1000:.3f} ms at the end"
    ]
    slower = record.slower_after_s
    words.append(
        f"no slowdown in {minutes:.0f} min"
        if slower is None
        else f"{100 * (record.last_us / record.first_us - 1):.0f} % slower "
        f"from minute {slower / 60:.1f}"
    )
    if record.limited_after_s is not None:
        words.append(f"clock first limited at minute {record.limited_after_s / 60:.1f}")
    first_c, last_c = record.points[0].battery_c, record.points[-1].battery_c
    if first_c is not None and last_c is not None:
        words.append(f"battery {first_c:.1f} to {last_c:.1f} °C")
    return "; ".join(words)


def agreement_of(record: Agreement) -> str:
    """Describes how far a phone's outputs are from the host's. The line must not have failed."""
    words = []
    if record.top1_agreement is not None:
        same = round(record.top1_agreement * record.images)
        words.append(f"agree with the host on {same:,} of {_times(record.images, 'image')}")
    words.append(f"largest difference {record.largest_difference:.2g}")
    if record.relative_difference is not None:
        words[-1] += f", {100 * record.relative_difference:.2g} % of the output range"
    if record.top1_agreement is None:
        words.append(_times(record.images, "image"))
    return ", ".join([*words, clean(record.pictures)])


def check_in_words(record: EngineCheck) -> str:
    """Describes how far an engine is from the CPU. The line must not have failed."""
    same = round((record.agreement or 0) * record.images)
    words = [f"agrees with the CPU on {same:,} of {_times(record.images, 'test image')}"]
    if record.top1 is not None and record.cpu_top1 is not None:
        words.append(f"accuracy {100 * record.top1:.1f} % (CPU {100 * record.cpu_top1:.1f} %)")
    if record.sqnr_db is not None:
        words.append(f"{record.sqnr_db:.0f} dB")
    if where := nodes(record.placement):
        words.append(f"{where} operators")
    wrong = record.first_wrong
    if wrong is not None:
        words.append(f"first wrong operator: {wrong.index}, {wrong.operator} ({wrong.options})")
    return clean(", ".join([*words, *record.reasons]), 600)


def nodes(placement: Placement | None) -> str:
    """Returns the share of delegated nodes: `41/41`, else `full`, `partial`, `none` or empty."""
    if placement is None:
        return ""
    if placement.nodes is not None and placement.delegated is not None:
        return f"{placement.delegated}/{placement.nodes}"
    return "" if placement.level == "unknown" else placement.level


def _times(number: int, singular: str, plural: str = "") -> str:
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"
