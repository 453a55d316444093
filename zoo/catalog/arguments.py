"""Builder arguments that override those of a catalog row, for other design points.

Imports the module of the family, and therefore TensorFlow.
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
_ELSEWHERE = {  # fields of `ModelConfig`, and names that are not arguments of the design
    "batch_norm", "classes", "dropout", "include_top", "input_shape", "name", "return", "width",
}  # fmt: skip
_TRUTHS = {"true": True, "false": False, "1": True, "0": False}


def kinds(spec: ModelSpec) -> dict[str, Any]:
    """Returns the arguments of the family's `build` that can be set, and their types.

    Only arguments of type bool, int, float, str or Literal can be set.
    """
    build = importlib.import_module(f"zoo.models.{spec.family}").build
    return {
        name: kind
        for name, kind in typing.get_type_hints(build).items()
        if name not in _ELSEWHERE
        and (kind in (bool, int, float, str) or typing.get_origin(kind) is Literal)
    }


def check(spec: ModelSpec, names: Iterable[str]) -> None:
    """Checks that all names are arguments that can be set.

    Raises:
        ZooError: if one is not.
    """
    known = None
    for name in names:
        known = kinds(spec) if known is None else known
        if not known:
            raise ZooError(
                f"{spec.name} has no arguments that can be set",
                got=name,
                remedy="choose a model that has, for example --model=squeezenet_v1_0, or drop it",
            )
        if name not in known:
            raise UnknownNameError(f"argument of {spec.name}", name, known)


def pairs(texts: Sequence[str]) -> dict[str, str]:
    """Parses the `NAME:VALUE` items of the flag --arguments.

    Raises:
        ZooError: if an item does not have this form, or a name is repeated.
    """
    values: dict[str, str] = {}
    for text in texts:
        name, colon, part = (piece.strip() for piece in text.partition(":"))
        if not colon or name in values:
            raise ZooError(
                "malformed flag",
                where="--arguments",
                expected="NAME:VALUE,NAME:VALUE with each name once",
                got=text,
            )
        values[name] = part
    return values


def parse(spec: ModelSpec, given: Mapping[str, str]) -> dict[str, Argument]:
    """Converts arguments from text to the types of the family's `build`.

    Raises:
        ZooError: if there is no such argument, or a value has the wrong type.
    """
    check(spec, given)
    known = kinds(spec) if given else {}
    return {name: value(name, known[name], text) for name, text in given.items()}


def in_name(values: Mapping[str, object]) -> str:
    """Formats values as part of a run name, for example `squeeze_ratio_0.25-pct3x3_0.5`."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", "-".join(f"{k}_{v}" for k, v in values.items()))


def value(name: str, kind: Any, text: str) -> Argument:
    """Converts a text to a type returned by `kinds`.

    Args:
        name: Name of the argument for the error message.
        kind: The type.
        text: The text to convert.

    Raises:
        ZooError: if the text is not a value of this type.
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
        expected = {int: "an integer", float: "a number"}.get(kind, "a string")
        try:
            return typing.cast(Argument, kind(text))
        except ValueError:
            pass
    raise ZooError("invalid value", where=name, expected=expected, got=text)
