"""What coded weights cost at least."""

from __future__ import annotations

import numpy as np


def entropy_bits(codes: np.ndarray) -> float:
    """Bits that an ideal order-0 coder needs which knows the codes' histogram."""
    counts = np.unique(codes, return_counts=True)[1]
    return float(-(counts * np.log2(counts / counts.sum())).sum())
