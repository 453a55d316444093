"""Builds a sweep from command-line flags. Imports TensorFlow.

The types of the values come from the signature of the network's builder or from the recipe.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from zoo import data
from zoo.catalog import arguments, model_spec
from zoo.catalog.arguments import Argument
from zoo.errors import UnknownNameError, ZooError
from zoo.schema.recipe import Recipe
from zoo.sweeps.sweep import Sweep, SweepAxis

# Only scripts.compress reads these fields: a sweep over them would train the same network again.
_COMPRESSION = ("prune_", "cluster_", "low_rank_", "qat_")


@dataclass(frozen=True)
class Preset:
    """An experiment from sections 5 and 6 of the SqueezeNet paper.

    Attributes:
        axis: Builder argument that varies.
        values: Its values in the paper.
        fixed: Other builder arguments.
        top5: Value → top-5 ImageNet accuracy published by the authors, in percent.
    """

    axis: str
    values: tuple[Argument, ...]
    fixed: Mapping[str, Argument]
    top5: Mapping[Argument, float]


PRESETS: dict[str, Preset] = {
    "squeeze_ratio": Preset(
        "squeeze_ratio", (0.125, 0.25, 0.5, 0.75, 1.0), {"pct3x3": 0.5}, {0.125: 80.3, 0.75: 86.0}
    ),
    "expand3x3": Preset(
        "pct3x3", (0.01, 0.125, 0.25, 0.5, 0.75, 0.99), {"squeeze_ratio": 0.5}, {0.5: 85.6}
    ),
    "bypass": Preset(
        "bypass",
        ("none", "simple", "complex"),
        {},
        {"none": 80.3, "simple": 82.5, "complex": 82.0},
    ),
}


def sweep(
    recipe: Recipe,
    what: str | None,
    grids: Sequence[str],
    searches: Sequence[str],
    builder_arguments: Mapping[str, str],
) -> tuple[Sweep, Preset | None]:
    """Builds the sweep described by the flags of scripts.explore.

    Args:
        recipe: Recipe of all points.
        what: Value of --what: a preset, or an argument or field with a fixed list of values.
        grids: Values of --grid.
        searches: Values of --search.
        builder_arguments: Value of --arguments, by name.

    Returns:
        The sweep, and the preset if its published results apply to the points.

    Raises:
        ZooError: if there is no axis, a name is given twice, or a name or value is invalid.
    """
    spec = model_spec(recipe.model)
    fixed = arguments.parse(spec, builder_arguments)
    preset = PRESETS.get(what or "")
    axes: list[SweepAxis] = []
    if preset:
        arguments.check(spec, (preset.axis,))
        axes.append(
            SweepAxis(preset.axis, False, arguments.kinds(spec)[preset.axis], preset.values)
        )
    elif what:
        axes.append(whole(what, recipe))
    axes += [grid(text, recipe) for text in grids] + [search(text, recipe) for text in searches]
    names = [axis.name for axis in axes]
    if not axes:
        raise ZooError(
            "one of --what, --grid and --search is required",
            expected=f"--what={'|'.join(PRESETS)}, --grid=NAME=VALUES or --search=NAME=RANGE",
        )
    for name in names:
        if names.count(name) > 1 or name in fixed:
            raise ZooError(
                "the argument or field is given twice", where=name, expected="each name once"
            )
    result = Sweep(recipe, tuple(axes), {**(preset.fixed if preset else {}), **fixed})
    return result, None if fixed else preset


def whole(name: str, recipe: Recipe) -> SweepAxis:
    """Returns the axis with all values of a boolean or of a `Literal`.

    Args:
        name: Builder argument or recipe field.
        recipe: Recipe that names the model.

    Raises:
        ZooError: if the name is unknown or has no fixed list of values.
    """
    field, kind = _kind(name, recipe)
    if typing.get_origin(kind) is Literal:
        return SweepAxis(name, field, kind, typing.get_args(kind))
    if kind is bool:
        return SweepAxis(name, field, kind, (False, True))
    raise ZooError(
        f"{name} has no fixed list of values",
        where="--what",
        remedy=f"use --grid={name}=VALUE,VALUE or --search={name}=LOW:HIGH instead",
    )


def grid(text: str, recipe: Recipe) -> SweepAxis:
    """Parses a --grid value of the form `NAME=VALUE,VALUE`.

    Args:
        text: Value of the flag.
        recipe: Recipe that names the model.

    Raises:
        ZooError: if the format is wrong, the name is unknown or a value is invalid.
    """
    name, values = _split(text, "--grid", "NAME=VALUE,VALUE")
    field, kind = _kind(name, recipe)
    points = [arguments.value(name, kind, part.strip()) for part in values.split(",")]
    for point in points:
        if name == "model":
            model_spec(str(point))
        elif name == "dataset":
            data.check_name(str(point))
    return SweepAxis(name, field, kind, tuple(dict.fromkeys(points)))


def search(text: str, recipe: Recipe) -> SweepAxis:
    """Parses a --search value of the form `NAME=LOW:HIGH` or `NAME=LOW:HIGH:log`.

    Args:
        text: Value of the flag.
        recipe: Recipe that names the model.

    Raises:
        ZooError: if the format is wrong, the name is unknown or not numeric, or the range is empty.
    """
    form = "NAME=LOW:HIGH or NAME=LOW:HIGH:log"
    name, values = _split(text, "--search", form)
    field, kind = _kind(name, recipe)
    parts = values.split(":")
    if kind not in (int, float) or len(parts) not in (2, 3) or parts[2:] not in ([], ["log"]):
        raise ZooError("not a range of numbers", where="--search", expected=form, got=text)
    low, high = (float(arguments.value(name, kind, part)) for part in parts[:2])
    log = len(parts) == 3
    if not low < high < float("inf") or (log and low <= 0):
        expected = "LOW below HIGH" + (" and above 0" if log else "")
        raise ZooError("invalid range", where="--search", expected=expected, got=text)
    return SweepAxis(name, field, kind, (), low, high, log)


def _split(text: str, flag: str, form: str) -> tuple[str, str]:
    """Splits NAME=VALUES at the first equals sign."""
    name, equals, values = text.partition("=")
    if not equals or not values:
        raise ZooError("invalid format", where=flag, expected=form, got=text)
    return name.strip(), values


def _kind(name: str, recipe: Recipe) -> tuple[bool, Any]:
    """Returns whether `name` is a recipe field, else a builder argument, and its type."""
    fields = [field.name for field in dataclasses.fields(Recipe) if "help" in field.metadata]
    fields = [field for field in fields if not field.startswith(_COMPRESSION)]
    if name in fields:
        return True, typing.get_type_hints(Recipe)[name]
    spec = model_spec(recipe.model)
    known = arguments.kinds(spec)
    if name not in known:
        raise UnknownNameError(
            f"argument of {spec.name} or field of a recipe", name, [*known, *fields]
        )
    return False, known[name]
