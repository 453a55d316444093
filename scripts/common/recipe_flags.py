"""Flags for the fields of `Recipe`; a flag that is given overrides the recipe's value."""

from __future__ import annotations

import dataclasses
import sys
import typing
from collections.abc import Sequence

from absl import flags

from scripts.common import help
from zoo.catalog import DEFAULT_RECIPE, RECIPES, recipe
from zoo.errors import ZooError
from zoo.schema.recipe import COMPRESSION, NETWORK, Recipe

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


def define(only: tuple[str, ...] = (), default: str = DEFAULT_RECIPE) -> None:
    """Defines --recipe and one flag for each field of `Recipe` that has a help text.

    The default of each flag is None, which means the value of the recipe.

    Args:
        only: Names of the fields to define flags for; empty for all.
        default: Name of the recipe whose values --help shows; empty if they come from a run.
    """
    first = f"default: {default}" if default else "default: as in the run"
    flags.DEFINE_string("recipe", None, f"recipe to start from: {', '.join(RECIPES)} ({first})")
    if not only:
        help.group(NETWORK, "recipe", first=True)
    shown = RECIPES.get(_named(sys.argv[1:]) or default) or RECIPES.get(default)
    types = typing.get_type_hints(Recipe)
    for field in dataclasses.fields(Recipe):
        if "help" in field.metadata and (not only or field.name in only):
            value = f"default: {_words(getattr(shown, field.name))}" if shown else first
            _DEFINE[types[field.name]](field.name, None, f"{field.metadata['help']} ({value})")
            title = field.metadata["group"]
            if title in COMPRESSION and not only:
                title += " (only stored in the run, for zoo compress; see its --help)"
            help.group(title, field.name)


def _named(arguments: Sequence[str]) -> str | None:
    """Returns the value of --recipe before the flags are parsed, or None."""
    for word, following in zip(arguments, [*arguments, ""][1:], strict=True):
        name, equals, value = word.lstrip("-").partition("=")
        if name == "recipe" and word.startswith("-"):
            return value if equals else following
    return None


def _words(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return "none" if value == "" else str(value)


def chosen(default: Recipe) -> Recipe:
    """Returns the recipe with the given flags applied.

    Args:
        default: Recipe to start from if --recipe is not given.

    Raises:
        ZooError: if the recipe is unknown or a value is out of range.
    """
    base = recipe(FLAGS.recipe) if FLAGS.recipe else default
    overrides = {
        field.name: FLAGS[field.name].value
        for field in dataclasses.fields(Recipe)
        if "help" in field.metadata and field.name in FLAGS and FLAGS[field.name].value is not None
    }
    result = dataclasses.replace(base, **overrides)
    _check(result)
    return result


def _check(chosen: Recipe) -> None:
    """Raises ZooError for a number out of range; names are checked where they are used."""
    for name, value in vars(chosen).items():
        if name.endswith(("epochs", "learning_rate")) or name in _POSITIVE:
            valid, expected = value > 0, "above 0"
        elif name in _SHARES_BELOW_ONE:
            valid, expected = 0 <= value < 1, "0 or more, below 1"
        elif name in _SHARES:
            valid, expected = 0 <= value <= 1, "0 to 1"
        elif name in _NOT_NEGATIVE:
            valid, expected = value >= 0, "0 or more"
        else:
            continue
        if not valid:
            raise ZooError("value out of range", where=f"--{name}", expected=expected, got=value)
