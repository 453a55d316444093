"""The catalog: all architectures and training recipes as literal rows. Imports no TensorFlow."""

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

if TYPE_CHECKING:
    import tf_keras

    from zoo.schema.run import ModelConfig

# Each holds the rows that the module of the same name in `zoo.models` builds.
FAMILIES = (
    squeezenet, alexnet, shiftresnet, shiftnet, active_shift, mobilenet_v2_cse, applications,
    resnet, shufflenet_v2, efficientnet_lite,
)  # fmt: skip
MODELS: dict[str, ModelSpec] = {spec.name: spec for family in FAMILIES for spec in family.ROWS}
RECIPES: dict[str, Recipe] = {recipe.name: recipe for recipe in recipes.ROWS}
DEFAULT_RECIPE = "fashion_mnist_demo"

# Dataset → input shape and classes, as in the papers. 28×28 images are padded to 32×32.
PRESETS: dict[str, tuple[tuple[int, int, int], int]] = {
    "fashion_mnist": ((32, 32, 1), 10),
    "cifar10": ((32, 32, 3), 10),
    "cifar100": ((32, 32, 3), 100),
    "imagenette": ((224, 224, 3), 10),
    "imagenet": ((224, 224, 3), 1000),
}


def model_spec(name: str) -> ModelSpec:
    """Returns the catalog row of a model.

    Raises:
        UnknownNameError: if there is no such model.
    """
    if name not in MODELS:
        raise UnknownNameError("model", name, MODELS)
    return MODELS[name]


def recipe(name: str) -> Recipe:
    """Returns the recipe of that name.

    Raises:
        UnknownNameError: if there is no such recipe.
    """
    if name not in RECIPES:
        raise UnknownNameError("recipe", name, RECIPES)
    return RECIPES[name]


def published_config(spec: ModelSpec) -> ModelConfig:
    """Returns the configuration of the published network: its input shape, classes and dropout."""
    from zoo.schema.run import ModelConfig  # pydantic, which a list of the catalog can do without

    return ModelConfig(model=spec.name, input_shape=spec.input_shape, classes=spec.classes)


def build(config: ModelConfig, *, include_top: bool = True) -> tf_keras.Model:
    """Builds the network that `config` describes, with new weights. Imports TensorFlow.

    Args:
        config: Name of the model and arguments of its builder.
        include_top: Whether the output is logits (batch, classes); otherwise it is the last
            feature maps (batch, height, width, channels), for transfer learning.

    Raises:
        UnknownNameError: if there is no such model, or no such argument of its builder.
        ZooError: if the network does not support the input shape.
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
