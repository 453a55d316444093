"""The roofline and the sensitivity scans as the page shows them. Pure functions."""

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

WORST_LOSS = 20.0  # points; a worse one has the same color
_SCALE = ((255, 255, 255), (253, 174, 107), (241, 137, 60))  # white to orange, dark text on all


def roofline(report: Report, places: Mapping[int, str], extras: Extras) -> dict[str, Any]:
    """The chip, the chart and a line for each estimated file, the slowest first.

    Args:
        report: the files.
        places: ids of the rows' details, by `id` of the row.
        extras: the estimates.
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
                "macs": f"{one.macs / 1e6:,.2f}",
                "traffic": kilobytes(one.bytes),
                "intensity": f"{one.macs / max(1, one.bytes):.2f}",
                "us": f"{one.us:,.1f}",
                "bound": "arithmetic" if one.bound == "compute" else "memory",
            }
            for one, row in rows
        ],
    }


def roofline_chart(
    chip: EstimatedChip, rows: Sequence[tuple[Estimated, ReportRow]]
) -> Specification:
    """Operations a second against operations a byte, both logarithmic: the roof, files on it."""
    spots = [
        {
            "x": 2 * one.macs / one.bytes,
            "y": 2 * one.macs / (1000 * one.us),
            "precision": row.precision,
            "tooltip": f"{row.name}: at least {one.us:.3g} µs, bound by {one.bound}",
        }
        for one, row in rows
        if one.macs > 0 and one.bytes > 0 and one.us > 0
    ]
    knee = chip.gflops / chip.gbps
    across = [2 * one.macs / one.bytes for one, _ in rows if one.macs > 0 and one.bytes > 0]
    low, high = min([*across, knee]) / 2, max([*across, knee]) * 3
    roof = [{"x": x, "y": min(chip.gflops, x * chip.gbps)} for x in (low, knee, high)]
    color = precision_colors(row.precision for _, row in rows)
    axis = {"format": "~g", "grid": True}
    place = {
        "x": {
            "field": "x",
            "type": "quantitative",
            "title": "Operations a byte of memory traffic",
            "scale": {"type": "log", "domain": [low, high], "nice": False},
            "axis": {**axis, "values": _decades(low, high)},
        },
        "y": {
            "field": "y",
            "type": "quantitative",
            "title": "Billions of operations a second",
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
        "data": {"values": spots},
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
    found = [step for step in steps if low <= step <= high]
    return found if len(found) <= 8 else [step for step in found if str(step)[0] == "1"]


def scan_table(scan: PublishedScan) -> dict[str, Any]:
    """Layers by levels, each cell the points of accuracy lost and their color."""
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
                f"{label}: {each.bytes:,.0f} coded bytes, {len(each.levels)} layers, accuracy "
                f"{100 * each.accuracy:.2f} %, divergence {each.nats:.4f} nats"
            )
            for label, each in (
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
