"""Confidence intervals of accuracies, and entropy."""

from __future__ import annotations

import math

import numpy as np

_Z = 1.959964  # normal quantile of a two-sided 95 % interval


def wilson(share: float, count: int) -> tuple[float, float]:
    """Returns the 95 % confidence interval of a proportion (Wilson 1927).

    Args:
        share: Observed proportion, 0 to 1.
        count: Number of images.

    Returns:
        Lower and upper bound, 0 to 1.
    """
    scale = 1 + _Z * _Z / count
    center = (share + _Z * _Z / (2 * count)) / scale
    half = _Z * math.sqrt(share * (1 - share) / count + _Z * _Z / (4 * count * count)) / scale
    return max(0.0, center - half), min(1.0, center + half)


def paired(right: np.ndarray, reference: np.ndarray) -> tuple[float, float, float]:
    """Returns the accuracy difference of two networks on the same images, with a 95 % interval.

    Images that both networks classify correctly, or both wrongly, don't contribute to the
    difference, so the interval is far narrower than those of the two accuracies (Bonett and Price
    2012, "Adjusted Wald confidence interval for a difference of binomial proportions based on
    paired data").

    Args:
        right: Whether the network classified each image correctly, bool (n,), or the share of the
            image's crops that it classified correctly, 0 to 1.
        reference: The same for the network that it is compared with.

    Returns:
        Difference `right` minus `reference`, and the bounds of its interval, -1 to 1.
    """
    count = len(right)
    difference = right.astype(np.float64) - reference.astype(np.float64)
    # The adjustment adds one gained and one lost image: equal networks are not proven equal.
    mean = float(difference.sum()) / (count + 2)
    square = (float((difference**2).sum()) + 2) / (count + 2)
    half = _Z * math.sqrt((square - mean**2) / (count + 2))
    return float(difference.mean()), max(-1.0, mean - half), min(1.0, mean + half)


def entropy_bits(codes: np.ndarray) -> float:
    """Returns the total bits an ideal order-0 coder needs when it knows the codes' histogram."""
    counts = np.unique(codes, return_counts=True)[1]
    return float(-(counts * np.log2(counts / counts.sum())).sum())
