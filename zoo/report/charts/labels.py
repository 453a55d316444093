"""Places the labels of a scatter plot so that they avoid points and each other.

Pure geometry in pixels, y downwards. Greedy: points are labeled from the most to the least crowded
one, each at the cheapest of a fixed list of positions around it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Anchor = Literal["left", "center", "right"]
Box = tuple[float, float, float, float]  # left, top, right, bottom

MARK_RADIUS = 7.0
LINE_HEIGHT = 1.25
NARROW, WIDE = set("iljtfrI.,:;|'!()[]-_ /"), set("mwMW@%")
# Distances from the point in pixels. Labels beyond the first ring have a leader line.
RINGS = (11.0, 20.0, 32.0, 46.0, 62.0, 80.0, 100.0)
DIRECTIONS: tuple[tuple[float, float, Anchor], ...] = (
    (1, 0, "left"),
    (-1, 0, "right"),
    (0, -1.15, "center"),
    (0, 1.15, "center"),
    (0.7, -1, "left"),
    (0.7, 1, "left"),
    (-0.7, -1, "right"),
    (-0.7, 1, "right"),
    (1, -0.5, "left"),
    (1, 0.5, "left"),
    (-1, -0.5, "right"),
    (-1, 0.5, "right"),
)


@dataclass(frozen=True)
class LabelPosition:
    """Position of a label's anchor; `leader` says whether a line connects it to its point."""

    x: float
    y: float
    anchor: Anchor
    leader: bool

    def leader_end(self, point: tuple[float, float], font_px: float) -> tuple[float, float]:
        """Returns the end of the leader line, just short of the text."""
        if self.anchor == "center":
            return self.x, self.y + math.copysign(0.6 * font_px, point[1] - self.y)
        return self.x + (-2 if self.anchor == "left" else 2), self.y


def text_width(text: str, font_px: float) -> float:
    """Estimates the width in pixels for a sans-serif font, rather too wide than too narrow."""
    ems = 0.0
    for character in text:
        if character in NARROW:
            ems += 0.36
        elif character in WIDE:
            ems += 0.92
        elif ord(character) > 0x1100:
            ems += 1.05
        elif character.isupper():
            ems += 0.72
        else:
            ems += 0.58
    return ems * font_px


def place_labels(
    points: Sequence[tuple[float, float]],
    texts: Sequence[str],
    size: tuple[float, float],
    font_px: float,
    lines: Sequence[tuple[float, float]] = (),
) -> list[LabelPosition]:
    """Returns a position for each label.

    Args:
        points: Centers of the marks, in pixels.
        texts: Label of each point.
        size: Width and height of the plot in pixels; labels stay inside if possible.
        font_px: Font size in pixels.
        lines: Points along drawn lines that labels should not cross.
    """
    r = MARK_RADIUS
    marks = [(x - r, y - r, x + r, y + r) for x, y in points]
    drawn = list(lines)  # leader lines are added as labels are placed
    taken: list[Box] = []
    places: dict[int, LabelPosition] = {}
    for index in sorted(range(len(points)), key=lambda i: -_crowding(i, points)):
        best: tuple[float, LabelPosition, Box] | None = None
        for place in _candidates(points[index]):
            box = _box(place, texts[index], font_px)
            cost = _cost(place, box, index, points, marks, taken, size, drawn)
            if best is None or cost < best[0]:
                best = (cost, place, box)
        if best is not None:
            places[index] = best[1]
            taken.append(best[2])
            if best[1].leader:
                drawn += _along(points[index], best[1])
    return [places[index] for index in range(len(points))]


def _crowding(index: int, points: Sequence[tuple[float, float]]) -> float:
    here = points[index]
    return sum(1 / (20 + math.dist(here, there)) for there in points)


def _candidates(point: tuple[float, float]) -> list[LabelPosition]:
    return [
        LabelPosition(point[0] + dx * ring, point[1] + dy * ring, anchor, leader=number > 0)
        for number, ring in enumerate(RINGS)
        for dx, dy, anchor in DIRECTIONS
    ]


def _box(place: LabelPosition, text: str, font_px: float) -> Box:
    width, half = text_width(text, font_px), font_px * LINE_HEIGHT / 2
    left = place.x - {"left": 0.0, "center": width / 2, "right": width}[place.anchor]
    return left, place.y - half, left + width, place.y + half


def _cost(
    place: LabelPosition,
    box: Box,
    index: int,
    points: Sequence[tuple[float, float]],
    marks: Sequence[Box],
    taken: Sequence[Box],
    size: tuple[float, float],
    lines: Sequence[tuple[float, float]],
) -> float:
    point = points[index]
    cost = 0.15 * math.dist((place.x, place.y), point)
    outside = (
        max(0, -box[0]) + max(0, box[2] - size[0]) + max(0, -box[1]) + max(0, box[3] - size[1])
    )
    cost += 40 * outside
    cost += sum(60 + _overlap(box, other) for other in taken if _overlap(box, other))
    cost += sum(60 + _overlap(box, mark) for mark in marks if _overlap(box, mark))
    cost += 9 * sum(_within(spot, box) for spot in lines)
    if place.leader:
        cost += 6
        obstacles = [*taken, *(mark for i, mark in enumerate(marks) if points[i] != point)]
        cost += 30 * sum(
            _within(spot, other) for spot in _along(point, place) for other in obstacles
        )
    return cost


def _along(point: tuple[float, float], place: LabelPosition) -> list[tuple[float, float]]:
    return [
        (point[0] + t * (place.x - point[0]), point[1] + t * (place.y - point[1]))
        for t in (0.3, 0.5, 0.7, 0.9)
    ]


def _overlap(a: Box, b: Box) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    return width * height if width > 0 and height > 0 else 0.0


def _within(spot: tuple[float, float], box: Box) -> bool:
    return box[0] <= spot[0] <= box[2] and box[1] <= spot[1] <= box[3]
