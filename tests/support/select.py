"""Selects the parameter values that are also tested without the slow tests."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def some(values: Iterable[Any], *always: Any) -> list[Any]:
    """Returns values for `pytest.mark.parametrize`, in the given order.

    Args:
        values: All values; tuples if there are several parameters.
        always: Values that are always tested. The others are marked slow.

    Raises:
        ValueError: if one of `always` is not among `values`.
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
