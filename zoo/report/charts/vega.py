"""Builds the Vega-Lite specification of a panel: axes, front, labels, leader lines and marks.

Plain dictionaries, because importing and using Altair adds seconds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from zoo import charts
from zoo.report.charts.labels import place_labels
from zoo.report.charts.panels import ChartAxis, Panel, pareto
from zoo.report.wording import delegate_label

FONT = "Arial, Helvetica, 'Liberation Sans', sans-serif"
WIDTH, HEIGHT = 350, 262  # of the plot itself, in pixels
LABEL_PX = 12.5
MARK_AREA = 110  # square pixels
MOST_LABELS = 40  # more would be unreadable: then only the points on the front are labeled
HIDES_PX = 7  # within this distance one mark covers most of the other
Specification = dict[str, Any]  # Vega-Lite 5
INK, MUTED, GRID, FRONT = "#1f2328", "#57606a", "#e8eaed", "#8c959f"
CHART: Mapping[str, Any] = {
    "$schema": charts.SCHEMA,
    "background": "white",
    "padding": 10,
    "config": {
        "font": FONT,
        "view": {"stroke": None},
        "axis": {
            "labelFontSize": 12.5,
            "titleFontSize": 13.5,
            "titleFontWeight": "normal",
            "labelColor": MUTED,
            "titleColor": INK,
            "gridColor": GRID,
            "domainColor": FRONT,
            "tickColor": FRONT,
            "titlePadding": 8,
        },
        "title": {"color": INK, "subtitleColor": MUTED, "fontWeight": "bold"},
        "legend": {"labelFontSize": 12, "titleFontSize": 12, "labelLimit": 200},
        "point": {"strokeWidth": 1.2},
    },
}


def panel_chart(
    panel: Panel, color_of: dict[str, str], shape_of: dict[str, str], *, legend: bool
) -> Specification:
    """Returns the specification of one scatter plot, without the configuration in `CHART`.

    Args:
        panel: Points, axes and titles.
        color_of: Precision → color.
        shape_of: Delegate → Vega shape.
        legend: Whether to draw a legend below the plot.
    """
    place = {"x": _axis("x", panel.x_title, panel.x), "y": _axis("y", "Test accuracy (%)", panel.y)}
    names = [delegate_label(name) for name in shape_of]
    marks = {
        "data": {"values": _marks(panel)},
        "mark": {"type": "point", "filled": True, "opacity": 1, "stroke": "white"},
        "encoding": {
            **place,
            "color": _key("precision", "Precision", list(color_of), color_of, legend),
            "shape": _key("delegate", "Delegate", names, shape_of, legend and len(names) > 1),
            "size": {"field": "size", "type": "quantitative", "scale": None, "legend": None},
            "description": {"field": "tooltip", "type": "nominal"},
        },
    }
    front = {
        "data": {"values": _front(panel)},
        "mark": {
            "type": "line",
            "aria": False,
            "interpolate": "step-after",
            "color": FRONT,
            "strokeWidth": 1.5,
            "strokeDash": [5, 3],
        },
        "encoding": place,
    }
    return {
        "title": {
            "text": panel.title,
            **({"subtitle": panel.subtitle} if panel.subtitle else {}),
            "anchor": "start",
            "frame": "group",
            "fontSize": 15,
            "subtitleFontSize": 12,
            "offset": 10,
            "limit": WIDTH + 20,
        },
        "width": WIDTH,
        "height": HEIGHT,
        "layer": [front, *_labels(panel, place), marks],
    }


def _key(
    field: str, title: str, names: list[str], look_of: dict[str, str], legend: bool
) -> Specification:
    shown = {"title": title, "orient": "bottom", "columns": 5, "symbolSize": MARK_AREA}
    return {
        "field": field,
        "type": "nominal",
        "scale": {"domain": names, "range": list(look_of.values())},
        "legend": shown if legend else None,
    }


def _labels(panel: Panel, place: Specification) -> list[Specification]:
    points = (
        panel.points if len(panel.points) <= MOST_LABELS else pareto(panel.points)[:MOST_LABELS]
    )
    pixels = [_pixels(panel, point.x, point.y) for point in points]
    front = _stairs([_pixels(panel, spot["x"], spot["y"]) for spot in _front(panel)])
    names = [point.label for point in points]
    texts, leaders = [], []
    for point, pixel, label in zip(
        points,
        pixels,
        place_labels(pixels, names, (WIDTH, HEIGHT), LABEL_PX, front),
        strict=True,
    ):
        if not point.label:
            continue
        x, y = _data(panel, label.x, label.y)
        texts.append({"x": x, "y": y, "anchor": label.anchor, "label": point.label})
        if label.leader:
            x2, y2 = _data(panel, *label.leader_end(pixel, LABEL_PX))
            leaders.append({"x": point.x, "y": point.y, "x2": x2, "y2": y2})
    layers: list[Specification] = []
    if leaders:
        layers.append(
            {
                "data": {"values": leaders},
                "mark": {"type": "rule", "aria": False, "color": FRONT, "strokeWidth": 0.8},
                "encoding": {**place, "x2": {"field": "x2"}, "y2": {"field": "y2"}},
            }
        )
    for anchor in ("left", "center", "right"):
        rows = [text for text in texts if text["anchor"] == anchor]
        # A white outline first: it keeps a label legible where it crosses a line.
        for paint in ({"color": "white", "stroke": "white", "strokeWidth": 3}, {"color": INK}):
            layers.append(
                {
                    "data": {"values": rows},
                    "mark": {
                        "type": "text",
                        "aria": False,
                        "align": anchor,
                        "baseline": "middle",
                        "fontSize": LABEL_PX,
                        **paint,
                    },
                    "encoding": {**place, "text": {"field": "label", "type": "nominal"}},
                }
            )
    return layers


def _marks(panel: Panel) -> list[dict[str, Any]]:
    """Returns the marks in drawing order; a mark below others is larger, so its rim shows."""
    spots = [_pixels(panel, point.x, point.y) for point in panel.points]
    rows = []
    for number, point in enumerate(panel.points):
        above = sum(math.dist(spots[number], spot) < HIDES_PX for spot in spots[number + 1 :])
        rows.append(
            {
                "x": point.x,
                "y": point.y,
                "precision": point.precision,
                "delegate": delegate_label(point.delegate),
                "size": MARK_AREA * (1 + 0.9 * min(above, 4)),
                "tooltip": point.tooltip,
            }
        )
    return rows


def _front(panel: Panel) -> list[dict[str, float]]:
    front = pareto(panel.points)
    return [{"x": p.x, "y": p.y} for p in front] + [{"x": panel.x.high, "y": front[-1].y}]


def _pixels(panel: Panel, x: float, y: float) -> tuple[float, float]:
    return panel.x.share(x) * WIDTH, (1 - panel.y.share(y)) * HEIGHT


def _data(panel: Panel, x_px: float, y_px: float) -> tuple[float, float]:
    return panel.x.value(x_px / WIDTH), panel.y.value(1 - y_px / HEIGHT)


def _stairs(corners: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Returns points every few pixels along the front, for labels to avoid."""
    spots = []
    for (x0, y0), (x1, y1) in pairwise(corners):
        across, up = math.ceil(abs(x1 - x0) / 6), math.ceil(abs(y1 - y0) / 6)
        spots += [(x0 + (x1 - x0) * i / across, y0) for i in range(across)]
        spots += [(x1, y0 + (y1 - y0) * i / up) for i in range(up)]
    return spots


def _axis(field: str, title: str, axis: ChartAxis) -> Specification:
    gaps = [b - a for a, b in pairwise(axis.ticks)]
    decimals = max((len(f"{gap:.6f}".rstrip("0").split(".")[1]) for gap in gaps), default=0)
    return {
        "field": field,
        "type": "quantitative",
        "title": title,
        "scale": {
            "domain": [axis.low, axis.high],
            "type": "log" if axis.log else "linear",
            "nice": False,
            "zero": False,
        },
        "axis": {
            "values": list(axis.ticks),
            "format": "~g" if axis.log else f",.{min(decimals, 4)}f",
            "labelOverlap": False,
            "labelFlush": False,
        },
    }
