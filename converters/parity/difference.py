"""Error metrics between arrays of logits or tensors. No TensorFlow."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from zoo.errors import ZooError


@dataclass(frozen=True)
class Difference:
    """Difference between logits and reference logits over a set of images.

    Attributes:
        largest: Maximum absolute difference.
        mean: Mean absolute difference.
        relative: RMS of the difference divided by the RMS of the reference, after subtracting each
            image's mean over the classes from the reference. A constant added to all logits carries
            no information, so it must not make an error look small. 0 means equal; 1 means an
            error as large as the signal.
        sqnr_db: Signal-to-quantization-noise ratio, −20·log10(relative); infinite if equal.
        agreement: Share of images with the same top-1 class (the first one on ties), 0 to 1.
        images: Number of images.
    """

    largest: float
    mean: float
    relative: float
    sqnr_db: float
    agreement: float
    images: int


def compare(reference: np.ndarray, logits: np.ndarray) -> Difference:
    """Compares logits with reference logits.

    Args:
        reference: Finite reference logits, (images, classes).
        logits: Finite logits of the same shape.

    Raises:
        ZooError: if the shapes differ, the arrays are empty or not logits, or values are not
            finite.
    """
    _check("logits", reference, logits)
    if reference.ndim != 2:
        raise ZooError(
            "not an array of logits",
            expected="shape (images, classes)",
            got=f"shape {reference.shape}",
        )
    expected, error = reference.astype(np.float64), _error(reference, logits)
    relative = _ratio(_power(error), _power(expected - expected.mean(axis=1, keepdims=True)))
    return Difference(
        largest=float(np.abs(error).max()),
        mean=float(np.abs(error).mean()),
        relative=relative,
        sqnr_db=_decibels(relative),
        agreement=float(np.mean(reference.argmax(axis=1) == logits.argmax(axis=1))),
        images=len(reference),
    )


def sqnr_db(reference: np.ndarray, values: np.ndarray) -> float:
    """Returns a tensor's SQNR in dB: 10·log10(Σ reference² / Σ difference²).

    Infinite if the arrays are equal, −∞ if only the reference is all zeros, NaN if the values are
    not finite.

    Raises:
        ZooError: if the shapes differ, the arrays are empty, or the reference is not finite.
    """
    if not np.isfinite(values).all() and np.isfinite(reference).all():
        return math.nan
    _check("tensor", reference, values)
    return _decibels(
        _ratio(_power(_error(reference, values)), _power(reference.astype(np.float64)))
    )


def _check(what: str, reference: np.ndarray, values: np.ndarray) -> None:
    if reference.shape != values.shape or reference.size == 0:
        raise ZooError(
            f"shape mismatch between {what} and the reference",
            expected=f"a non-empty array of shape {reference.shape}",
            got=f"shape {values.shape}",
        )
    for owner, array in (("the reference's", reference), ("the file's", values)):
        if not np.isfinite(array).all():
            raise ZooError(
                f"non-finite values in {owner} {what}",
                expected="finite values",
                got=f"{int((~np.isfinite(array)).sum())} of {array.size} are NaN or infinite",
            )


def _error(reference: np.ndarray, values: np.ndarray) -> np.ndarray:
    difference: np.ndarray = values.astype(np.float64) - reference.astype(np.float64)
    return difference


def _power(values: np.ndarray) -> float:
    return float(np.mean(np.square(values)))


def _ratio(error: float, signal: float) -> float:
    """Returns the square root of a power ratio; 0 for a zero error even without signal."""
    if error == 0:
        return 0.0
    return math.sqrt(error / signal) if signal else math.inf


def _decibels(relative: float) -> float:
    if relative == 0:
        return math.inf
    return -math.inf if math.isinf(relative) else -20 * math.log10(relative)
