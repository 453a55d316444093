"""The shape of weights, and their linear prediction from those that come before.

Neighboring weights of a kernel resemble each other. The encoder fits the coefficients and sends
them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

COEFFICIENT_ONE = 32
COEFFICIENT_LIMIT = 127
MAX_POSITIONS = 64  # of a kernel; larger ones are seen as 1×1
_OWN_PREDICTOR = 9  # kernels up to this many positions have coefficients for each of them
_PREDICTING = (
    (0, 1), (1, 0), (1, 1), (1, -1), (0, 2), (2, 0),
    (2, 1), (2, -1), (1, 2), (1, -2), (2, 2), (2, -2),
)  # fmt: skip

NeighborWeight = tuple[int, int]  # an earlier position, and which coefficient it has


@dataclass(frozen=True)
class TensorShape:
    """How a tensor's weights are seen; `positions` is the kernel's height × width."""

    filters: int
    height: int
    width: int
    channels: int

    @property
    def positions(self) -> int:
        """Positions in a kernel."""
        return self.height * self.width

    @property
    def count(self) -> int:
        """Weights."""
        return self.filters * self.positions * self.channels


@cache
def predictor(shape: TensorShape) -> tuple[tuple[tuple[tuple[NeighborWeight, ...], int], ...], int]:
    """What each position is predicted from.

    Returns:
        for each position the earlier positions and, last, the coefficient of the mean over the
        filters before; and how many coefficients there are.
    """
    found: list[tuple[tuple[NeighborWeight, ...], int]] = []
    if shape.positions <= _OWN_PREDICTOR:
        number = 0
        for position in range(shape.positions):
            sources = tuple((before, number + before) for before in range(position))
            found.append((sources, number + position))
            number += position + 1
        return tuple(found), number
    for position in range(shape.positions):
        y, x = divmod(position, shape.width)
        sources = tuple(
            ((y - up) * shape.width + x - left, number)
            for number, (up, left) in enumerate(_PREDICTING)
            if y >= up and 0 <= x - left < shape.width
        )
        found.append((sources, len(_PREDICTING)))
    return tuple(found), len(_PREDICTING) + 1


def fitted(shape: TensorShape, values: np.ndarray) -> list[int]:
    """The coefficients of the shape's `predictor` that fit best, by least squares.

    Args:
        shape: of the tensor.
        values: int32 (filters, positions, channels).
    """
    sources, n = predictor(shape)
    left, right = np.zeros((n, n)), np.zeros(n)
    data = values.astype(np.float64)
    earlier = np.maximum(np.arange(shape.filters), 4)[:, None]
    for position, (places, of_mean) in enumerate(sources):
        target = data[:, position]
        mean = (np.cumsum(target, 0) - target) / earlier
        inputs = np.stack([*(data[:, p].ravel() for p, _ in places), mean.ravel()])
        numbers = [*(number for _, number in places), of_mean]
        left[np.ix_(numbers, numbers)] += inputs @ inputs.T
        right[numbers] += inputs @ target.ravel()
    ridge = 20 * float((data**2).mean()) + 1e-9  # for what hardly varies, and for small tensors
    solved = np.linalg.solve(left + ridge * np.eye(n), right)
    rounded = np.rint(solved * COEFFICIENT_ONE)
    return [int(c) for c in np.clip(rounded, -COEFFICIENT_LIMIT, COEFFICIENT_LIMIT)]
