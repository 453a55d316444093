"""Finds a distillation teacher and checks that it fits the student's dataset."""

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
    """A teacher whose network has not been built yet.

    Attributes:
        sha256: Hash of the teacher's weight file.
        network: Builds the network with its weights.
    """

    sha256: str
    network: Callable[[], tf_keras.Model]


def load(recipe: Recipe, dataset: data.Dataset, output: Path, name: str) -> Teacher:
    """Finds the teacher of a recipe.

    Args:
        recipe: Recipe whose `teacher` is a value accepted by `resolve.find`.
        dataset: Dataset of the student.
        output: The --output folder.
        name: Name of the student's run.

    Raises:
        ZooError: if there is no such teacher, or it was trained on different images or classes.
    """
    source = resolve.find("--teacher", recipe.teacher, output, [name])
    if isinstance(source, transfer.Initial):
        if source.config is None:
            raise ZooError("the checkpoint does not describe its network", where=source.source)
        _check(recipe, dataset, source.config, source.labels, source.preprocessing)
        return Teacher(source.sha256, partial(_rebuilt, source, source.config))
    run, folder = source
    _same_recipe(recipe, run)
    seen = data.seen(run)
    preprocessing = transfer.normalized(run.config.input_shape[-1], seen)
    _check(recipe, dataset, run.config, seen.labels, preprocessing)
    return Teacher(run.weights_sha256, partial(runs.keras_model, run, folder))


def _rebuilt(initial: transfer.Initial, config: ModelConfig) -> tf_keras.Model:
    """Builds the network of a published checkpoint."""
    model = build(config)
    transfer.apply(model, initial.model, initial, initial.preprocessing)
    return model


def _same_recipe(recipe: Recipe, run: Run) -> None:
    """Raises a ZooError if the teacher may have been trained on the student's validation images."""
    for name in ("dataset", "image_size", "validation_images"):
        if getattr(run.recipe, name) != getattr(recipe, name):
            raise ZooError(
                f"the teacher was trained with a different --{name}",
                where=f"--teacher={recipe.teacher}",
                expected=getattr(recipe, name),
                got=getattr(run.recipe, name),
                remedy=f"set --{name}={getattr(run.recipe, name)}, or use another teacher",
            )


def _check(
    recipe: Recipe,
    dataset: data.Dataset,
    config: ModelConfig,
    labels: tuple[str, ...],
    preprocessing: Preprocessing,
) -> None:
    """Raises a ZooError if the teacher has a different input or different classes.

    Args:
        recipe: Recipe of the student.
        dataset: Dataset of the student.
        config: Network of the teacher.
        labels: Class names of the teacher; empty if unknown.
        preprocessing: Input normalization of the teacher.
    """
    student_labels = dataset.labels
    for difference, expected, got in (
        ("images of a different shape", tuple(dataset.train.images.shape[1:]), config.input_shape),
        ("a different number of classes", len(student_labels), config.classes),
        ("different classes", student_labels, labels or student_labels),
        ("differently normalized images", transfer.of_dataset(dataset), preprocessing),
    ):
        if expected != got:
            raise ZooError(
                f"the teacher was trained on {difference}",
                where=f"--teacher={recipe.teacher}",
                expected=expected,
                got=got,
                remedy="use the dataset that the teacher was trained on, or another teacher",
            )
