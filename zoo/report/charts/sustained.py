"""Curves of sustained runs: latency and battery temperature over time. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from zoo import charts as vega
from zoo.report.charts.panels import short_names
from zoo.report.charts.vega import Specification
from zoo.report.rows import Report
from zoo.report.wording import (
    clean,
    curve_in_words,
    delegate_label,
    failure_of,
    setup_of,
    threads_label,
)
from zoo.schema.measurement import Sustained

MOST_CURVES = 6  # per chart: more are hard to tell apart
_WIDTH, _HEIGHT = 620, 190


@dataclass(frozen=True)
class Curves:
    """Sustained runs on one device.

    Attributes:
        device: Name and id.
        runs: (name, summary, result line) of each run.
    """

    device: str
    runs: tuple[tuple[str, str, Sustained], ...]


def curves(report: Report) -> list[Curves]:
    """Groups the valid sustained runs by device, at most `MOST_CURVES` per group."""
    names = short_names([row.name for row in report.rows])
    by_device: dict[str, list[tuple[str, str, Sustained]]] = {}
    for row in report.rows:
        for line in row.results:
            if isinstance(line, Sustained) and not failure_of(line):
                ran = line.configuration
                how = f"{delegate_label(clean(ran.delegate, 40))}, {threads_label(ran)}"
                device = f"{setup_of(line).device} {setup_of(line).device_id}"
                name = f"{names[row.name]}, {how}"
                summary = clean(curve_in_words(line), 300)
                by_device.setdefault(device, []).append((name, summary, line))
    return [
        Curves(device, tuple(runs[start : start + MOST_CURVES]))
        for device, runs in by_device.items()
        for start in range(0, len(runs), MOST_CURVES)
    ]


def curves_chart(shown: Curves) -> Specification:
    """Returns a chart of latency, with battery temperature below if it was recorded."""
    names = [name for name, _, _ in shown.runs]
    rows = [
        {"run": name, "minute": p.at_s / 60, "ms": p.latency_us / 1000, "celsius": p.battery_c}
        for name, _, line in shown.runs
        for p in line.points
    ]
    warm = [row for row in rows if row["celsius"] is not None]
    marks = [
        {"run": name, "minute": line.slower_after_s / 60}
        for name, _, line in shown.runs
        if line.slower_after_s is not None
    ]
    charts = [_lines(rows, names, "ms", "Latency (ms)", marks)]
    if warm:
        charts.append(_lines(warm, names, "celsius", "Battery (°C)", []))
    return {
        "title": {
            "text": shown.device,
            "subtitle": "Dashed: more than 10 % slower from here on" if marks else "",
            "anchor": "start",
            "fontSize": 15,
            "subtitleFontSize": 12,
        },
        "vconcat": charts,
        "resolve": {"scale": {"color": "shared"}},
    }


def _lines(
    rows: Sequence[dict[str, Any]],
    names: Sequence[str],
    field: str,
    title: str,
    marks: Sequence[dict[str, Any]],
) -> Specification:
    color = {
        "field": "run",
        "type": "nominal",
        "title": None,
        "scale": {"domain": list(names), "range": list(vega.COLORS[: len(names)])},
        "legend": {"orient": "bottom", "columns": 2, "labelLimit": 320},
    }
    minutes = {"field": "minute", "type": "quantitative", "title": "Minutes"}
    values = {
        "field": field,
        "type": "quantitative",
        "title": title,
        "scale": {"zero": False, "nice": True},
    }
    line = {
        "data": {"values": list(rows)},
        "mark": {"type": "line", "strokeWidth": 2, "aria": False},
        "encoding": {"x": minutes, "y": values, "color": color},
    }
    rule = {
        "data": {"values": list(marks)},
        "mark": {"type": "rule", "strokeDash": [5, 3], "strokeWidth": 1.5, "aria": False},
        "encoding": {"x": minutes, "color": color},
    }
    return {"width": _WIDTH, "height": _HEIGHT, "layer": [line, rule] if marks else [line]}
