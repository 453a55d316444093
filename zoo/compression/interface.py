"""Input of a compression scheme, and its output to the training loop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import tf_keras

from zoo.compression import kernels
from zoo.schema.recipe import Recipe
from zoo.schema.run import LowRank, PerLayer


@dataclass(frozen=True, eq=False)
class SchemeInput:
    """Input of a compression scheme.

    Attributes:
        model: Unwrapped network with the parent's weights; schemes do not modify it.
        scheme: Schemes already applied to the parent, in order.
        recipe: Strength of the scheme, and all other hyperparameters.
        per_layer: Values that override the recipe for single layers.
        steps: Total number of training steps.
        per_epoch: Training steps per epoch.
    """

    model: tf_keras.Model
    scheme: tuple[str, ...]
    recipe: Recipe
    per_layer: PerLayer
    steps: int
    per_epoch: int


@dataclass(frozen=True, eq=False)
class FineTuning:
    """Output of a compression scheme: the network to fine-tune, and how to finish it.

    Attributes:
        model: Network to train, before a checkpoint is loaded.
        begun: Log lines that announce the compression.
        callbacks: Callbacks that training must run.
        eligible: Returns whether the target is reached at the end of an epoch (counted from 1), so
            that the epoch may become the best one.
        strip: Converts the trained network to the one to store; None if they are the same.
        reached: Describes the result for the log, given the stored network.
        low_rank: Split layers and their ranks, from which `zoo.runs` rebuilds the network; None if
            no layer was split.
        start: Network to store with the run because its weights determine the structure of
            `model`; None if they do not.
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
    """Returns a copy of the network with the same weights."""
    copy = tf_keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    return copy


def zeros_of(model: tf_keras.Model, layers: list[str]) -> float:
    """Returns the share of zeros in the kernels of the named layers, 0 to 1."""
    values = kernels.values(model)
    return kernels.count({name: values[name] for name in layers}).sparsity
