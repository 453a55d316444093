"""Helpers for training learned shifts: finding, freezing and reporting them."""

from __future__ import annotations

import numpy as np
import tf_keras

from zoo.layers.active_shift import LearnedShift
from zoo.layers.sparse_shift import SparseShift


def shift_variables(model: tf_keras.Model) -> list[tf_keras.backend.Variable]:
    """Returns the learned shifts of `model`, which must not have weight decay."""
    return [layer.shift for layer in model.submodules if isinstance(layer, LearnedShift)]


def sparse_shifts(model: tf_keras.Model) -> list[SparseShift]:
    """Returns the sparse shift layers of `model`, including those in nested models."""
    return [layer for layer in model.submodules if isinstance(layer, SparseShift)]


def unshifted_share(model: tf_keras.Model) -> float | None:
    """Returns the share of channels with a zero shift, 0 to 1; None without sparse shift layers.

    Active shifts are not counted: they are real numbers and practically never exactly zero.
    """
    layers = sparse_shifts(model)
    if not layers:
        return None
    return float(np.mean(np.concatenate([~layer.integer_shifts.any(axis=1) for layer in layers])))


class FreezeShifts(tf_keras.callbacks.Callback):
    """Freezes sparse shifts before a given training step.

    The step is fixed in advance and the frozen state is part of the weights, so a run that was
    killed and resumed freezes exactly as an uninterrupted one. A model that is already frozen, for
    example during fine-tuning, stays frozen.

    Args:
        at_step: First step with frozen shifts, counted from 0 over all epochs.
        per_epoch: Steps per epoch.
    """

    def __init__(self, at_step: int, per_epoch: int):
        super().__init__()
        self._at_step, self._per_epoch = at_step, per_epoch
        self._first, self._frozen = 0, False

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Stores the number of the epoch's first step."""
        self._first = epoch * self._per_epoch

    def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        """Freezes the shifts once the step is reached."""
        if not self._frozen and self._first + batch >= self._at_step:
            for layer in sparse_shifts(self.model):
                layer.freeze()
            self._frozen = True


def callbacks(
    model: tf_keras.Model, epochs: int, per_epoch: int, share: float = 0.5
) -> list[tf_keras.callbacks.Callback]:
    """Returns the callbacks that `fit` needs, an empty list for a model without sparse shifts.

    Args:
        model: Model to train.
        epochs: Epochs of the whole training.
        per_epoch: Steps per epoch.
        share: Share of all steps during which shifts are trained; 1 never freezes them.
    """
    if not sparse_shifts(model) or share >= 1:
        return []
    return [FreezeShifts(int(epochs * per_epoch * share), per_epoch)]


def set_rate(model: tf_keras.Model, multiplier: float) -> None:
    """Sets the learning-rate multiplier of all learned shifts.

    Call it before the model is trained or traced.

    Args:
        model: Model with learned shifts.
        multiplier: Factor for the learning rate.
    """
    for layer in model.submodules:
        if isinstance(layer, LearnedShift):
            layer.learning_rate_multiplier = multiplier
