"""Labels that hide nothing, fronts that hold, axes that fit."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.report.charts.labels import LabelPosition, place_labels, text_width
from zoo.report.charts.panels import ChartPoint, pareto, short_names, x_axis, y_axis

SIZE = (350.0, 262.0)
FONT_PX = 12.5


def box(place: LabelPosition, text: str) -> tuple[float, float, float, float]:
    width = text_width(text, FONT_PX)
    left = place.x - {"left": 0.0, "center": width / 2, "right": width}[place.anchor]
    return left, place.y - FONT_PX / 2, left + width, place.y + FONT_PX / 2


def overlap(a, b) -> bool:
    return min(a[2], b[2]) > max(a[0], b[0]) and min(a[3], b[3]) > max(a[1], b[1])


@pytest.mark.parametrize("seed", range(12))
def test_labels_of_close_points_hide_neither_each_other_nor_a_point(seed):
    rng = random.Random(seed)
    points = [(rng.uniform(40, 310), rng.uniform(60, 200)) for _ in range(5)]
    points += [(points[0][0] + 3, points[0][1]), points[1]]
    texts = [f"pruned-int8-{i}" for i in range(len(points))]
    boxes = [
        box(*pair) for pair in zip(place_labels(points, texts, SIZE, FONT_PX), texts, strict=True)
    ]
    for i, this in enumerate(boxes):
        assert this[0] >= -1 and this[2] <= SIZE[0] + 1
        assert not any(overlap(this, other) for other in boxes[:i])
        assert not any(overlap(this, (x - 4, y - 4, x + 4, y + 4)) for x, y in points)


def test_label_away_from_its_point_has_a_leader():
    points = [(100.0 + i, 100.0) for i in range(6)]
    for point, place in zip(
        points, place_labels(points, ["label"] * 6, SIZE, FONT_PX), strict=True
    ):
        if math.dist(point, (place.x, place.y)) > 20:
            assert place.leader


def point(x: float, y: float) -> ChartPoint:
    return ChartPoint(x, y, "p", "int8", "xnnpack", "")


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=9))
def test_front_is_exactly_what_nothing_beats(spots):
    points = [point(*spot) for spot in spots]
    beaten = {
        (a.x, a.y)
        for a in points
        for b in points
        if b.x <= a.x and b.y >= a.y and (b.x, b.y) != (a.x, a.y)
    }
    assert {(p.x, p.y) for p in pareto(points)} == {(p.x, p.y) for p in points} - beaten


def test_short_names_drop_only_what_all_share():
    names = ["squeeze-dense-float32", "squeeze-pruned-int8", "squeeze-int8_qat"]
    assert list(short_names(names).values()) == ["dense-float32", "pruned-int8", "int8_qat"]
    assert short_names(["alone"]) == {"alone": "alone"}


@given(st.lists(st.text(max_size=60), max_size=6, unique=True))
def test_short_names_stay_different(names):
    short = short_names(names)
    assert set(short) == set(names)
    assert len(set(short.values())) == len(names)


@pytest.mark.parametrize("values", [[91.6, 92.06], [91.6], [0.0], [100.0], [10.0, 99.5]])
def test_accuracy_axis_fits(values):
    axis = y_axis(values)
    assert axis.low <= min(values) and max(values) <= axis.high
    assert max(axis.ticks) <= 100.0001
    assert 3 <= len(axis.ticks) <= 10
    if max(values) - min(values) > 0.4:
        assert axis.share(max(values)) - axis.share(min(values)) > 0.5


def test_cost_axis_is_logarithmic_only_over_a_wide_range():
    assert not x_axis([800, 2967]).log
    assert x_axis([10, 2967]).log
    assert x_axis([800, 2967]).low == 0
    assert x_axis([1.9, 2.0]).low > 0


@given(st.lists(st.floats(1e-6, 1e9), min_size=1, max_size=5), st.floats(0, 1))
def test_axis_goes_there_and_back(values, share):
    axis = x_axis(values)
    assert axis.share(axis.value(share)) == pytest.approx(share, abs=1e-6)
