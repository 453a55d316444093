"""How far what an engine computes departs from what LiteRT's XNNPACK does. No TensorFlow."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np

from converters.parity.difference import sqnr_db
from converters.tflite import model
from zoo.schema.measurement import Placement

# Signal-to-noise ratio in dB below which values depart, by what the engine computes in. The same
# arithmetic in another order leaves 100 dB and more in float32; float16 leaves about 60 dB per
# operator; in integers, each rounding differs by a step of 256 at most, and roundings add up.
DEPARTS_DB = {"float32": 70.0, "float16": 25.0, "integers": 15.0}
_WITH_WEIGHTS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


def kind(placement: Placement, graph: model.Graph) -> str:
    """Returns what the values may be compared as, a key of `DEPARTS_DB`.

    Kernels with integer weights quantize floating-point inputs on the fly, each engine in its own
    way or not at all, so that they count as integers, too.
    """
    computed = (tensor for op in graph.operators for tensor in graph.output_tensors(op))
    weights = (
        tensor
        for op in graph.operators
        if op.name in _WITH_WEIGHTS and (tensor := graph.input(op, 1)) is not None
    )
    for tensor in itertools.chain(computed, weights):
        if tensor.quantization and tensor.type.startswith(("INT", "UINT")):
            return "integers"
    return "float32" if placement.accelerator is None else placement.accelerator.computes_in


def departs(db: float, kind: str) -> bool:
    """Whether a signal-to-noise ratio in dB is too low; NaN is."""
    return not db >= DEPARTS_DB[kind]


def rank(db: float) -> float:
    """Returns the ratio in dB such that the least is the worst, NaN included."""
    return -math.inf if math.isnan(db) else db


def sqnr(reference: np.ndarray, values: np.ndarray) -> float:
    """Returns the signal-to-noise ratio in dB.

    Integers without a scale are equal (∞) or not (−∞). If the reference has values that are not
    finite, the same ones give ∞, others NaN.
    """
    if reference.dtype.kind not in "f":
        same = float(np.mean(reference == values))
        return math.inf if same == 1 else -math.inf
    if not np.isfinite(reference).all():
        return math.inf if np.array_equal(reference, values, equal_nan=True) else math.nan
    return sqnr_db(reference, values)


def worst_db(expected: Sequence[np.ndarray], found: Sequence[np.ndarray]) -> float:
    """Returns the lowest signal-to-noise ratio of several outputs in dB.

    ∞ if all are equal; −∞ for integers that differ or a signal of zeros; NaN for values that are
    not finite where they should be.
    """
    return min((sqnr(a, b) for a, b in zip(expected, found, strict=True)), key=rank)


def largest(reference: np.ndarray, values: np.ndarray) -> float:
    """Returns the largest absolute difference; of booleans 1 if any differs."""
    if reference.dtype.kind == "b":
        return float((reference != values).any())
    return float(np.abs(values.astype(np.float64) - reference.astype(np.float64)).max())


def top_classes(values: np.ndarray) -> np.ndarray:
    """Returns for each inference the index of its largest value, the first one on ties."""
    classes: np.ndarray = values.reshape(len(values), -1).argmax(axis=1)
    return classes
