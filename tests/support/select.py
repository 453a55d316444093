"""Which values of a parameter every run of the tests takes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def some(values: Iterable[Any], *always: Any) -> list[Any]:
    """The values for `pytest.mark.parametrize`, in their order, those not in `always` marked slow.

    Tuples are the values of several parameters.

    Raises:
        ValueError: one of `always` is no value.
    """
    values = list(values)
    several = any(isinstance(value, tuple) for value in values)
    if missing := [value for value in always if value not in values]:
        raise ValueError(f"{missing} are not among the values")
    return [
        value
        if value in always
        else pytest.param(*(value if several else (value,)), marks=pytest.mark.slow)
        for value in values
    ]
