"""What training learned shifts needs: no weight decay, an end of their learning, a report."""

from __future__ import annotations

import numpy as np
import tf_keras

from zoo.layers.active_shift import LearnedShift
from zoo.layers.sparse_shift import SparseShift


def shift_variables(model: tf_keras.Model) -> list[tf_keras.backend.Variable]:
    """The shifts that `model` learns; weight decay must leave them alone."""
    return [layer.shift for layer in model.submodules if isinstance(layer, LearnedShift)]


def sparse_shifts(model: tf_keras.Model) -> list[SparseShift]:
    """The sparse shift layers of `model`, wherever they are nested."""
    return [layer for layer in model.submodules if isinstance(layer, SparseShift)]


def unshifted_share(model: tf_keras.Model) -> float | None:
    """Share of channels that no sparse shift moves, 0 to 1; None where there are no such layers.

    Active shifts are not counted: theirs are real numbers, of which none is exactly zero.
    """
    found = sparse_shifts(model)
    if not found:
        return None
    return float(np.mean(np.concatenate([~layer.integer_shifts.any(axis=1) for layer in found])))


class FreezeShifts(tf_keras.callbacks.Callback):
    """Ends the learning of sparse shifts before a training step, by default half-way.

    When depends on the step's number alone and what was frozen is in the weights, so that a run
    which was killed and resumed freezes exactly as an unbroken one. A model that is frozen already,
    one that is fine-tuned say, stays so.

    Args:
        at_step: the first step, from 0 over all epochs, that no longer learns shifts.
        per_epoch: steps an epoch.
    """

    def __init__(self, at_step: int, per_epoch: int):
        super().__init__()
        self._at_step, self._per_epoch = at_step, per_epoch
        self._first, self._frozen = 0, False

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Notes the number of the epoch's first step."""
        self._first = epoch * self._per_epoch

    def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        """Freezes once the step is reached."""
        if not self._frozen and self._first + batch >= self._at_step:
            for layer in sparse_shifts(self.model):
                layer.freeze()
            self._frozen = True


def callbacks(
    model: tf_keras.Model, epochs: int, per_epoch: int, share: float = 0.5
) -> list[tf_keras.callbacks.Callback]:
    """What `fit` must call while `model` trains: nothing where it has no sparse shifts.

    Args:
        model: to be trained.
        epochs: of the whole training.
        per_epoch: steps an epoch.
        share: of all steps, during which shifts are learned.
    """
    if not sparse_shifts(model) or share >= 1:
        return []
    return [FreezeShifts(int(epochs * per_epoch * share), per_epoch)]


def set_rate(model: tf_keras.Model, multiplier: float) -> None:
    """Sets what the learning rate of all learned shifts is multiplied by.

    Call it before the model is trained or traced.
    """
    for layer in model.submodules:
        if isinstance(layer, LearnedShift):
            layer.learning_rate_multiplier = multiplier
