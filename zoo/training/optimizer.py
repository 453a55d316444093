"""The solver of every training: stochastic gradient descent, and how its rate falls."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from typing import Any

import tensorflow as tf
import tf_keras

from zoo.errors import UnknownNameError, ZooError
from zoo.training import shift_callbacks

DECAYS = ("cosine", "linear", "steps", "exponential")


class WarmupDecay(tf_keras.optimizers.schedules.LearningRateSchedule):
    """Rises linearly to `peak` over the first `warmup` share of the steps, then falls.

    Args:
        peak: the highest rate.
        steps: of the whole training.
        per_epoch: how many of them are an epoch.
        warmup: share of the steps.
        decay: of `DECAYS`: half a cosine or a line to zero at the end; or `factor` at each of the
            shares `at`; or `factor` after each epoch.
        at, factor: see there.
    """

    def __init__(
        self,
        peak: float,
        steps: int,
        per_epoch: int,
        warmup: float = 0.0,
        decay: str = "cosine",
        at: Sequence[float] = (),
        factor: float = 0.1,
    ):
        if decay not in DECAYS:
            raise UnknownNameError("--decay", decay, DECAYS)
        self.peak, self.steps, self.per_epoch = peak, steps, per_epoch
        self.warmup, self.decay, self.at, self.factor = warmup, decay, tuple(at), factor

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """The rate at `step`, counted from 0."""
        step = tf.cast(step, tf.float32)
        done = (step + 1.0) / self.steps
        left = 1 - (done - self.warmup) / max(1 - self.warmup, 1e-9)
        if self.decay == "cosine":
            share = 0.5 * (1 - tf.cos(math.pi * left))
        elif self.decay == "linear":
            share = left
        elif self.decay == "steps":
            passed = tf.add_n([tf.cast(step >= self.steps * at, tf.float32) for at in self.at])
            share = self.factor**passed
        else:
            share = self.factor ** tf.floor(step / self.per_epoch)
        rise = done / max(self.warmup, 1e-9)
        return self.peak * tf.where(done < self.warmup, rise, share)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        names = ("peak", "steps", "per_epoch", "warmup", "decay", "at", "factor")
        return {name: getattr(self, name) for name in names}


def shares(text: str) -> tuple[float, ...]:
    """The shares of `--decay_at`.

    Raises:
        ZooError: no such list.
    """
    try:
        found = tuple(float(part) for part in text.split(","))
    except ValueError:
        found = ()
    if not found or not all(0 < share < 1 for share in found) or list(found) != sorted(found):
        raise ZooError(
            "no list of shares of the training",
            where="--decay_at",
            expected="rising numbers between 0 and 1, as 0.5,0.75",
            got=text,
        )
    return found


class Sgd(tf_keras.optimizers.SGD):
    """SGD whose decay can be a part of the gradient, as in Caffe and in PyTorch.

    tf_keras takes the decay off the weights beside the momentum; through a momentum of 0.9 the same
    figure is ten times as strong in the end.

    Args:
        coupled_decay: what times a weight is added to its gradient; weights that are excluded from
            weight decay are left out.
        **kwargs: of tf_keras' SGD.
    """

    def __init__(self, *args: Any, coupled_decay: float = 0.0, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.ema_momentum: float | tf.Tensor  # which changes as it is used, see below
        self._coupled = coupled_decay

    def update_step(self, gradient: tf.Tensor, variable: tf.Variable) -> None:
        """As SGD's."""
        if self._coupled and self._use_weight_decay(variable):
            gradient = gradient + self._coupled * variable
        super().update_step(gradient, variable)

    def finalize_variable_values(self, var_list: Sequence[tf.Variable]) -> None:
        """Nothing: `fit` calls it, and here an epoch is a `fit` after which training goes on."""

    def take_averages(self, var_list: Sequence[tf.Variable]) -> None:
        """Gives the variables their moving averages."""
        super().finalize_variable_values(var_list)

    def _update_model_variables_moving_average(self, var_list: Sequence[tf.Variable]) -> None:
        """A short average at first, so that the random weights of the beginning are soon gone."""
        most, steps = self.ema_momentum, tf.cast(self.iterations, tf.float32)
        self.ema_momentum = tf.minimum(most, (1 + steps) / (10 + steps))
        try:
            super()._update_model_variables_moving_average(var_list)
        finally:
            self.ema_momentum = most

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "coupled_decay": self._coupled}


def sgd(
    model: tf_keras.Model,
    rate: WarmupDecay,
    *,
    momentum: float = 0.9,
    nesterov: bool = True,
    weight_decay: float = 0.0,
    coupled_decay: bool = False,
    ema: float = 0.0,
) -> Sgd:
    """The solver for a model, with all its variables made.

    Kernels decay; biases, scales, offsets and shifts do not. Fields as of
    `zoo.schema.recipe.Recipe`.
    """
    optimizer = Sgd(
        rate,
        momentum=momentum,
        nesterov=nesterov,
        weight_decay=None if coupled_decay else weight_decay or None,
        coupled_decay=weight_decay if coupled_decay else 0.0,
        use_ema=ema > 0,
        ema_momentum=ema or 0.99,
        jit_compile=False,
    )
    optimizer.exclude_from_weight_decay(
        var_list=[v for v in model.trainable_variables if v.shape.rank < 2]
        + shift_callbacks.shift_variables(model)
    )
    optimizer.build(model.trainable_variables)
    return optimizer


@contextlib.contextmanager
def averaged(model: tf_keras.Model, optimizer: Sgd) -> Iterator[None]:
    """Within, the model has the moving average of its weights, if one is kept.

    Statistics of batch normalization are averages already, and stay.
    """
    if not optimizer.use_ema:
        yield
        return
    kept = [variable.numpy() for variable in model.trainable_variables]
    optimizer.take_averages(model.trainable_variables)
    try:
        yield
    finally:
        for variable, value in zip(model.trainable_variables, kept, strict=True):
            variable.assign(value)
