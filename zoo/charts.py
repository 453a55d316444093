"""Charts drawn by Vega-Lite. Needs vl-convert."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"  # only an identifier, never fetched
# Okabe & Ito 2008: distinguishable with any color vision, and dark enough on white.
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")


def svg(
    title: str,
    subtitle: Sequence[str],
    width: int,
    height: int,
    values: Sequence[Mapping[str, Any]],
    layer: Sequence[Mapping[str, Any]],
) -> str:
    """Renders a layered chart on a white background as SVG.

    Args:
        title: Chart title.
        subtitle: Lines below the title.
        width: Width of the plot area, in pixels.
        height: Height of the plot area, in pixels.
        values: Data rows of the layers that don't have their own.
        layer: Vega-Lite layer specifications.
    """
    import vl_convert

    return str(
        vl_convert.vegalite_to_svg(
            {
                "$schema": SCHEMA,
                "background": "white",
                "title": {"text": title, "subtitle": list(subtitle), "anchor": "start"},
                "width": width,
                "height": height,
                "data": {"values": list(values)},
                "layer": list(layer),
            }
        )
    )
