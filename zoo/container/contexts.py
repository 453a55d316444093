"""Contexts of a weight's decisions, computed from sums over the weights decoded so far.

Scales are mean magnitudes relative to the tensor's mean, in quarter octaves: over the same filter,
the same input channel, that channel at the same kernel position, and earlier kernel positions. In
addition, each weight is predicted linearly from earlier kernel positions and earlier filters, since
neighboring weights of a kernel are correlated. The encoder fits the coefficients and stores them.

A few contexts with few values each work better than many, which take longer to learn.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from zoo.container.prediction import COEFFICIENT_ONE, TensorShape, predictor

SCALES = 12
SIGNED = 15  # levels of a prediction; the middle one means no prediction
UNSIGNED = 8  # levels of a prediction's magnitude
_TOP = 1023
# (rows up, columns left, weight) of the positions averaged by `_near`
_NEAR = ((0, 1, 2), (1, 0, 2), (1, 1, 1), (1, -1, 1), (0, 2, 1), (2, 0, 1))
_PREDICTIONS = np.array([4, 13, 26, 45, 70, 109, 166])  # level edges in 64ths of the mean magnitude
_SCALE_EDGES = (24, 29, 34, 41, 49, 58, 69, 82, 98, 117, 139)
_MIXED_EDGES = (20, 24, 30, 37, 46, 57, 70, 87, 107, 132, 162)

Block = tuple[slice, int, slice]


class Sums:
    """The weights decoded so far, and sums over them.

    Args:
        shape: Shape of the tensor.
        coefficients: Coefficients of the shape's `predictor`.
    """

    def __init__(self, shape: TensorShape, coefficients: Sequence[int]):
        self.shape = shape
        self.coefficients = [int(coefficient) for coefficient in coefficients]
        self.sources, _ = predictor(shape)
        # Shape (positions, filters, channels), so a block is a single slice.
        self.values = np.zeros((shape.positions, shape.filters, shape.channels), np.int32)
        self.magnitudes = np.zeros_like(self.values)
        self.row = _Sums(shape.filters)
        self.column = _Sums(shape.channels)
        self.place = [_Sums(shape.channels) for _ in range(shape.positions)]
        self._total = self._count = 0

    def add(self, block: Block, values: np.ndarray) -> None:
        """Adds a decoded block.

        Args:
            block: Filters, position and channels of the block.
            values: The block's weights, int32 (filters, channels).
        """
        rows, position, columns = block
        self.values[position, rows, columns] = values
        magnitudes = self.magnitudes[position, rows, columns]
        np.abs(values, out=magnitudes)
        filters, channels = values.shape
        of_row, of_column = magnitudes.sum(1), magnitudes.sum(0)
        self._total += int(of_row.sum())
        self._count += values.size
        self.row.add(rows, of_row, channels)
        place = self.place[position]
        place.add(columns, of_column, filters)
        place.values[columns] += values.sum(0)
        if self.shape.positions > 1:
            self.column.add(columns, of_column, filters)

    @property
    def mean(self) -> int:
        """Mean magnitude in 256ths, at least 1."""
        return max(1, (self._total << 8) // self._count) if self._count else 256


class _Sums:
    """Sums and counts of the decoded weights of each filter or channel."""

    def __init__(self, n: int):
        self.values = np.zeros(n, np.int64)
        self.magnitudes = np.zeros(n, np.int64)
        self.count = np.zeros(n, np.int64)

    def add(self, part: slice, magnitudes: np.ndarray, count: int) -> None:
        self.magnitudes[part] += magnitudes
        self.count[part] += count

    def scale(self, part: slice, mean: int, prior: int) -> np.ndarray:
        """Returns mean magnitudes in 64ths of the tensor's mean.

        Args:
            part: Filters or channels.
            mean: Mean magnitude of the tensor in 256ths.
            prior: Number of additional weights of average magnitude to include.
        """
        total = (self.magnitudes[part] << 14) + (prior * mean << 6)
        return np.minimum(total // ((self.count[part] + prior) * mean), 1 << 20)


class Contexts:
    """Contexts of the weights of one block, as arrays that broadcast to `shape`.

    Args:
        sums: Sums over the weights decoded so far.
        block: Filters, position and channels of the block.

    Attributes:
        shape: Number of filters and channels.
        scale: Combined scale of all sources, below SCALES, (filters, channels).
        around: Scale of the filter paired with that of earlier kernel positions, or of the channel
            in a 1×1 kernel; below SCALES * SCALES, (filters, channels).
        signed: Level of the prediction, below SIGNED.
        unsigned: Level of the prediction's magnitude, below UNSIGNED.
    """

    def __init__(self, sums: Sums, block: Block):
        rows, _, columns = block
        self.shape = (rows.stop - rows.start, columns.stop - columns.start)
        mean = sums.mean
        row = sums.row.scale(rows, mean, 4)[:, np.newaxis]
        if sums.shape.positions > 1:
            column = sums.column.scale(columns, mean, 2)
            beside = _near(sums, block, mean, self.shape)
        else:
            column = beside = sums.place[0].scale(columns, mean, 2)
        product = row * column
        if beside is column:
            product += 32 * 64
        else:
            product += beside << 5
        product >>= 5
        self.scale = _mixed().take(product, mode="clip")
        self.around = _level(row) * SCALES + _level(beside)
        self.signed = _prediction(sums, block, mean, self.shape)
        self.unsigned = np.abs(self.signed - SIGNED // 2)


def scales(sums: Sums, where: np.ndarray) -> np.ndarray:
    """Returns the scale levels of single weights, from their filters and channels.

    Args:
        sums: Sums over the whole tensor.
        where: Flat indices into `sums.values`, intp (n,).

    Returns:
        Levels below SCALES, (n,).
    """
    shape, mean = sums.shape, sums.mean
    row = sums.row.scale(slice(0, shape.filters), mean, 4)
    places = [each.scale(slice(0, shape.channels), mean, 2) for each in sums.place]
    rows, columns = np.divmod(where, shape.channels)
    position, rows = np.divmod(rows, shape.filters)
    place = np.concatenate(places).take(position * shape.channels + columns)
    return _mixed().take(row.take(rows) * place * 3 >> 6, mode="clip")


def _near(sums: Sums, block: Block, mean: int, shape: tuple[int, int]) -> np.ndarray:
    """Returns the mean magnitude of adjacent earlier positions, in 64ths of the tensor's, int64."""
    rows, position, columns = block
    y, x = divmod(position, sums.shape.width)
    total = np.zeros(shape, np.int64)
    weights = 1
    for up, left, weight in _NEAR:
        if y >= up and 0 <= x - left < sums.shape.width:
            before = (y - up) * sums.shape.width + x - left
            part = sums.magnitudes[before, rows, columns]
            total += part if weight == 1 else part << 1
            weights += weight
    total <<= 14
    total += mean << 6
    return (total / float(weights * mean)).astype(np.int64)


def _prediction(sums: Sums, block: Block, mean: int, shape: tuple[int, int]) -> np.ndarray:
    rows, position, columns = block
    sources, of_mean = sums.sources[position]
    # Fits an int32: at most 13 terms, magnitudes up to 2^15.6 and factors up to 2^11.
    total = None
    for source, number in sources:
        if factor := sums.coefficients[number]:
            part = sums.values[source, rows, columns] * np.int32(factor << 4)
            total = part if total is None else np.add(total, part, out=total)
    place = sums.place[position]
    if factor := sums.coefficients[of_mean]:
        before = (place.values[columns] << 4) // np.maximum(place.count[columns], 4) * factor
        before = before.astype(np.int32)
        total = before[np.newaxis] if total is None else np.add(total, before, out=total)
    if total is None:
        return np.full((1, 1), SIGNED // 2)
    # From units of 1 / (16 COEFFICIENT_ONE) to 64ths of the mean, which is in 256ths.
    scaled = np.floor(total * float(1024 // COEFFICIENT_ONE) / float(mean))
    scaled += _PREDICTED
    return _signed().take(scaled.astype(np.intp), mode="clip")


def _level(ratio: np.ndarray) -> np.ndarray:
    """Returns the levels of ratios given in 64ths, four levels per octave."""
    return _scale().take(ratio, mode="clip")


_PREDICTED = 256


@cache
def _scale() -> np.ndarray:
    return np.digitize(np.arange(_TOP + 1), _SCALE_EDGES)


@cache
def _mixed() -> np.ndarray:
    """Returns the level at each index, which is three times a ratio in 64ths."""
    return np.digitize(np.arange(3 * _TOP + 3) // 3, _MIXED_EDGES)


@cache
def _signed() -> np.ndarray:
    edges = np.concatenate([-_PREDICTIONS[::-1], _PREDICTIONS])
    return np.digitize(np.arange(-_PREDICTED, _PREDICTED + 1), edges)
