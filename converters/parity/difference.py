"""How far apart two sets of numbers are. Arrays in, numbers out; no TensorFlow."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from zoo.errors import ZooError


@dataclass(frozen=True)
class Difference:
    """Logits against reference logits, over some images.

    Attributes:
        largest: the largest absolute difference.
        mean: the mean absolute difference.
        relative: root mean square of the difference, by that of the reference after each image's
            mean over the classes is taken off it: a constant in all logits says nothing, so it must
            not make an error look small. 0 is equal, 1 an error as large as what the logits say.
        sqnr_db: signal to quantization noise, -20·log10(relative); infinite where equal.
        agreement: share of images with the same largest logit (the first of equal ones), 0 to 1.
        images: how many.
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
        reference: (images, classes), finite.
        logits: likewise.

    Raises:
        ZooError: other shapes, nothing to compare, or numbers that are not finite.
    """
    _check("logits", reference, logits)
    if reference.ndim != 2:
        raise ZooError("not logits", expected="(images, classes)", got=f"shape {reference.shape}")
    wanted, error = reference.astype(np.float64), _error(reference, logits)
    relative = _ratio(_power(error), _power(wanted - wanted.mean(axis=1, keepdims=True)))
    return Difference(
        largest=float(np.abs(error).max()),
        mean=float(np.abs(error).mean()),
        relative=relative,
        sqnr_db=_decibels(relative),
        agreement=float(np.mean(reference.argmax(axis=1) == logits.argmax(axis=1))),
        images=len(reference),
    )


def sqnr_db(reference: np.ndarray, values: np.ndarray) -> float:
    """Signal to quantization noise of a tensor in dB: 10·log10(Σ reference² / Σ difference²).

    Infinite where equal, minus infinite where zeros should have been, NaN where the values are not
    finite.

    Raises:
        ZooError: other shapes, nothing to compare, or a reference that is not finite.
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
            f"{what} of another shape",
            expected=f"{reference.shape}, not empty",
            got=f"{values.shape}",
        )
    for whose, array in (("the reference's", reference), ("the file's", values)):
        if not np.isfinite(array).all():
            raise ZooError(
                f"{whose} {what} are not finite",
                expected="finite numbers",
                got=f"{int((~np.isfinite(array)).sum())} of {array.size} are not",
            )


def _error(reference: np.ndarray, values: np.ndarray) -> np.ndarray:
    difference: np.ndarray = values.astype(np.float64) - reference.astype(np.float64)
    return difference


def _power(values: np.ndarray) -> float:
    return float(np.mean(np.square(values)))


def _ratio(error: float, signal: float) -> float:
    """Square root of a ratio of powers; no error is 0 even of no signal."""
    if error == 0:
        return 0.0
    return math.sqrt(error / signal) if signal else math.inf


def _decibels(relative: float) -> float:
    if relative == 0:
        return math.inf
    return -math.inf if math.isinf(relative) else -20 * math.log10(relative)
