"""Flags made from the fields of `Recipe`: the recipe's value unless the flag is given."""

from __future__ import annotations

import dataclasses
import typing

from absl import flags

from zoo.catalog import RECIPES, recipe
from zoo.errors import ZooError
from zoo.specs import Recipe

FLAGS = flags.FLAGS
_DEFINE = {
    bool: flags.DEFINE_bool,
    int: flags.DEFINE_integer,
    float: flags.DEFINE_float,
    str: flags.DEFINE_string,
}


def define(only: tuple[str, ...] = ()) -> None:
    """Defines --recipe and one flag for each field (of `only`, where given) that has a help text.

    A flag's default is None, which stands for "as the recipe says".
    """
    flags.DEFINE_string("recipe", None, f"starting point for the flags below: {', '.join(RECIPES)}")
    types = typing.get_type_hints(Recipe)
    for field in dataclasses.fields(Recipe):
        if "help" in field.metadata and (not only or field.name in only):
            values = {name: getattr(row, field.name) for name, row in RECIPES.items()}
            shown = ", ".join(f"{name} {value}" for name, value in values.items())
            _DEFINE[types[field.name]](field.name, None, f"{field.metadata['help']} ({shown})")


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
        if field.name in FLAGS and FLAGS[field.name].value is not None
    }
    result = dataclasses.replace(base, **given)
    positive = [n for n in vars(result) if n.endswith(("epochs", "learning_rate"))]
    for name in ("width", "batch_size", *positive):
        if getattr(result, name) <= 0:
            raise ZooError(
                "a value out of range",
                where=f"--{name}",
                expected="above 0",
                got=getattr(result, name),
            )
    for name in ("dropout", "warmup"):
        if not 0 <= getattr(result, name) < 1:
            raise ZooError(
                "a value out of range",
                where=f"--{name}",
                expected="0 or more, below 1",
                got=getattr(result, name),
            )
    for name in ("epoch_images", "weight_decay", "seed"):
        if getattr(result, name) < 0:
            raise ZooError(
                "a value out of range",
                where=f"--{name}",
                expected="0 or more",
                got=getattr(result, name),
            )
    return result
