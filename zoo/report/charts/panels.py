"""Data of the charts: panels of points with axes and Pareto fronts. Pure functions."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from zoo.report.rows import Report, ReportRow, TimedResult
from zoo.report.summary import device_labels, kilobytes, runtime_label
from zoo.report.wording import delegate_label

MOST_PANELS = 24
LOG_FROM_RATIO = 12  # largest to smallest value; below this a linear axis is easier to read
LABEL_CHARACTERS = 26


@dataclass(frozen=True)
class ChartPoint:
    """One mark: accuracy `y` in percent at cost `x` in the panel's unit; `label` may be empty."""

    x: float
    y: float
    label: str
    precision: str
    delegate: str
    tooltip: str


@dataclass(frozen=True)
class ChartAxis:
    """Range and ticks of an axis, in the unit of the data."""

    low: float
    high: float
    log: bool
    ticks: tuple[float, ...]

    def share(self, value: float) -> float:
        """Returns the position of a value along the axis, 0 to 1."""
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def value(self, share: float) -> float:
        """Returns the value at a position along the axis; the inverse of `share`."""
        if self.log:
            return self.low * (self.high / self.low) ** share
        return self.low + share * (self.high - self.low)


@dataclass(frozen=True)
class Panel:
    """One scatter plot."""

    title: str
    subtitle: str
    x_title: str
    points: tuple[ChartPoint, ...]
    x: ChartAxis
    y: ChartAxis


def size_panels(report: Report) -> list[Panel]:
    """Plots accuracy against file size and against gzip size: two panels per dataset."""
    names = short_names([row.name for row in report.rows])
    several = len(_by_dataset(report)) > 1
    panels = []
    for dataset, rows in _by_dataset(report):
        plain = _points(rows, names, [(row, row.size_bytes, "") for row in rows], "kB", 1000)
        packed = _points(rows, names, [(row, row.gzip_bytes, "") for row in rows], "kB", 1000)
        if not plain and not packed:
            continue
        # One range for both, so that they can be compared at a glance.
        x = x_axis([point.x for point in (*plain, *packed)])
        y = y_axis([point.y for point in (*plain, *packed)])
        where = dataset if several else ""
        panels.append(Panel("File on disk", where, "Size (kB)", plain, x, y))
        panels.append(Panel("With gzip", where, "Size with gzip (kB)", packed, x, y))
    return [panel for panel in panels if panel.points][:MOST_PANELS]


def latency_panels(report: Report) -> list[Panel]:
    """Plots accuracy against latency: one panel per dataset, setup and delegate."""
    return _cost_panels(report, "Latency (ms)", "ms", lambda outcome: outcome.latency_ms)


def energy_panels(report: Report) -> list[Panel]:
    """Plots accuracy against net energy: one panel per dataset, setup and delegate."""

    def millijoules(outcome: TimedResult) -> float | None:
        energy = outcome.record.energy if outcome.latency_ms is not None else None
        return energy.net_mj if energy and energy.net_mj > 0 else None

    return _cost_panels(report, "Energy (mJ)", "mJ", millijoules)


def _cost_panels(
    report: Report, x_title: str, unit: str, cost: Callable[[TimedResult], float | None]
) -> list[Panel]:
    names = short_names([row.name for row in report.rows])
    devices = device_labels(report.setups)
    several = len(_by_dataset(report)) > 1
    panels = []
    for dataset, rows in _by_dataset(report):
        drafts = []
        for setup, delegates in report.setups.items():
            for delegate in delegates:
                costs = [
                    (row, cost(outcome), delegate)
                    for row in rows
                    if (outcome := row.outcomes.get((setup, delegate)))
                ]
                points = _points(rows, names, costs, unit, 1)
                if points:
                    title = f"{delegate_label(delegate)} on {devices[setup]}"
                    how = runtime_label(setup) + (f", {dataset}" if several else "")
                    drafts.append((title[:1].upper() + title[1:], how, points))
        if not drafts:
            continue
        y = y_axis([point.y for _, _, points in drafts for point in points])
        for title, how, points in drafts:
            x = x_axis([point.x for point in points])
            panels.append(Panel(title, how, x_title, points, x, y))
    return panels[:MOST_PANELS]


def pareto(points: Sequence[ChartPoint]) -> list[ChartPoint]:
    """Returns the Pareto front, cheapest point first; of equal points only the first one."""
    front: list[ChartPoint] = []
    for point in sorted(points, key=lambda p: (p.x, -p.y)):
        if not front or point.y > front[-1].y:
            front.append(point)
    return front


def short_names(names: Sequence[str]) -> dict[str, str]:
    """Returns unique chart labels: without the shared prefix, long ones cut in the middle."""
    words = [re.split(r"(?<=[-_.])", name) for name in dict.fromkeys(names)]
    shared = 0
    while len(words) > 1 and all(len(w) > shared + 1 for w in words):
        if len({w[shared] for w in words}) > 1:
            break
        shared += 1
    short: dict[str, str] = {}
    for name, parts in zip(dict.fromkeys(names), words, strict=True):
        label = "".join(parts[shared:])
        if len(label) > LABEL_CHARACTERS:
            half = LABEL_CHARACTERS // 2
            label = f"{label[: half - 1]}…{label[-half:]}"
        while label in short.values():
            label += "′"
        short[name] = label
    return short


def x_axis(values: Sequence[float]) -> ChartAxis:
    """Returns an axis with a margin on both sides; it starts at zero if the values come close."""
    low, high = min(values), max(values)
    if high / low >= LOG_FROM_RATIO:
        low, high = low / 1.35, high * 1.35
        return ChartAxis(low, high, True, _log_ticks(low, high))
    spread = max(high - low, 0.2 * high)
    if low < 0.5 * high:
        return _linear(0, high + 0.12 * spread)
    return _linear(max(0, low - 0.2 * spread), high + 0.2 * spread)


def y_axis(values: Sequence[float]) -> ChartAxis:
    """Returns an axis for percentages with a margin above and below."""
    low, high = min(values), max(values)
    spread = max(high - low, 0.3)
    return _linear(max(0, low - 0.2 * spread), min(100 + 0.05 * spread, high + 0.2 * spread))


def _linear(low: float, high: float) -> ChartAxis:
    rough = (high - low) / 5
    power = 10 ** math.floor(math.log10(rough))
    step = power * next(s for s in (1, 2, 5, 10) if 0.7 * rough <= s * power)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return ChartAxis(low, high, False, tuple(step * i for i in range(first, last + 1)))


def _log_ticks(low: float, high: float) -> tuple[float, ...]:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1, 2, 5) if high / low < 3000 else (1,)
    stride = max(1, len(powers) // 8)
    ticks = [step * 10.0**power for power in powers[::stride] for step in steps]
    return tuple(tick for tick in ticks if low <= tick <= high)


def _by_dataset(report: Report) -> list[tuple[str, list[ReportRow]]]:
    datasets = dict.fromkeys(row.dataset for row in report.rows)
    return [(dataset, [r for r in report.rows if r.dataset == dataset]) for dataset in datasets]


def _points(
    rows: Sequence[ReportRow],
    names: dict[str, str],
    costs: Sequence[tuple[ReportRow, float | None, str]],
    unit: str,
    divisor: float,
) -> tuple[ChartPoint, ...]:
    points = []
    for row, cost, delegate in costs:
        if cost is None or row.score is None or row.score.top1 is None:
            continue
        y = 100 * row.score.top1
        text = kilobytes(int(cost)) if unit == "kB" else f"{cost:.3g}"
        tooltip = f"{row.name}: {y:.2f} % at {text} {unit}"
        label = names[row.name]
        points.append(
            ChartPoint(cost / divisor, y, label, row.precision, delegate or "file", tooltip)
        )
    return tuple(points)
