"""Stochastic gradient descent and the learning-rate schedules of all training runs."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import tensorflow as tf
import tf_keras

from zoo.errors import UnknownNameError, ZooError
from zoo.training import shift_callbacks

DECAYS = ("cosine", "linear", "steps", "exponential")


class WarmupDecay(tf_keras.optimizers.schedules.LearningRateSchedule):
    """Learning rate with linear warmup to `peak` and a decay afterwards.

    Args:
        peak: Highest learning rate.
        steps: Steps of the whole training.
        per_epoch: Steps per epoch.
        warmup: Share of all steps during which the rate rises, 0 to 1.
        decay: `cosine` or `linear` falls to zero at the end; `steps` multiplies the rate by
            `factor` at each of the shares `at`; `exponential` multiplies it after each epoch.
        at: Shares of all steps, ascending, 0 to 1. Only for `steps`.
        factor: Factor for `steps` and `exponential`.

    Raises:
        UnknownNameError: if `decay` is not in `DECAYS`.
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
        """Returns the learning rate at `step`, counted from 0."""
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
        """Returns the constructor's arguments."""
        names = ("peak", "steps", "per_epoch", "warmup", "decay", "at", "factor")
        return {name: getattr(self, name) for name in names}


def shares(text: str) -> tuple[float, ...]:
    """Parses `--decay_at`, a comma-separated list of shares of all training steps.

    Raises:
        ZooError: if the text is not a list of ascending numbers between 0 and 1.
    """
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        values = ()
    if not values or not all(0 < value < 1 for value in values) or list(values) != sorted(values):
        raise ZooError(
            "invalid list of shares",
            where="--decay_at",
            expected="ascending numbers between 0 and 1, for example 0.5,0.75",
            got=text,
        )
    return values


class Sgd(tf_keras.optimizers.SGD):
    """SGD with optional coupled weight decay (L2 regularization), as in Caffe and PyTorch.

    tf_keras subtracts the decay from the weights directly, bypassing the momentum. Coupled decay
    passes through the momentum, so with a momentum of 0.9 the same value has ten times the effect.

    Args:
        coupled_decay: Multiple of each weight that is added to its gradient. Variables excluded
            from weight decay are not affected.
        **kwargs: Arguments of tf_keras' SGD.
    """

    def __init__(self, *args: Any, coupled_decay: float = 0.0, **kwargs: Any):
        super().__init__(*args, **kwargs)
        # A tensor while the average is updated, see `_update_model_variables_moving_average`.
        self.ema_momentum: float | tf.Tensor
        self._coupled = coupled_decay
        self._statistics: list[tuple[tf.Variable, tf.Variable]] = []  # variable and its average

    def average_statistics(self, variables: Iterable[tf.Variable]) -> None:
        """Also keeps averages of these variables, such as the statistics of batch normalization.

        The statistics of the averaged weights are closer to their average than to those of the
        last weights. Call it after `build`.
        """
        for variable in variables:
            average = self.add_variable_from_reference(
                variable, "average", initial_value=tf.convert_to_tensor(variable)
            )
            self._statistics.append((variable, average))

    def update_step(self, gradient: tf.Tensor, variable: tf.Variable) -> None:
        """Adds the coupled weight decay to the gradient and updates the variable."""
        if self._coupled and self._use_weight_decay(variable):
            gradient = gradient + self._coupled * variable
        super().update_step(gradient, variable)

    def finalize_variable_values(self, var_list: Sequence[tf.Variable]) -> None:
        """Does nothing.

        Keras' `fit` calls this at its end to replace the weights with their averages. Here every
        epoch is a separate `fit`, and the next one has to start from the trained weights.
        """

    def take_averages(self, var_list: Sequence[tf.Variable]) -> None:
        """Replaces the variables, and those of `average_statistics`, with their moving averages."""
        super().finalize_variable_values(var_list)
        for variable, average in self._statistics:
            variable.assign(tf.convert_to_tensor(average))

    @property
    def averaged_statistics(self) -> list[tf.Variable]:
        """Variables given to `average_statistics`."""
        return [variable for variable, _ in self._statistics]

    def _update_model_variables_moving_average(self, var_list: Sequence[tf.Variable]) -> None:
        """Averages over fewer steps at first, so that the initial random weights fade quickly."""
        momentum, steps = self.ema_momentum, tf.cast(self.iterations, tf.float32)
        self.ema_momentum = tf.minimum(momentum, (1 + steps) / (10 + steps))
        try:
            super()._update_model_variables_moving_average(var_list)
            for variable, average in self._statistics:
                self._distribution_strategy.extended.update(
                    average, self._move_average, args=(tf.convert_to_tensor(variable),), group=False
                )
        finally:
            self.ema_momentum = momentum

    def _move_average(self, average: tf.Variable, value: tf.Tensor) -> None:
        average.assign(self.ema_momentum * average + (1 - self.ema_momentum) * value)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments in addition to those of SGD."""
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
    """Creates the optimizer for a model, with all optimizer variables built.

    Weight decay applies to kernels, not to biases, batch-normalization parameters or shifts.

    Args:
        model: Network to train.
        rate: Learning-rate schedule.
        momentum: Momentum, 0 to 1.
        nesterov: Whether to use Nesterov momentum.
        weight_decay: Weight decay per step, multiplied by the learning rate.
        coupled_decay: Whether the weight decay is added to the gradients.
        ema: Decay per step of the moving average of the weights; 0 for no average.
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
    if optimizer.use_ema:
        optimizer.average_statistics(_statistics(model))
    return optimizer


def _statistics(model: tf_keras.Model) -> Iterator[tf.Variable]:
    for layer in model.submodules:
        if isinstance(layer, tf_keras.layers.BatchNormalization):
            yield from (layer.moving_mean, layer.moving_variance)


@contextlib.contextmanager
def averaged(model: tf_keras.Model, optimizer: Sgd) -> Iterator[None]:
    """Context manager in which weights and statistics are their averages, if there are any."""
    if not optimizer.use_ema:
        yield
        return
    variables = [*model.trainable_variables, *optimizer.averaged_statistics]
    values = [tf.convert_to_tensor(variable).numpy() for variable in variables]
    optimizer.take_averages(model.trainable_variables)
    try:
        yield
    finally:
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
