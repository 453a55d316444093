"""Panels as Vega-Lite, turned into SVG and PNG by vl-convert: no network, no JavaScript."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree

from zoo.report.charts.palette import delegate_shapes, precision_colors
from zoo.report.charts.panels import Panel
from zoo.report.charts.vega import CHART, Specification, panel_chart

_SVG = "http://www.w3.org/2000/svg"


def colors(panels: Sequence[Panel]) -> dict[str, str]:
    """A color for each precision, the same one whatever else is shown."""
    return precision_colors(point.precision for panel in panels for point in panel.points)


def shapes(panels: Sequence[Panel]) -> dict[str, str]:
    """A Vega shape for each delegate; `file` stands for what was not timed."""
    return delegate_shapes(point.delegate for panel in panels for point in panel.points)


def panel_svgs(panels: Sequence[Panel]) -> list[str]:
    """One SVG a panel, to be put into HTML; marks carry their values as tooltips."""
    looks = colors(panels), shapes(panels)
    return [
        _for_html(_svg({**panel_chart(panel, *looks, legend=False), **CHART})) for panel in panels
    ]


def panel_svg(panel: Panel) -> str:
    """A panel alone, with a legend, to be put into HTML."""
    looks = colors([panel]), shapes([panel])
    return page_svg(panel_chart(panel, *looks, legend=True))


def picture(panels: Sequence[Panel], title: str, subtitle: str) -> tuple[str, bytes]:
    """All panels with a title and a legend, as SVG text and as PNG bytes."""
    looks = colors(panels), shapes(panels)
    charts = [panel_chart(panel, *looks, legend=True) for panel in panels]
    return _picture({"columns": 2, "spacing": 30, "concat": charts}, title, subtitle)


def pages(charts: Sequence[Specification], title: str, subtitle: str) -> tuple[str, bytes]:
    """Charts below each other with a title; likewise."""
    return _picture({"spacing": 30, "vconcat": list(charts)}, title, subtitle)


def page_svg(chart: Specification) -> str:
    """A chart with its own legend, to be put into HTML."""
    return _for_html(_svg({**CHART, **chart}))


def _picture(content: Specification, title: str, subtitle: str) -> tuple[str, bytes]:
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
    """Gives every mark that has a description a <title>, which browsers show as a tooltip."""
    ElementTree.register_namespace("", _SVG)
    ElementTree.register_namespace("xlink", "http://www.w3.org/1999/xlink")
    root = ElementTree.fromstring(svg)  # noqa: S314 - vl-convert wrote it, and escapes all text
    for mark in root.iter(f"{{{_SVG}}}path"):
        if mark.get("role") == "graphics-symbol" and (text := mark.get("aria-label")):
            ElementTree.SubElement(mark, f"{{{_SVG}}}title").text = text
    return ElementTree.tostring(root, encoding="unicode")


def _for_html(svg: str) -> str:
    """Smaller, and without a size of its own, so that the page's style decides."""
    root = ElementTree.fromstring(svg)  # noqa: S314 - as above
    for mark in root.iter(f"{{{_SVG}}}path"):
        for name in ("transform", "d"):  # a hundredth of a pixel is enough
            if (value := mark.get(name)) is not None:
                mark.set(name, re.sub(r"(\.\d\d)\d+", r"\1", value))
        if mark.find(f"{{{_SVG}}}title") is not None:  # which says the same
            mark.attrib.pop("aria-label", None)
            mark.attrib.pop("aria-roledescription", None)
    start, rest = ElementTree.tostring(root, encoding="unicode").split(">", 1)
    return re.sub(r'\s(?:width|height)="[^"]*"', "", start) + ">" + rest
