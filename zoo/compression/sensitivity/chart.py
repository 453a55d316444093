"""Sensitivity scan as a heatmap: layers by levels, colored by accuracy loss. Needs vl-convert."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from zoo import charts
from zoo.compression.sensitivity.proposal import ScanPoint

_TITLES = {"sparsity": "sparsity", "bits": "bits per weight", "rank": "share of the full rank"}
_MOST = 20.0  # percentage points; a larger loss has the same color


def svg(
    what: str,
    points: Sequence[ScanPoint],
    accuracy: float,
    uniform: Mapping[str, float],
    proposed: Mapping[str, float],
    title: str,
) -> str:
    """Returns an SVG with a row per layer, in network order, and a column per level.

    Args:
        what: Key of `scan.SCAN_KINDS`.
        points: All points of the scan, levels from mild to strong.
        accuracy: Accuracy of the unchanged network, 0 to 1.
        uniform: Layer name → level of the uniform recipe, drawn as a circle.
        proposed: Layer name → level of the proposal, drawn as a dot.
        title: Title of the chart.
    """
    levels = list(dict.fromkeys(f"{point.level:g}" for point in points))
    layers = list(dict.fromkeys(point.layer for point in points))
    rows = [
        {
            "layer": point.layer,
            "level": f"{point.level:g}",
            "lost": round(100 * (accuracy - point.accuracy), 2),
            "color": min(_MOST, max(0.0, 100 * (accuracy - point.accuracy))),
        }
        for point in points
    ]
    x: dict[str, Any] = {
        "field": "level",
        "type": "nominal",
        "sort": levels,
        "title": _TITLES[what],
    }
    x["axis"] = {"labelAngle": 0, "orient": "top"}
    y = {"field": "layer", "type": "nominal", "sort": layers, "title": None}
    shade = {
        "field": "color",
        "type": "quantitative",
        "scale": {"type": "sqrt", "scheme": "lightorange", "domain": [0, _MOST]},
        "title": "points lost",
    }
    text = {
        "field": "lost",
        "type": "quantitative",
        "format": ".1f",
    }
    subtitle = (
        f"Accuracy loss in points from {100 * accuracy:.2f} %, with one layer changed and no "
        "fine-tuning.",
        "Circle: uniform recipe. Dot: proposed recipe of the same size. No mark: unchanged layer.",
    )
    layer: list[dict[str, Any]] = [
        {
            "mark": "rect",
            "encoding": {"x": x, "y": y, "color": shade},
        },
        {
            "mark": {"type": "text", "fontSize": 10, "dx": -8, "align": "center"},
            "encoding": {"x": x, "y": y, "text": text},
        },
        *(
            {
                "data": {
                    "values": [
                        {"layer": name, "level": f"{level:g}"} for name, level in marks.items()
                    ]
                },
                "mark": {"type": "point", "size": size, "xOffset": 20, **look},
                "encoding": {"x": x, "y": y},
            }
            for marks, size, look in (
                (uniform, 90, {"color": "black", "filled": False}),
                (proposed, 30, {"color": "black", "filled": True}),
            )
        ),
    ]
    return charts.svg(title, subtitle, 62 * len(levels), 17 * len(layers), rows, layer)
