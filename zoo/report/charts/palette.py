"""Colors and shapes that all pictures share, safe for common kinds of color blindness."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

# Okabe and Ito's palette, whose colors stay apart for all common kinds of color blindness. Its
# yellow is left out: it is too faint on white.
PRECISION_COLORS = {
    "float32": "#0072B2",
    "float16": "#56B4E9",
    "dynamic_int8": "#009E73",
    "int8": "#D55E00",
    "int8_qat": "#CC79A7",
}
# Of the chooser, by the names that its script has: color is never the only difference.
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
    """A color for each precision, the same one whatever else is shown."""
    return _assign(sorted(set(names)), PRECISION_COLORS, MORE_COLORS)


def delegate_shapes(names: Iterable[str]) -> dict[str, str]:
    """A Vega shape for each delegate; `file` stands for what was not timed."""
    return _assign(sorted(set(names)), DELEGATE_SHAPES, MORE_SHAPES)


def _assign(found: Sequence[str], known: dict[str, str], more: Sequence[str]) -> dict[str, str]:
    strangers = [name for name in found if name not in known]
    assigned = {name: more[i % len(more)] for i, name in enumerate(strangers)}
    return {
        name: known.get(name) or assigned[name] for name in [*known, *strangers] if name in found
    }
