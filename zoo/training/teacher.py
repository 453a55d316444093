"""Networks that another one learns from: which, and whether they know the same pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import tf_keras

from zoo import data, runs
from zoo.catalog import build
from zoo.errors import ZooError
from zoo.pretrained import resolve, transfer
from zoo.schema.model import Preprocessing
from zoo.schema.recipe import Recipe
from zoo.schema.run import ModelConfig, Run


@dataclass(frozen=True, eq=False)
class Teacher:
    """What a run learns from.

    Attributes:
        sha256: of its file of weights.
        network: builds it.
    """

    sha256: str
    network: Callable[[], tf_keras.Model]


def load(recipe: Recipe, dataset: data.Dataset, output: Path, name: str) -> Teacher:
    """The teacher that the recipe names.

    Args:
        recipe: its `teacher` is as `origins.find` takes it.
        dataset: that is learned from.
        output: the --output folder.
        name: of the run that learns.

    Raises:
        ZooError: no such teacher, or one that knows other pictures or classes.
    """
    found = resolve.find("--teacher", recipe.teacher, output, [name])
    if isinstance(found, transfer.Initial):
        if found.config is None:
            raise ZooError("a checkpoint that does not tell its network", where=found.source)
        _check(recipe, dataset, found.config, found.labels, found.preprocessing)
        return Teacher(found.sha256, partial(_rebuilt, found, found.config))
    run, folder = found
    _same_recipe(recipe, run)
    seen = data.seen(run)
    preprocessing = transfer.normalized(run.config.input_shape[-1], seen)
    _check(recipe, dataset, run.config, seen.labels, preprocessing)
    return Teacher(run.weights_sha256, partial(runs.keras_model, run, folder))


def _rebuilt(initial: transfer.Initial, config: ModelConfig) -> tf_keras.Model:
    model = build(config)
    transfer.apply(model, initial.model, initial, initial.preprocessing)
    return model


def _same_recipe(recipe: Recipe, run: Run) -> None:
    """Refuses what saw other images, perhaps those that the run is chosen by."""
    for name in ("dataset", "image_size", "validation_images"):
        if getattr(run.recipe, name) != getattr(recipe, name):
            raise ZooError(
                f"the teacher was trained with another --{name}",
                where=f"--teacher={recipe.teacher}",
                expected=getattr(recipe, name),
                got=getattr(run.recipe, name),
                remedy=f"give --{name}={getattr(run.recipe, name)}, or another teacher",
            )


def _check(
    recipe: Recipe,
    dataset: data.Dataset,
    config: ModelConfig,
    labels: tuple[str, ...],
    preprocessing: Preprocessing,
) -> None:
    """Refuses what takes other input, or tells other classes apart; labels may be unknown."""
    ours, theirs = dataset.labels, labels
    for name, expected, got in (
        ("of another shape", tuple(dataset.train.images.shape[1:]), config.input_shape),
        ("of other classes", len(ours), config.classes),
        ("of other classes", ours, theirs or ours),
        ("normalized otherwise", transfer.of_dataset(dataset), preprocessing),
    ):
        if expected != got:
            raise ZooError(
                f"the teacher was trained on pictures {name}",
                where=f"--teacher={recipe.teacher}",
                expected=expected,
                got=got,
                remedy="give the data that it was trained on, or another teacher",
            )
