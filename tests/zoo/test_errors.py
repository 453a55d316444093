"""Errors as one line."""

import pytest

from zoo.errors import UnknownNameError

MANY = [f"name{number:02d}" for number in range(15)]


@pytest.mark.parametrize(
    ("name", "allowed", "said"),
    [
        ("xnpack", ["none", "xnnpack"], "one of none, xnnpack | to do: did you mean xnnpack?"),
        ("zzz", ["b", "a"], "one of a, b"),
        ("zzz", MANY[:12], f"one of {', '.join(MANY[:12])}"),
        ("zzz", MANY, f"one of {', '.join(MANY[:12])} and 3 more"),
        # The closest one comes first, although it is the last of many.
        (
            "net",
            [*MANY, "nets"],
            f"one of nets, {', '.join(MANY[:11])} and 4 more | to do: did you mean nets?",
        ),
    ],
)
def test_an_unknown_name_lists_the_closest_first_and_not_all(name, allowed, said):
    error = UnknownNameError("thing", name, allowed)
    assert str(error) == f"unknown thing {name!r} | expected: {said}"
