"""Renders panels to SVG and PNG with vl-convert, without a network or a browser."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree

from zoo.report.charts.palette import delegate_shapes, precision_colors
from zoo.report.charts.panels import Panel
from zoo.report.charts.vega import CHART, Specification, panel_chart

_SVG = "http://www.w3.org/2000/svg"


def colors(panels: Sequence[Panel]) -> dict[str, str]:
    """Returns a color for each precision in the panels; known precisions have fixed colors."""
    return precision_colors(point.precision for panel in panels for point in panel.points)


def shapes(panels: Sequence[Panel]) -> dict[str, str]:
    """Returns a Vega shape for each delegate; `file` marks points that are not latencies."""
    return delegate_shapes(point.delegate for panel in panels for point in panel.points)


def panel_svgs(panels: Sequence[Panel]) -> list[str]:
    """Returns one SVG per panel for embedding in HTML; marks have tooltips with their values."""
    looks = colors(panels), shapes(panels)
    return [
        _for_html(_svg({**panel_chart(panel, *looks, legend=False), **CHART})) for panel in panels
    ]


def panel_svg(panel: Panel) -> str:
    """Returns the SVG of a single panel with its legend, for embedding in HTML."""
    looks = colors([panel]), shapes([panel])
    return page_svg(panel_chart(panel, *looks, legend=True))


def figure(panels: Sequence[Panel], title: str, subtitle: str) -> tuple[str, bytes]:
    """Returns all panels with a title and legends, as SVG text and PNG bytes."""
    looks = colors(panels), shapes(panels)
    charts = [panel_chart(panel, *looks, legend=True) for panel in panels]
    return _figure({"columns": 2, "spacing": 30, "concat": charts}, title, subtitle)


def pages(charts: Sequence[Specification], title: str, subtitle: str) -> tuple[str, bytes]:
    """Returns the charts stacked vertically under a title, as SVG text and PNG bytes."""
    return _figure({"spacing": 30, "vconcat": list(charts)}, title, subtitle)


def page_svg(chart: Specification) -> str:
    """Returns the SVG of a chart that brings its own legend, for embedding in HTML."""
    return _for_html(_svg({**CHART, **chart}))


def _figure(content: Specification, title: str, subtitle: str) -> tuple[str, bytes]:
    import vl_convert

    heading = {
        "text": title,
        "subtitle": subtitle,
        "anchor": "start",
        "fontSize": 18,
        "subtitleFontSize": 13,
        "offset": 16,
    }
    svg = _svg({**CHART, "title": heading, **content})
    png: bytes = vl_convert.svg_to_png(svg, scale=2)
    return svg, png


def _svg(chart: Specification) -> str:
    import vl_convert

    return _with_tooltips(vl_convert.vegalite_to_svg(chart))


def _with_tooltips(svg: str) -> str:
    """Adds a <title> to every mark with a description; browsers show it as a tooltip."""
    ElementTree.register_namespace("", _SVG)
    ElementTree.register_namespace("xlink", "http://www.w3.org/1999/xlink")
    root = ElementTree.fromstring(svg)  # noqa: S314 - written by vl-convert, which escapes all text
    for mark in root.iter(f"{{{_SVG}}}path"):
        if mark.get("role") == "graphics-symbol" and (text := mark.get("aria-label")):
            ElementTree.SubElement(mark, f"{{{_SVG}}}title").text = text
    return ElementTree.tostring(root, encoding="unicode")


def _for_html(svg: str) -> str:
    """Shortens the SVG and removes its width and height, so that CSS sets the size."""
    root = ElementTree.fromstring(svg)  # noqa: S314 - as above
    for mark in root.iter(f"{{{_SVG}}}path"):
        for name in ("transform", "d"):  # two decimals of a pixel are enough
            if (value := mark.get(name)) is not None:
                mark.set(name, re.sub(r"(\.\d\d)\d+", r"\1", value))
        if mark.find(f"{{{_SVG}}}title") is not None:  # the <title> has the same text
            mark.attrib.pop("aria-label", None)
            mark.attrib.pop("aria-roledescription", None)
    start, rest = ElementTree.tostring(root, encoding="unicode").split(">", 1)
    return re.sub(r'\s(?:width|height)="[^"]*"', "", start) + ">" + rest
