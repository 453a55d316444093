"""Colors and shapes shared by all charts, safe for common kinds of color blindness."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

# Okabe and Ito's palette, distinguishable with all common kinds of color blindness. Yellow is left
# out: it is too faint on white.
PRECISION_COLORS = {
    "float32": "#0072B2",
    "float16": "#56B4E9",
    "dynamic_int8": "#009E73",
    "int8": "#D55E00",
    "int8_qat": "#CC79A7",
}
# Shape names of choose_plot.js: in the chooser, color is never the only difference.
PRECISION_SHAPES = {
    "float32": "circle",
    "float16": "square",
    "dynamic_int8": "up",
    "int8": "diamond",
    "int8_qat": "down",
}
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
