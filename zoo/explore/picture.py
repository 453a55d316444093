"""Accuracy against size, as in figure 3 of SqueezeNet's paper. Needs vl-convert."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zoo.explore.points import Axis
from zoo.explore.table import Row


def svg(rows: Sequence[Row], axes: Sequence[Axis], title: str) -> str:
    """An SVG of the points that were trained, each with its values.

    The abscissa is the size; where all points are of one size, it is the first axis' value. A line
    joins the points of a single numeric axis, whose order means something.
    """
    import vl_convert

    trained = [row for row in rows if row.accuracy is not None]
    numeric = [axis for axis in axes if axis.kind in (int, float)]
    by_size = len({row.parameters for row in trained}) > 1 or not numeric
    first = axes[0] if by_size else numeric[0]
    values = [
        {
            "x": row.size_mb if by_size else row.point.values[first.name],
            "order": row.point.values[first.name],
            "accuracy": 100 * (row.accuracy or 0.0),
            "low": 100 * row.interval[0] if row.interval else None,
            "high": 100 * row.interval[1] if row.interval else None,
            "label": ", ".join(map(str, row.point.values.values())),
        }
        for row in trained
    ]
    scale: dict[str, Any] = {"zero": False, "nice": True}
    if not by_size and first.log:
        scale["type"] = "log"
    x = {
        "field": "x",
        "type": "quantitative",
        "title": "parameters in float32, MB" if by_size else first.name,
        "scale": scale,
    }
    y = {
        "field": "accuracy",
        "type": "quantitative",
        "title": "validation accuracy, %",
        "scale": {"zero": False, "nice": True},
    }
    bar = {
        "mark": {"type": "rule", "color": "#9ab"},
        "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}},
    }
    line = {
        "mark": {"type": "line", "color": "#888", "strokeWidth": 1},
        "encoding": {"x": x, "y": y, "order": {"field": "order", "type": "quantitative"}},
    }
    marks = [
        {"mark": {"type": "point", "filled": True, "size": 60}, "encoding": {"x": x, "y": y}},
        {
            "mark": {"type": "text", "dy": -9, "dx": 4, "align": "left", "fontSize": 11},
            "encoding": {"x": x, "y": y, "text": {"field": "label", "type": "nominal"}},
        },
    ]
    intervals = any(row.interval for row in trained)
    chart = {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "background": "white",
        "title": {
            "text": title,
            "subtitle": [
                f"At each point: {', '.join(axis.name for axis in axes)}."
                + (" Bars: 95 % of what chance moves." if intervals else "")
            ],
            "anchor": "start",
        },
        "width": 520,
        "height": 320,
        "data": {"values": values},
        "layer": [
            *([bar] if intervals else []),
            *([line] if len(axes) == 1 and numeric else []),
            *marks,
        ],
    }
    return str(vl_convert.vegalite_to_svg(chart))
