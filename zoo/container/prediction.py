"""Shape of a weight tensor, and linear prediction of each weight from weights coded earlier.

Neighboring weights of a kernel are correlated. The encoder fits the coefficients and stores them in
the container.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

COEFFICIENT_ONE = 32
COEFFICIENT_LIMIT = 127
MAX_POSITIONS = 64  # per kernel; larger kernels are treated as 1×1
_OWN_PREDICTOR = 9  # kernels up to this size have separate coefficients per position
_PREDICTING = (
    (0, 1), (1, 0), (1, 1), (1, -1), (0, 2), (2, 0),
    (2, 1), (2, -1), (1, 2), (1, -2), (2, 2), (2, -2),
)  # fmt: skip

NeighborWeight = tuple[int, int]  # (earlier position, index of its coefficient)


@dataclass(frozen=True)
class TensorShape:
    """Shape in which a tensor's weights are coded; height and width are the kernel's."""

    filters: int
    height: int
    width: int
    channels: int

    @property
    def positions(self) -> int:
        """Positions per kernel: height × width."""
        return self.height * self.width

    @property
    def count(self) -> int:
        """Number of weights."""
        return self.filters * self.positions * self.channels


@cache
def predictor(shape: TensorShape) -> tuple[tuple[tuple[tuple[NeighborWeight, ...], int], ...], int]:
    """Returns the sources from which each kernel position is predicted.

    Returns:
        Two values: for each position, the earlier positions with their coefficients' indices and
        the index of the coefficient of the mean over earlier filters; and the number of
        coefficients.
    """
    predictors: list[tuple[tuple[NeighborWeight, ...], int]] = []
    if shape.positions <= _OWN_PREDICTOR:
        number = 0
        for position in range(shape.positions):
            sources = tuple((before, number + before) for before in range(position))
            predictors.append((sources, number + position))
            number += position + 1
        return tuple(predictors), number
    for position in range(shape.positions):
        y, x = divmod(position, shape.width)
        sources = tuple(
            ((y - up) * shape.width + x - left, number)
            for number, (up, left) in enumerate(_PREDICTING)
            if y >= up and 0 <= x - left < shape.width
        )
        predictors.append((sources, len(_PREDICTING)))
    return tuple(predictors), len(_PREDICTING) + 1


def fitted(shape: TensorShape, values: np.ndarray) -> list[int]:
    """Fits the coefficients of the shape's `predictor` by ridge regression.

    Args:
        shape: Shape of the tensor.
        values: Weights as integers, int32 (filters, positions, channels).

    Returns:
        Coefficients in units of 1 / COEFFICIENT_ONE, within ±COEFFICIENT_LIMIT.
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
    ridge = 20 * float((data**2).mean()) + 1e-9  # for nearly constant weights and small tensors
    solved = np.linalg.solve(left + ridge * np.eye(n), right)
    rounded = np.rint(solved * COEFFICIENT_ONE)
    return [int(c) for c in np.clip(rounded, -COEFFICIENT_LIMIT, COEFFICIENT_LIMIT)]
