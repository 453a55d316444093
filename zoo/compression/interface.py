"""What a compression scheme gets, and what it hands to the training loop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import tf_keras

from zoo.compression import kernels
from zoo.schema.recipe import Recipe
from zoo.schema.run import LowRank, PerLayer


@dataclass(frozen=True, eq=False)
class SchemeInput:
    """What fine-tuning begins with.

    Attributes:
        model: plain, with the parent's weights; a scheme leaves it as it is.
        scheme: what the parent went through.
        recipe: how strong the scheme is.
        per_layer: values that differ from the recipe's.
        steps: training steps to come.
        per_epoch: how many of them are one epoch.
    """

    model: tf_keras.Model
    scheme: tuple[str, ...]
    recipe: Recipe
    per_layer: PerLayer
    steps: int
    per_epoch: int


@dataclass(frozen=True, eq=False)
class FineTuning:
    """What is fine-tuned, and how it ends.

    Attributes:
        model: the network to train, before a checkpoint is loaded.
        begun: what is about to be done, in a line or more.
        callbacks: what must run while it trains.
        eligible: whether the goal is reached at the end of an epoch (from 1), so that it may
            become the best one.
        strip: makes the network that is stored from the trained one; None where it is the same.
        reached: of the stored network, in words.
        low_rank: what `zoo.runs` needs to rebuild the network, where layers were split.
        start: the network whose weights it needs as well, where `model`'s structure follows from
            them.
    """

    model: tf_keras.Model
    begun: tuple[str, ...]
    callbacks: tuple[tf_keras.callbacks.Callback, ...] = ()
    eligible: Callable[[int], bool] = lambda epoch: True
    strip: Callable[[tf_keras.Model], tf_keras.Model] | None = None
    reached: Callable[[tf_keras.Model], str] = lambda model: ""
    low_rank: LowRank | None = None
    start: tf_keras.Model | None = None


def clone(model: tf_keras.Model) -> tf_keras.Model:
    """A copy with the same weights."""
    copy = tf_keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    return copy


def zeros_of(model: tf_keras.Model, layers: list[str]) -> float:
    """Share of zeros in the kernels of some layers, 0 to 1."""
    found = kernels.values(model)
    return kernels.count({name: found[name] for name in layers}).sparsity
