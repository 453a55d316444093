"""All cases of the study: operators, types, shapes and options on which the rules depend."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from converters.inspection import runtimes
from converters.studies.gpu_rules import convolutions, elementwise, others, shapes
from converters.studies.gpu_rules.files import Case, with_version


def all_cases() -> list[Case]:
    """Returns the cases, each with a name of its own."""
    modules = convolutions, elementwise, shapes, others
    found = list(chain.from_iterable(module.all_cases() for module in modules))
    return found + list(_newest(found))


def _newest(cases: list[Case]) -> Iterator[Case]:
    """Yields a case of each operator as the newest version of the operator."""
    chosen: dict[str, Case] = {}
    for case in cases:
        if case.operator not in chosen or not chosen[case.operator].what.startswith("float32"):
            chosen[case.operator] = case
    for case in chosen.values():
        version = runtimes.newest(case.operator)
        if version > 1:
            yield with_version(case, version, f"{case.what}, newest version, {version}")
