"""Colors and shapes shared by all charts, safe for common kinds of color blindness."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from zoo.catalog.precisions import PRECISIONS

# Okabe and Ito's palette, distinguishable with all common kinds of color blindness. Yellow is left
# out: it is too faint on white.
_COLORS = ("#0072B2", "#56B4E9", "#009E73", "#D55E00", "#CC79A7")
PRECISION_COLORS = dict(zip(PRECISIONS, _COLORS, strict=False))
# Shape names of choose_plot.js: in the chooser, color is never the only difference.
_SHAPES = ("circle", "square", "up", "diamond", "down")
PRECISION_SHAPES = dict(zip(PRECISIONS, _SHAPES, strict=False))
OTHER_SHAPE = "cross"
MORE_COLORS = ("#E69F00", "#000000", "#7F7F7F", "#8B5A2B", "#4B0082")
DELEGATE_SHAPES = {
    "file": "circle",
    "xnnpack": "circle",
    "none": "square",
    "gpu": "triangle-up",
    "nnapi": "diamond",
}
MORE_SHAPES = ("triangle-down", "cross", "triangle-right", "triangle-left")


def precision_colors(names: Iterable[str]) -> dict[str, str]:
    """Returns a color for each precision; known precisions have fixed colors."""
    return _assign(sorted(set(names)), PRECISION_COLORS, MORE_COLORS)


def delegate_shapes(names: Iterable[str]) -> dict[str, str]:
    """Returns a Vega shape for each delegate; `file` marks points that are not latencies."""
    return _assign(sorted(set(names)), DELEGATE_SHAPES, MORE_SHAPES)


def _assign(names: Sequence[str], known: dict[str, str], more: Sequence[str]) -> dict[str, str]:
    unknown = [name for name in names if name not in known]
    assigned = {name: more[i % len(more)] for i, name in enumerate(unknown)}
    return {name: known.get(name) or assigned[name] for name in [*known, *unknown] if name in names}
