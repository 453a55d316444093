"""The catalog: every architecture and every training recipe is one literal row. No TensorFlow."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from zoo.catalog import (
    active_shift,
    alexnet,
    applications,
    arguments,
    efficientnet_lite,
    mobilenet_v2_cse,
    recipes,
    resnet,
    shiftnet,
    shiftresnet,
    shufflenet_v2,
    squeezenet,
)
from zoo.errors import UnknownNameError
from zoo.schema.model import ModelSpec
from zoo.schema.recipe import Recipe
from zoo.schema.run import ModelConfig

if TYPE_CHECKING:
    import tf_keras

# Each has the rows of the module in `zoo.models` that has its name and builds them.
FAMILIES = (
    squeezenet, alexnet, shiftresnet, shiftnet, active_shift, mobilenet_v2_cse, applications,
    resnet, shufflenet_v2, efficientnet_lite,
)  # fmt: skip
MODELS: dict[str, ModelSpec] = {spec.name: spec for family in FAMILIES for spec in family.ROWS}
RECIPES: dict[str, Recipe] = {recipe.name: recipe for recipe in recipes.ROWS}
DEFAULT_RECIPE = "fashion_mnist_demo"

# Data set → input shape and classes, as the papers feed it. 28×28 pictures are padded to 32×32.
PRESETS: dict[str, tuple[tuple[int, int, int], int]] = {
    "fashion_mnist": ((32, 32, 1), 10),
    "cifar10": ((32, 32, 3), 10),
    "cifar100": ((32, 32, 3), 100),
    "imagenette": ((224, 224, 3), 10),
    "imagenet": ((224, 224, 3), 1000),
}


def model_spec(name: str) -> ModelSpec:
    """The catalog's row of that name.

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


def published_config(spec: ModelSpec) -> ModelConfig:
    """The configuration of the published network: its input shape, classes and dropout."""
    return ModelConfig(model=spec.name, input_shape=spec.input_shape, classes=spec.classes)


def build(config: ModelConfig, *, include_top: bool = True) -> tf_keras.Model:
    """Builds the network that `config` names, with fresh weights. Imports TensorFlow.

    Args:
        config: which network, and its builder's arguments.
        include_top: end in (batch, classes) logits; else in the last feature maps, (batch,
            height, width, channels), for transfer learning.

    Raises:
        UnknownNameError: no such model, or no such argument of its builder.
        ZooError: an input shape that the network can't take.
    """
    spec = model_spec(config.model)
    family = importlib.import_module(f"zoo.models.{spec.family}")
    if config.arguments:
        arguments.check(spec, config.arguments)
    optional: dict[str, object] = {}
    if config.dropout is not None:
        optional["dropout"] = config.dropout
    if spec.batch_norm_optional:
        optional["batch_norm"] = config.batch_norm
    return family.build(
        **{**spec.arguments, **config.arguments},
        **optional,
        input_shape=config.input_shape,
        classes=config.classes,
        width=config.width,
        include_top=include_top,
        name=spec.name,
    )
