"""Arguments of a catalog model's builder that differ from its row's: other design points.

Imports the family, and so TensorFlow.
"""

from __future__ import annotations

import importlib
import re
import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from zoo.errors import UnknownNameError, ZooError
from zoo.schema.model import ModelSpec

Argument = bool | int | float | str
_ELSEWHERE = {  # these are fields of `ModelConfig`
    "batch_norm", "classes", "dropout", "include_top", "input_shape", "name", "return", "width",
}  # fmt: skip
_TRUTHS = {"true": True, "false": False, "1": True, "0": False}


def kinds(spec: ModelSpec) -> dict[str, Any]:
    """The arguments of the family's `build` that may be given, and their types.

    A type is bool, int, float, str or a Literal; an argument of another type is left out.
    """
    build = importlib.import_module(f"zoo.models.{spec.family}").build
    return {
        name: kind
        for name, kind in typing.get_type_hints(build).items()
        if name not in _ELSEWHERE
        and (kind in (bool, int, float, str) or typing.get_origin(kind) is Literal)
    }


def check(spec: ModelSpec, names: Iterable[str]) -> None:
    """Refuses arguments that the family's `build` has not.

    Raises:
        ZooError: there is such a name.
    """
    known = None
    for name in names:
        known = kinds(spec) if known is None else known
        if not known:
            raise ZooError(
                f"{spec.name} has no argument that can be given",
                got=name,
                remedy="give --model=squeezenet_v1_0 for instance, or leave it out",
            )
        if name not in known:
            raise UnknownNameError(f"argument of {spec.name}", name, known)


def pairs(texts: Sequence[str]) -> dict[str, str]:
    """`NAME:VALUE` texts of the flag --arguments.

    Raises:
        ZooError: one is not of that form, or a name comes twice.
    """
    found: dict[str, str] = {}
    for text in texts:
        name, colon, part = (piece.strip() for piece in text.partition(":"))
        if not colon or name in found:
            raise ZooError(
                "not understood",
                where="--arguments",
                expected="NAME:VALUE,NAME:VALUE with each name once",
                got=text,
            )
        found[name] = part
    return found


def parse(spec: ModelSpec, given: Mapping[str, str]) -> dict[str, Argument]:
    """Arguments as texts, brought to the types that `build` wants.

    Raises:
        ZooError: no such argument, or a value of another type.
    """
    check(spec, given)
    known = kinds(spec) if given else {}
    return {name: value(name, known[name], text) for name, text in given.items()}


def in_name(values: Mapping[str, object]) -> str:
    """Values as a part of a run's name, `squeeze_ratio_0.25-pct3x3_0.5`."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", "-".join(f"{k}_{v}" for k, v in values.items()))


def value(name: str, kind: Any, text: str) -> Argument:
    """A text as a value of a type of `kinds`.

    Raises:
        ZooError: it is none.
    """
    if typing.get_origin(kind) is Literal:
        choices = {str(choice): choice for choice in typing.get_args(kind)}
        expected = f"one of {', '.join(choices)}"
        if text in choices:
            return typing.cast(Argument, choices[text])
    elif kind is bool:
        expected = "true or false"
        if text.lower() in _TRUTHS:
            return _TRUTHS[text.lower()]
    else:
        expected = {int: "a whole number", float: "a number"}.get(kind, "a text")
        try:
            return typing.cast(Argument, kind(text))
        except ValueError:
            pass
    raise ZooError("a value that can't be", where=name, expected=expected, got=text)
