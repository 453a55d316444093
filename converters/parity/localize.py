"""Which layer parts a `.tflite` from its reference. Numbers in, a verdict out; no TensorFlow."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from converters.parity.graph import ComputedTensor, label

JUMP_DB = 10.0
FLOOR_DB = 10.0


@dataclass(frozen=True)
class LayerError:
    """One tensor against the reference's.

    Attributes:
        layer: the Keras layers that it is computed by.
        tensor: its name in the file.
        operator: which computes it.
        sqnr_db: signal to quantization noise; infinite where equal, NaN where not finite.
        before_db: the worst of its inputs', each taken from the nearest tensors that could be
            compared; infinite at the graph's input.
        jump: whether the error begins here, see `layer_errors`.
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
    """The error of each tensor that could be compared, in execution order.

    It jumps at a tensor where its SQNR is more than 10 dB below the worst of its inputs', or below
    10 dB (an error of a third of the signal) while all its inputs are above, or not a number.

    A jump that is gone at every next tensor is none, and its tensor is left out: it does not mean
    the same in both files, as where a layer was lowered to several and the first has its name.

    Args:
        graph: the file's computed tensors.
        sqnr_db: by tensor name; tensors that could not be compared are missing.
        ceiling_db: what a sound layer of this precision reaches from perfect inputs: an input
            counts as no better, since the first rounding always costs more than 10 dB of infinity.
    """
    behind = _behind(graph, sqnr_db)
    gone = {
        error.tensor
        for error in _errors(graph, sqnr_db, ceiling_db)
        if error.jump
        and behind[error.tensor] >= max(min(error.before_db, ceiling_db) - JUMP_DB, FLOOR_DB)
    }
    comparable = {name: value for name, value in sqnr_db.items() if name not in gone}
    return _errors(graph, comparable, ceiling_db)


def _errors(
    graph: Sequence[ComputedTensor], sqnr_db: Mapping[str, float], ceiling_db: float
) -> list[LayerError]:
    worst: dict[str, float] = {}
    found = []
    for step in graph:
        before = min((worst.get(name, math.inf) for name in step.inputs), default=math.inf)
        own = sqnr_db.get(step.name)
        if own is None:
            worst[step.name] = before
            continue
        usable = min(before, ceiling_db)
        lost = math.isnan(own) and before > -math.inf
        jump = lost or own < usable - JUMP_DB or own < FLOOR_DB <= usable
        found.append(LayerError(label(step.name), step.name, step.operator, own, before, jump))
        worst[step.name] = -math.inf if math.isnan(own) else own
    return found


def _behind(graph: Sequence[ComputedTensor], sqnr_db: Mapping[str, float]) -> dict[str, float]:
    """For each tensor the worst of the next ones that could be compared; -∞ where it ends."""
    users: dict[str, list[ComputedTensor]] = {step.name: [] for step in graph}
    for step in graph:
        for name in step.inputs:
            users.setdefault(name, []).append(step)
    worst: dict[str, float] = {}
    for step in reversed(graph):
        values = [sqnr_db.get(user.name, worst[user.name]) for user in users[step.name]]
        bad = not values or any(math.isnan(value) for value in values)
        worst[step.name] = -math.inf if bad else min(values)
    return worst


def first_jump(errors: Sequence[LayerError]) -> LayerError | None:
    """The layer where the error begins, in execution order; None where it nowhere jumps."""
    return next((error for error in errors if error.jump), None)
