"""Chart of accuracy against size, as in figure 3 of the SqueezeNet paper. Needs vl-convert."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zoo import charts
from zoo.sweeps.sweep import SweepAxis
from zoo.sweeps.table import SweepRow

_SCALE = {"zero": False, "nice": True}
_Y = {
    "field": "accuracy",
    "type": "quantitative",
    "title": "validation accuracy, %",
    "scale": _SCALE,
}


def svg(rows: Sequence[SweepRow], axes: Sequence[SweepAxis], title: str) -> str:
    """Draws the trained points, each labeled with its values.

    The x axis is the model size, or the value of a numeric sweep axis if all points have the same
    size. A line connects the points if there is a single, numeric axis. In a grid of two axes, each
    value of the second axis has its own line and color.

    Args:
        rows: Points and their results; points without an accuracy are left out.
        axes: Axes of the sweep.
        title: Title of the chart.

    Returns:
        The chart as SVG text.
    """
    trained = [row for row in rows if row.accuracy is not None]
    numeric = [axis for axis in axes if axis.kind in (int, float)]
    by_size = len({row.parameters for row in trained}) > 1 or not numeric
    first = axes[0] if by_size else numeric[0]
    colored = _colored(axes)
    label_names = [axis.name for axis in axes if axis is not colored]
    values = [
        {
            "x": row.size_mb if by_size else row.point.values[first.name],
            "order": row.point.values[first.name],
            "accuracy": 100 * (row.accuracy or 0.0),
            "low": 100 * row.interval[0] if row.interval else None,
            "high": 100 * row.interval[1] if row.interval else None,
            "label": ", ".join(str(row.point.values[name]) for name in label_names),
            "color": str(row.point.values[colored.name]) if colored else None,
        }
        for row in trained
    ]
    x = {
        "field": "x",
        "type": "quantitative",
        "title": "parameters in float32, MB" if by_size else first.name,
        "scale": _SCALE if by_size or not first.log else {**_SCALE, "type": "log"},
    }
    color: dict[str, Any] = {"value": charts.COLORS[0]}
    if colored:
        domain = [str(value) for value in colored.values]
        scale = {"domain": domain, "range": list(charts.COLORS[: len(domain)])}
        color = {"field": "color", "type": "nominal", "title": colored.name, "scale": scale}
    encoding = {"x": x, "y": _Y, "color": color}
    bar = {
        "mark": {"type": "rule", "opacity": 0.4},
        "encoding": {**encoding, "y": {**_Y, "field": "low"}, "y2": {"field": "high"}},
    }
    line = {
        "mark": {"type": "line", "strokeWidth": 1},
        "encoding": {**encoding, "order": {"field": "order", "type": "quantitative"}},
    }
    marks = [
        {"mark": {"type": "point", "filled": True, "size": 60}, "encoding": encoding},
        {
            "mark": {"type": "text", "dy": -9, "dx": 4, "align": "left", "fontSize": 11},
            "encoding": {**encoding, "text": {"field": "label", "type": "nominal"}},
        },
    ]
    intervals = any(row.interval for row in trained)
    subtitle = f"Point labels: {', '.join(label_names)}." + (
        " Bars: 95 % confidence intervals." if intervals else ""
    )
    layer = [
        *([bar] if intervals else []),
        *([line] if colored or (len(axes) == 1 and numeric) else []),
        *marks,
    ]
    return charts.svg(title, [subtitle], 520, 320, values, layer)


def _colored(axes: Sequence[SweepAxis]) -> SweepAxis | None:
    """Returns the axis shown by color, or None."""
    if len(axes) == 2 and 1 < len(axes[1].values) <= len(charts.COLORS):
        return axes[1]
    return None
