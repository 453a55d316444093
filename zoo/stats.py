"""Intervals of accuracies, and entropy."""

from __future__ import annotations

import math

import numpy as np

_Z = 1.959964  # of 95 %, two sides


def wilson(share: float, count: int) -> tuple[float, float]:
    """The 95 % interval of a share of `count` pictures (Wilson 1927), 0 to 1."""
    scale = 1 + _Z * _Z / count
    center = (share + _Z * _Z / (2 * count)) / scale
    half = _Z * math.sqrt(share * (1 - share) / count + _Z * _Z / (4 * count * count)) / scale
    return max(0.0, center - half), min(1.0, center + half)


def paired(right: np.ndarray, reference: np.ndarray) -> tuple[float, float, float]:
    """What `right` is above `reference`, both on the same pictures, and its 95 % interval.

    Most pictures are right, or wrong, with both networks and say nothing of the difference, so
    that the interval is far narrower than that of two accuracies (Bonett and Price 2012,
    "Adjusted Wald confidence interval for a difference of binomial proportions based on paired
    data").

    Args:
        right: (n,) of bool, one a picture, or the share of its crops, 0 to 1.
        reference: likewise.

    Returns:
        Difference of the shares, and the interval's ends, -1 to 1.
    """
    count = len(right)
    difference = right.astype(np.float64) - reference.astype(np.float64)
    # One picture more is gained and one more lost: equal networks are not proven equal.
    mean = float(difference.sum()) / (count + 2)
    square = (float((difference**2).sum()) + 2) / (count + 2)
    half = _Z * math.sqrt((square - mean**2) / (count + 2))
    return float(difference.mean()), max(-1.0, mean - half), min(1.0, mean + half)


def entropy_bits(codes: np.ndarray) -> float:
    """Bits that an ideal order-0 coder needs which knows the codes' histogram."""
    counts = np.unique(codes, return_counts=True)[1]
    return float(-(counts * np.log2(counts / counts.sum())).sum())
