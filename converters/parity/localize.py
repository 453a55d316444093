"""Localization of the layer where a `.tflite` diverges from its reference. No TensorFlow."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from converters.parity.graph import ComputedTensor, label

JUMP_DB = 10.0
FLOOR_DB = 10.0


@dataclass(frozen=True)
class LayerError:
    """Error of a tensor relative to the reference.

    Attributes:
        layer: Names of the Keras layers that compute it, for display.
        tensor: Name in the file.
        operator: Operator that computes it.
        sqnr_db: Signal-to-quantization-noise ratio in dB; infinite if equal, NaN if the values
            are not finite.
        before_db: Lowest SQNR of its inputs in dB, each taken from the nearest comparable
            tensors; infinite at the graph's input.
        jump: Whether the error begins here, see `layer_errors`.
    """

    layer: str
    tensor: str
    operator: str
    sqnr_db: float
    before_db: float
    jump: bool


def layer_errors(
    graph: Sequence[ComputedTensor], sqnr_db: Mapping[str, float], ceiling_db: float
) -> list[LayerError]:
    """Returns the error of each comparable tensor, in execution order.

    The error jumps at a tensor if its SQNR is more than 10 dB below the lowest SQNR of its inputs,
    if it falls below 10 dB (an error of a third of the signal) while all inputs are above that, or
    if it is NaN.

    A jump that has vanished at every following tensor is not an error: the tensor means something
    different in the two files, for example when a layer was lowered to several operators and the
    first one carries its name. Such tensors are left out.

    Args:
        graph: Computed tensors of the file.
        sqnr_db: SQNR in dB by tensor name, without tensors that could not be compared.
        ceiling_db: SQNR in dB that a correct layer of this precision reaches from exact inputs.
            Inputs are capped at this value, because the first rounding always loses more than
            10 dB relative to an infinite SQNR.
    """
    following = _following(graph, sqnr_db)
    vanished = {
        error.tensor
        for error in _errors(graph, sqnr_db, ceiling_db)
        if error.jump
        and following[error.tensor] >= max(min(error.before_db, ceiling_db) - JUMP_DB, FLOOR_DB)
    }
    comparable = {name: value for name, value in sqnr_db.items() if name not in vanished}
    return _errors(graph, comparable, ceiling_db)


def _errors(
    graph: Sequence[ComputedTensor], sqnr_db: Mapping[str, float], ceiling_db: float
) -> list[LayerError]:
    worst: dict[str, float] = {}
    errors = []
    for step in graph:
        before = min((worst.get(name, math.inf) for name in step.inputs), default=math.inf)
        sqnr = sqnr_db.get(step.name)
        if sqnr is None:
            worst[step.name] = before
            continue
        usable = min(before, ceiling_db)
        first_nan = math.isnan(sqnr) and before > -math.inf
        jump = first_nan or sqnr < usable - JUMP_DB or sqnr < FLOOR_DB <= usable
        errors.append(LayerError(label(step.name), step.name, step.operator, sqnr, before, jump))
        worst[step.name] = -math.inf if math.isnan(sqnr) else sqnr
    return errors


def _following(graph: Sequence[ComputedTensor], sqnr_db: Mapping[str, float]) -> dict[str, float]:
    """Returns the lowest SQNR of the next comparable tensors per tensor; −∞ at the end."""
    users: dict[str, list[ComputedTensor]] = {step.name: [] for step in graph}
    for step in graph:
        for name in step.inputs:
            users.setdefault(name, []).append(step)
    worst: dict[str, float] = {}
    for step in reversed(graph):
        values = [sqnr_db.get(user.name, worst[user.name]) for user in users[step.name]]
        unusable = not values or any(math.isnan(value) for value in values)
        worst[step.name] = -math.inf if unusable else min(values)
    return worst


def first_jump(errors: Sequence[LayerError]) -> LayerError | None:
    """Returns the first layer whose error jumps, in execution order; None if there is none."""
    return next((error for error in errors if error.jump), None)
