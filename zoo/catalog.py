"""The catalogue: every architecture and every training recipe is one literal row. No TensorFlow."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from zoo.errors import UnknownNameError
from zoo.types import ModelConfig, ModelSpec, Preprocessing, Published, Recipe

if TYPE_CHECKING:
    import tf_keras

_SQUEEZENET_PAPER = "Iandola et al. 2016, https://arxiv.org/abs/1602.07360"
_CAFFE_BGR = Preprocessing(channels="BGR", mean=(104.0, 117.0, 123.0), std=(1.0, 1.0, 1.0))

MODELS: dict[str, ModelSpec] = {
    spec.name: spec
    for spec in (
        ModelSpec(
            name="squeezenet_v1_0",
            family="squeezenet",
            arguments={"version": "1.0"},
            input_shape=(227, 227, 3),
            classes=1000,
            parameters=1_248_424,
            preprocessing=_CAFFE_BGR,
            published=(Published("ImageNet", 57.5, 80.3, "paper, table 3"),),
            paper=_SQUEEZENET_PAPER,
            licence="BSD-2-Clause",
        ),
        ModelSpec(
            name="squeezenet_v1_1",
            family="squeezenet",
            arguments={"version": "1.1"},
            input_shape=(227, 227, 3),
            classes=1000,
            parameters=1_235_496,
            preprocessing=_CAFFE_BGR,
            published=(),
            paper=_SQUEEZENET_PAPER,
            licence="BSD-2-Clause",
        ),
    )
}

RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            name="fashion_mnist_demo",
            # About one pass over the data: there is no time to learn from mirrored images too.
            # Add --flip for a longer run.
            flip=False,
            dropout=0.2,
            warmup=0.1,
            epochs=6,
            epoch_images=10_000,
            prune_sparsity=0.5,
            prune_epochs=3,
            prune_learning_rate=0.03,
            qat_epochs=1,
            expected_accuracy=0.89,
            cost="about 5 minutes of training on 2 cores",
        ),
        Recipe(
            name="digits_quick",
            dataset="digits",
            validation_images=200,
            epochs=8,
            epoch_images=1200,
            batch_size=32,
            flip=False,
            dropout=0.2,
            prune_epochs=3,
            qat_epochs=2,
            expected_accuracy=0.9,
            cost="under a minute of training on 2 cores",
        ),
    )
}

DEFAULT_RECIPE = "fashion_mnist_demo"


def model_spec(name: str) -> ModelSpec:
    """The catalogue's row of that name.

    Raises:
        UnknownNameError: there is none; the message has the nearest names.
    """
    if name not in MODELS:
        raise UnknownNameError("model", name, MODELS)
    return MODELS[name]


def recipe(name: str) -> Recipe:
    """The recipe of that name.

    Raises:
        UnknownNameError: there is none; the message has the nearest names.
    """
    if name not in RECIPES:
        raise UnknownNameError("recipe", name, RECIPES)
    return RECIPES[name]


def build(config: ModelConfig) -> tf_keras.Model:
    """Builds the network that `config` names, with fresh weights. Imports TensorFlow.

    Raises:
        UnknownNameError: no such model.
    """
    spec = model_spec(config.model)
    family = importlib.import_module(f"zoo.models.{spec.family}")
    return family.build(
        **spec.arguments,
        input_shape=config.input_shape,
        classes=config.classes,
        batch_norm=config.batch_norm,
        dropout=config.dropout,
        name=spec.name,
    )
