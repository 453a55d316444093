"""Where the error begins, in hand-made graphs."""

import math

import pytest

from converters.parity.graph import ComputedTensor
from converters.parity.localize import first_jump, layer_errors
from tests.converters.parity.conftest import chain


@pytest.mark.parametrize(
    ("sqnr", "jump"),
    [
        ({"a": 40.0, "b": 35.0, "c": 30.0}, None),
        ({"a": 40.0, "b": 19.0, "c": 18.0}, "b"),
        ({"a": 19.0, "b": 18.0, "c": 17.0}, "a"),  # from a perfect input, which counts as 30
        ({"a": 28.0, "b": 19.0, "c": 9.5}, "c"),  # a third of the signal, reached in small steps
        ({"a": 28.0, "c": 15.0}, "c"),  # b's tensor could not be compared: c's input is a
        ({"a": math.inf, "b": math.inf, "c": 25.0}, None),
        ({"a": 40.0, "b": math.nan, "c": math.nan}, "b"),
        ({"a": 40.0, "b": -math.inf, "c": 5.0}, "b"),
        ({}, None),
    ],
)
def test_where_it_jumps(sqnr, jump):
    errors = layer_errors(chain("a", "b", "c"), sqnr, ceiling_db=30)
    assert [error.tensor for error in errors] == list(sqnr)
    first = first_jump(errors)
    assert (first.tensor if first else None) == jump
    assert sum(error.jump for error in errors) <= 1


def test_a_branch_is_judged_by_its_own_inputs():
    graph = [
        ComputedTensor("left", "CONV_2D", ("image",)),
        ComputedTensor("right", "CONV_2D", ("image",)),
        ComputedTensor("both", "ADD", ("left", "right")),
        ComputedTensor("after", "CONV_2D", ("left",)),
    ]
    errors = layer_errors(graph, {"left": 40, "right": 5, "both": 8, "after": 38}, 30)
    assert [error.before_db for error in errors] == [math.inf, math.inf, 5, 40]
    assert [error.jump for error in errors] == [False, True, False, False]


def test_a_tensor_that_means_something_else_is_left_out():
    # b's layer became two steps, the first of which has its name.
    graph = chain("a", "b", "b_part2", "c")
    errors = layer_errors(graph, {"a": 40, "b": 9, "c": 38}, 30)
    assert [(e.tensor, e.before_db) for e in errors] == [("a", math.inf), ("c", 40)]
    assert first_jump(errors) is None
    # Where c is bad as well, the error may well begin at b.
    assert first_jump(layer_errors(graph, {"a": 40, "b": 9, "c": 15}, 30)).tensor == "b"
    assert first_jump(layer_errors(graph, {"a": 40, "b": 9, "c": math.nan}, 30)).tensor == "b"
    assert first_jump(layer_errors(graph, {"a": 40, "b": 9}, 30)).tensor == "b"


def test_a_strong_sound_branch_does_not_hide_a_broken_one():
    graph = [
        *chain("a", "b"),
        ComputedTensor("sum", "ADD", ("a", "b")),
        ComputedTensor("c", "CONV_2D", ("sum",)),
    ]
    errors = layer_errors(graph, {"a": 40, "b": 0, "sum": 14, "c": 13}, 30)
    assert first_jump(errors).tensor == "b"
