"""Summaries for the report: labels, highlights, failures, devices, versions. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from zoo.report.rows import Report, ReportRow
from zoo.report.wording import (
    CaseResult,
    Setup,
    agreement_of,
    clean,
    command_of,
    delegate_label,
    failure_of,
    instant,
    threads_label,
    what_ran,
)
from zoo.schema.measurement import Accuracy, Agreement, ConvertRecord, Measurement

MOST_COMMANDS = 60
MOST_HIGHLIGHTS = 8


@dataclass(frozen=True)
class Failure:
    """One case without a result."""

    name: str
    place: str
    reason: str


@dataclass(frozen=True)
class Highlight:
    """A result for the cards at the top of the page."""

    title: str
    value: str
    name: str


@dataclass(frozen=True)
class DeviceSummary:
    """A device with its runtimes and the timing effort."""

    name: str
    id: str
    kind: str
    details: tuple[tuple[str, str], ...]
    runtimes: tuple[str, ...]
    effort: str


def device_labels(setups: Iterable[Setup]) -> dict[Setup, str]:
    """Returns each setup's device name, followed by the id if two devices share the name."""
    setups = list(setups)
    ids: dict[str, set[str]] = {}
    for setup in setups:
        ids.setdefault(setup.device, set()).add(setup.device_id)
    return {s: s.device if len(ids[s.device]) == 1 else f"{s.device} {s.device_id}" for s in setups}


def setup_labels(setups: Iterable[Setup]) -> dict[Setup, str]:
    """Returns each setup's label, for example `Pixel 7, benchmark_model, 4 threads`."""
    devices_of = device_labels(setups)
    return {setup: f"{devices_of[setup]}, {runtime_label(setup)}" for setup in devices_of}


def runtime_label(setup: Setup) -> str:
    """Returns runtime and threads, for example `benchmark_model, 4 threads`."""
    return f"{setup.runtime}, {threads_label(setup)}"


def failures(report: Report) -> list[Failure]:
    """Returns the current cases without a result, in row order."""
    failed = []
    for row in report.rows:
        for result in row.results:
            if not isinstance(result, ConvertRecord) and (reason := failure_of(result)):
                failed.append(Failure(row.name, what_ran(result), reason))
    return failed


def disagreements(report: Report) -> list[str]:
    """Returns a line for each phone and delegate whose predictions differ from the host's."""
    return [
        f"{row.name}, {what_ran(result)}: {agreement_of(result)}"
        for row in report.rows
        for result in row.results
        if isinstance(result, Agreement)
        and not failure_of(result)
        and result.top1_agreement is not None
        and result.top1_agreement < 1
    ]


def highlights(report: Report) -> list[Highlight]:
    """Returns the most accurate and the smallest file, and the fastest case of each setup."""
    items = []
    scored = [(row.score.top1, row) for row in report.rows if row.score and row.score.top1]
    if scored and len({row.dataset for _, row in scored}) == 1:
        top1, row = max(scored, key=lambda pair: pair[0])
        items.append(Highlight("Most accurate", f"{100 * top1:.2f} %", row.name))
    sized = [(row.gzip_bytes, row) for row in report.rows if row.gzip_bytes]
    if sized:
        size, row = min(sized, key=lambda pair: pair[0])
        items.append(Highlight("Smallest with gzip", f"{kilobytes(size)} kB", row.name))
    labels = setup_labels(report.setups)
    for setup in report.setups:
        timed = [
            (outcome.latency_ms, delegate, row)
            for row in report.rows
            for (where, delegate), outcome in row.outcomes.items()
            if where == setup and outcome.latency_ms is not None
        ]
        if timed:
            latency_ms, delegate, row = min(timed, key=lambda case: (case[0], case[1]))
            where = f"Fastest on {labels[setup]}"
            name = f"{row.name}, {delegate_label(delegate)}"
            items.append(Highlight(where, f"{latency_ms:.3g} ms", name))
    return items[:MOST_HIGHLIGHTS]


def latency_meaning(report: Report) -> str:
    """Names the latency statistic; some builds of `benchmark_model` report only the mean."""
    timed = [o.record.latency for row in report.rows for o in row.outcomes.values()]
    if any(latency is not None and latency.median_us is None for latency in timed):
        return "median of all timed runs, or the mean where the tool reports no median"
    return "median of all timed runs"


def kilobytes(size_bytes: int) -> str:
    """Formats a size in units of 1000 bytes, with one decimal below 100."""
    kilo = size_bytes / 1000
    return f"{kilo:,.0f}" if kilo >= 100 else f"{kilo:.1f}"


def scored_sets(report: Report) -> list[str]:
    """Returns for example `fashion_mnist: 10,000 test images`, one per scored dataset."""
    sets = {
        (line.dataset, line.images)
        for line in report.current
        if isinstance(line, Accuracy) and line.split == "test" and not failure_of(line)
    }
    sets |= {(row.dataset, row.score.images) for row in report.rows if stated(row) and row.score}
    return [f"{clean(name, 60)}: {images:,} test images" for name, images in sorted(sets)]


def stated(row: ReportRow) -> bool:
    """Returns whether the row's accuracy is from the manifest of the file, not measured here."""
    return row.score is not None and row.score.record is None


def stated_accuracies(report: Report) -> str:
    """Returns a sentence that names the files whose accuracy was not measured here, or ""."""
    names = ", ".join(row.name for row in report.rows if stated(row))
    return clean(f"Accuracy from the manifest, not measured here: {names}.", 600) if names else ""


def uncertainty_points(row: ReportRow) -> float | None:
    """Returns half the width of the accuracy's 95 % confidence interval, in percentage points.

    Uses the normal approximation; None without an accuracy.
    """
    if row.score is None or row.score.top1 is None:
        return None
    top1 = row.score.top1
    return 196 * math.sqrt(top1 * (1 - top1) / row.score.images)


def span(report: Report) -> str:
    """Returns the first and last day of the shown lines, for example `2026-01-01 to 2026-01-03`."""
    days = sorted(f"{time:%Y-%m-%d}" for line in report.current if (time := instant(line)))
    if not days:
        return "unknown"
    return days[0] if days[0] == days[-1] else f"{days[0]} to {days[-1]}"


def commands(report: Report) -> tuple[list[str], int]:
    """Returns up to `MOST_COMMANDS` distinct commands, oldest first, and how many were omitted."""
    distinct = list(dict.fromkeys(command_of(line) for line in report.current))
    return distinct[:MOST_COMMANDS], max(0, len(distinct) - MOST_COMMANDS)


def devices(report: Report) -> list[DeviceSummary]:
    """Summarizes the devices of the shown lines, hosts first."""
    lines: dict[tuple[str, str, str], list[CaseResult]] = {}
    for line in report.current:
        if isinstance(line, CaseResult):
            device = line.device
            lines.setdefault((device.kind, device.name, device.id), []).append(line)
    summaries = []
    for (kind, name, identity), of_device in sorted(lines.items()):
        configurations = [line.configuration for line in of_device]
        runtimes = {f"{c.runtime} {c.runtime_version}: {threads_label(c)}" for c in configurations}
        summaries.append(
            DeviceSummary(
                name=clean(name),
                id=clean(identity),
                kind={"host": "host computer", "phone": "phone"}[kind],
                details=tuple(
                    (clean(key, 60), clean(value, 300))
                    for key, value in sorted(of_device[-1].device.details.items())
                ),
                runtimes=tuple(sorted(clean(runtime) for runtime in runtimes)),
                effort=_effort(of_device),
            )
        )
    return summaries


def versions(report: Report) -> list[tuple[str, str]]:
    """Returns (package, versions) for the packages named by the shown lines, sorted by name."""
    versions_of: dict[str, set[str]] = {}
    for line in report.current:
        for package, version in line.versions.items():
            versions_of.setdefault(clean(package, 60), set()).add(clean(version, 100))
    return [(package, ", ".join(sorted(versions_of[package]))) for package in sorted(versions_of)]


def _effort(lines: Iterable[CaseResult]) -> str:
    timed = [line.latency for line in lines if isinstance(line, Measurement) and line.latency]
    if not timed:
        return ""
    runs = sorted({times.runs for times in timed})
    processes = sorted({times.processes for times in timed})
    return f"{_span(runs)} timed runs in {_span(processes)} processes per case"


def _span(values: list[int]) -> str:
    return f"{values[0]:,}" if len(values) == 1 else f"{values[0]:,} to {values[-1]:,}"
