"""Collects the measurements of each file from result lines, as a release manifest stores them."""

from __future__ import annotations

from pathlib import Path

from converters.release.build import FileMeasurements
from zoo.report import build
from zoo.report.rows import ReportRow
from zoo.schema.artifact import Metric, Timing
from zoo.schema.engine_check import EngineCheck
from zoo.stats import wilson


def measured_in(folder: Path) -> dict[str, FileMeasurements]:
    """Returns measurements by artifact name, from the results in an --output folder or release."""
    return {row.name: _measured(row) for row in build.load(folder).rows}


def _measured(row: ReportRow) -> FileMeasurements:
    accuracies: tuple[Metric, ...] = ()
    timings = []
    if row.score and row.score.record and row.score.top1 is not None:
        record = row.score.record
        low, high = wilson(row.score.top1, record.images)
        accuracies = (
            Metric(
                dataset=record.dataset,
                split=record.split,
                images=record.images,
                top1=row.score.top1,
                low=round(low, 5),
                high=round(high, 5),
                runtime=f"{record.configuration.runtime} {record.configuration.runtime_version}",
            ),
        )
    for (setup, delegate), outcome in row.outcomes.items():
        latency = outcome.record.latency
        if outcome.latency_ms is None or latency is None:
            continue
        energy = outcome.record.energy
        timings.append(
            Timing(
                device=setup.device,
                runtime=setup.runtime,
                delegate=delegate,
                threads=setup.threads,
                latency_us=latency.typical_us,
                interval_us=latency.interval_us,
                energy_mj=energy.net_mj if energy else None,
            )
        )
    checks = (line for line in row.results if isinstance(line, EngineCheck))
    return FileMeasurements(accuracies, tuple(timings), tuple(checks))
