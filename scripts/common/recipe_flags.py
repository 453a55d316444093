"""Flags made from the fields of `Recipe`: the recipe's value unless the flag is given."""

from __future__ import annotations

import dataclasses
import typing

from absl import flags

from zoo.catalog import DEFAULT_RECIPE, RECIPES, recipe
from zoo.errors import ZooError
from zoo.schema.recipe import Recipe

FLAGS = flags.FLAGS
_DEFINE = {
    bool: flags.DEFINE_bool,
    int: flags.DEFINE_integer,
    float: flags.DEFINE_float,
    str: flags.DEFINE_string,
}

_POSITIVE = {
    "image_size", "width", "batch_size", "decay_factor", "distill_temperature", "crop_area",
}  # fmt: skip
_SHARES_BELOW_ONE = {"dropout", "warmup", "momentum", "label_smoothing", "ema"}
_SHARES = {"erase", "randaugment", "distill_weight", "shift_freeze"}
_NOT_NEGATIVE = {
    "epoch_images", "validation_images", "weight_decay", "seed", "crop", "mixup", "shift_rate",
    "dkd_alpha", "dkd_beta",
}  # fmt: skip


def define(only: tuple[str, ...] = ()) -> None:
    """Defines --recipe and one flag for each field (of `only`, where given) that has a help text.

    A flag's default is None, which stands for "as the recipe says".
    """
    flags.DEFINE_string("recipe", None, f"starting point for the flags below: {', '.join(RECIPES)}")
    types = typing.get_type_hints(Recipe)
    for field in dataclasses.fields(Recipe):
        if "help" in field.metadata and (not only or field.name in only):
            help = f"{field.metadata['help']} {_shown(field)}"
            _DEFINE[types[field.name]](field.name, None, help)


def chosen(default: Recipe) -> Recipe:
    """The recipe with the given flags applied.

    Args:
        default: starting point where --recipe is not given.

    Raises:
        ZooError: unknown recipe, or a value that can't be.
    """
    base = recipe(FLAGS.recipe) if FLAGS.recipe else default
    given = {
        field.name: FLAGS[field.name].value
        for field in dataclasses.fields(Recipe)
        if "help" in field.metadata and field.name in FLAGS and FLAGS[field.name].value is not None
    }
    result = dataclasses.replace(base, **given)
    _check(result)
    return result


def _check(chosen: Recipe) -> None:
    """Refuses values that can't be; names are judged where they are used."""
    for name, value in vars(chosen).items():
        if name.endswith(("epochs", "learning_rate")) or name in _POSITIVE:
            right, expected = value > 0, "above 0"
        elif name in _SHARES_BELOW_ONE:
            right, expected = 0 <= value < 1, "0 or more, below 1"
        elif name in _SHARES:
            right, expected = 0 <= value <= 1, "0 to 1"
        elif name in _NOT_NEGATIVE:
            right, expected = value >= 0, "0 or more"
        else:
            continue
        if not right:
            raise ZooError("a value out of range", where=f"--{name}", expected=expected, got=value)


def _shown(field: dataclasses.Field) -> str:
    """The default recipe's value, and those of recipes that have another one."""
    usual = getattr(RECIPES[DEFAULT_RECIPE], field.name)
    others = {
        name: getattr(row, field.name)
        for name, row in RECIPES.items()
        if getattr(row, field.name) != usual
    }
    shown = "".join(f"; {name} {value}" for name, value in others.items())
    return f"({'none' if usual == '' else usual}{shown})"
