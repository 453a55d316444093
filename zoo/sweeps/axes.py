"""From flags to a sweep: what changes, over which values. Imports TensorFlow.

The type of a value is asked of the network's builder, or of the recipe.
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

# Fields that only scripts.compress reads: a sweep over them would train the same run many times.
_COMPRESSION = ("prune_", "cluster_", "low_rank_", "qat_")


@dataclass(frozen=True)
class Preset:
    """One exploration of SqueezeNet's paper, sections 5 and 6.

    Attributes:
        axis: argument that changes; values: those of the paper.
        fixed: other arguments.
        top5: value → top-5 accuracy on ImageNet, in per cent, that the authors published.
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
    given: Mapping[str, str],
) -> tuple[Sweep, Preset | None]:
    """The sweep that the flags --what, --grid, --search and --arguments describe.

    Returns:
        It, and the preset whose published figures its points can stand beside.

    Raises:
        ZooError: nothing to explore, something twice, or what the others here raise.
    """
    spec = model_spec(recipe.model)
    fixed = arguments.parse(spec, given)
    preset = PRESETS.get(what or "")
    found: list[SweepAxis] = []
    if preset:
        arguments.check(spec, (preset.axis,))
        found.append(
            SweepAxis(preset.axis, False, arguments.kinds(spec)[preset.axis], preset.values)
        )
    elif what:
        found.append(whole(what, recipe))
    found += [grid(text, recipe) for text in grids] + [search(text, recipe) for text in searches]
    names = [axis.name for axis in found]
    if not found:
        raise ZooError(
            "nothing to explore",
            expected=f"--what={'|'.join(PRESETS)}, --grid=NAME=VALUES or --search=NAME=RANGE",
        )
    for name in names:
        if names.count(name) > 1 or name in fixed:
            raise ZooError("given twice", where=name, expected="each argument and field once")
    made = Sweep(recipe, tuple(found), {**(preset.fixed if preset else {}), **fixed})
    return made, None if fixed else preset


def whole(name: str, recipe: Recipe) -> SweepAxis:
    """The axis of all values of something that has a closed list of them.

    Raises:
        ZooError: it has none, or there is nothing of that name.
    """
    field, kind = _kind(name, recipe)
    if typing.get_origin(kind) is Literal:
        return SweepAxis(name, field, kind, typing.get_args(kind))
    if kind is bool:
        return SweepAxis(name, field, kind, (False, True))
    raise ZooError(
        f"which values of {name}?",
        where="--what",
        remedy=f"give --grid={name}=VALUE,VALUE or --search={name}=LOW:HIGH instead",
    )


def grid(text: str, recipe: Recipe) -> SweepAxis:
    """`NAME=VALUE,VALUE`.

    Raises:
        ZooError: not of that form, nothing of that name, or a value that can't be.
    """
    name, values = _split(text, "--grid", "NAME=VALUE,VALUE")
    field, kind = _kind(name, recipe)
    parts = [arguments.value(name, kind, part.strip()) for part in values.split(",")]
    for part in parts:
        if name == "model":
            model_spec(str(part))
        elif name == "dataset":
            data.check_name(str(part))
    return SweepAxis(name, field, kind, tuple(dict.fromkeys(parts)))


def search(text: str, recipe: Recipe) -> SweepAxis:
    """`NAME=LOW:HIGH`, or `NAME=LOW:HIGH:log`.

    Raises:
        ZooError: not of that form, nothing of that name, no numbers, or no range.
    """
    form = "NAME=LOW:HIGH or NAME=LOW:HIGH:log"
    name, values = _split(text, "--search", form)
    field, kind = _kind(name, recipe)
    parts = values.split(":")
    if kind not in (int, float) or len(parts) not in (2, 3) or parts[2:] not in ([], ["log"]):
        raise ZooError("no range of numbers", where="--search", expected=form, got=text)
    low, high = (float(arguments.value(name, kind, part)) for part in parts[:2])
    log = len(parts) == 3
    if not low < high < float("inf") or (log and low <= 0):
        expected = "LOW below HIGH" + (" and above 0" if log else "")
        raise ZooError("no range", where="--search", expected=expected, got=text)
    return SweepAxis(name, field, kind, (), low, high, log)


def _split(text: str, flag: str, form: str) -> tuple[str, str]:
    name, equals, values = text.partition("=")
    if not equals or not values:
        raise ZooError("not understood", where=flag, expected=form, got=text)
    return name.strip(), values


def _kind(name: str, recipe: Recipe) -> tuple[bool, Any]:
    """Whether it is a field of the recipe, and its type."""
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
