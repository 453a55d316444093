"""Prepares the roofline estimates and sensitivity scans for the page. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from zoo.report.charts.palette import precision_colors
from zoo.report.charts.vega import FRONT, INK, Specification
from zoo.report.inputs import Estimated, EstimatedChip, Extras, PublishedScan
from zoo.report.rows import Report, ReportRow
from zoo.report.summary import kilobytes
from zoo.report.wording import clean

WORST_LOSS = 20.0  # percentage points; larger losses have the same color
_SCALE = ((255, 255, 255), (253, 174, 107), (241, 137, 60))  # white to orange, dark text on all


def roofline(report: Report, places: Mapping[int, str], extras: Extras) -> dict[str, Any]:
    """Returns the chip, the chart and a line per estimated file, slowest first.

    Args:
        report: Current results.
        places: `id(row)` → HTML id of the row's details.
        extras: Roofline estimates.
    """
    rows = [(extras.estimates[r.sha256], r) for r in report.rows if r.sha256 in extras.estimates]
    rows.sort(key=lambda pair: (-pair[0].us, pair[1].name))
    return {
        "chip": extras.chip if rows else None,
        "chart": roofline_chart(extras.chip, rows) if rows and extras.chip else None,
        "lines": [
            {
                "name": row.name,
                "place": places[id(row)],
                "macs": f"{estimate.macs / 1e6:,.2f}",
                "traffic": kilobytes(estimate.bytes),
                "intensity": f"{estimate.macs / max(1, estimate.bytes):.2f}",
                "us": f"{estimate.us:,.1f}",
                "bound": "arithmetic" if estimate.bound == "compute" else "memory",
            }
            for estimate, row in rows
        ],
    }


def roofline_chart(
    chip: EstimatedChip, rows: Sequence[tuple[Estimated, ReportRow]]
) -> Specification:
    """Plots operations per second against operations per byte, on logarithmic axes."""
    points = [
        {
            "x": 2 * estimate.macs / estimate.bytes,
            "y": 2 * estimate.macs / (1000 * estimate.us),
            "precision": row.precision,
            "tooltip": f"{row.name}: at least {estimate.us:.3g} µs, {estimate.bound}-bound",
        }
        for estimate, row in rows
        if estimate.macs > 0 and estimate.bytes > 0 and estimate.us > 0
    ]
    knee = chip.gflops / chip.gbps
    intensities = [2 * e.macs / e.bytes for e, _ in rows if e.macs > 0 and e.bytes > 0]
    low, high = min([*intensities, knee]) / 2, max([*intensities, knee]) * 3
    roof = [{"x": x, "y": min(chip.gflops, x * chip.gbps)} for x in (low, knee, high)]
    color = precision_colors(row.precision for _, row in rows)
    axis = {"format": "~g", "grid": True}
    place = {
        "x": {
            "field": "x",
            "type": "quantitative",
            "title": "Operations per byte of memory traffic",
            "scale": {"type": "log", "domain": [low, high], "nice": False},
            "axis": {**axis, "values": _decades(low, high)},
        },
        "y": {
            "field": "y",
            "type": "quantitative",
            "title": "10⁹ operations per second",
            "scale": {"type": "log", "domain": [low * chip.gbps, 2 * chip.gflops], "nice": False},
            "axis": {**axis, "values": _decades(low * chip.gbps, 2 * chip.gflops)},
        },
    }
    line = {
        "data": {"values": roof},
        "mark": {"type": "line", "color": FRONT, "strokeWidth": 2, "aria": False},
        "encoding": place,
    }
    marks = {
        "data": {"values": points},
        "mark": {"type": "point", "filled": True, "opacity": 0.9, "size": 80, "stroke": INK},
        "encoding": {
            **place,
            "color": {
                "field": "precision",
                "type": "nominal",
                "scale": {"domain": list(color), "range": list(color.values())},
                "legend": {"title": None, "orient": "bottom"},
            },
            "description": {"field": "tooltip", "type": "nominal"},
        },
    }
    return {"width": 420, "height": 240, "layer": [line, marks]}


def _decades(low: float, high: float) -> list[float]:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = [step * 10.0**power for power in powers for step in (1, 2, 5)]
    ticks = [step for step in steps if low <= step <= high]
    return ticks if len(ticks) <= 8 else [tick for tick in ticks if str(tick)[0] == "1"]


def scan_table(scan: PublishedScan) -> dict[str, Any]:
    """Returns a table of layers × levels; cells show the accuracy loss in percentage points."""
    levels = list(dict.fromkeys(point.level for point in scan.points))
    lost = {(p.layer, p.level): 100 * (scan.accuracy - p.accuracy) for p in scan.points}
    uniform, proposed = scan.uniform.levels, scan.proposed.levels
    return {
        "title": clean(f"{scan.run}: {scan.what}"),
        "images": f"{scan.images:,}",
        "dataset": clean(scan.dataset),
        "accuracy": f"{100 * scan.accuracy:.2f}",
        "compared": [
            clean(
                f"{label}: {choice.bytes:,.0f} coded bytes, {len(choice.levels)} layers, accuracy "
                f"{100 * choice.accuracy:.2f} %, divergence {choice.nats:.4f} nats"
            )
            for label, choice in (
                (f"uniform {scan.what} {scan.uniform_level:g}", scan.uniform),
                ("proposed", scan.proposed),
            )
        ],
        "levels": [f"{level:g}" for level in levels],
        "layers": [
            {
                "name": clean(layer),
                "bytes": f"{whole:,.0f}",
                "cells": [
                    {
                        "text": f"{lost[layer, level]:.2f}" if (layer, level) in lost else "",
                        "mark": "○ " * (uniform.get(layer) == level)
                        + "● " * (proposed.get(layer) == level),
                        "color": _shade(lost.get((layer, level), 0.0)),
                    }
                    for level in levels
                ],
            }
            for layer, whole in scan.whole.items()
        ],
    }


def _shade(points: float) -> str:
    share = 2 * math.sqrt(min(max(points, 0.0), WORST_LOSS) / WORST_LOSS)
    at = min(1, int(share))
    mixed = (a + (b - a) * (share - at) for a, b in zip(_SCALE[at], _SCALE[at + 1], strict=True))
    return "#" + "".join(f"{round(value):02x}" for value in mixed)
