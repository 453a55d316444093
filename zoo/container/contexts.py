"""What a weight's decisions depend on: sums over the weights that are decoded already.

Scales are mean magnitudes relative to the tensor's own, in quarter octaves: of the same filter, the
same input channel, that channel at the same position in the kernel, and the kernel's positions
before. Besides, a linear prediction from the kernel's positions before and from the filters before,
whose coefficients the encoder fits and sends: neighboring weights of a kernel resemble each other.

Few contexts, and few values of each, are better than many, which take longer to learn.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from zoo.container.prediction import COEFFICIENT_ONE, TensorShape, predictor

SCALES = 12
SIGNED = 15  # levels of a prediction, the middle one for none
UNSIGNED = 8  # levels of its magnitude
_TOP = 1023
# (rows up, columns left, weight) of the positions whose magnitudes count
_NEAR = ((0, 1, 2), (1, 0, 2), (1, 1, 1), (1, -1, 1), (0, 2, 1), (2, 0, 1))
_PREDICTIONS = np.array([4, 13, 26, 45, 70, 109, 166])  # in 64ths of the mean magnitude
_SCALE_EDGES = (24, 29, 34, 41, 49, 58, 69, 82, 98, 117, 139)
_MIXED_EDGES = (20, 24, 30, 37, 46, 57, 70, 87, 107, 132, 162)

Block = tuple[slice, int, slice]


class Sums:
    """The weights decoded so far, and sums over them.

    Args:
        shape: of the tensor.
        coefficients: of its `predictor`.
    """

    def __init__(self, shape: TensorShape, coefficients: Sequence[int]):
        self.shape = shape
        self.coefficients = [int(each) for each in coefficients]
        self.sources, _ = predictor(shape)
        # (positions, filters, channels), of which a block is one piece
        self.values = np.zeros((shape.positions, shape.filters, shape.channels), np.int32)
        self.magnitudes = np.zeros_like(self.values)
        self.row = _Sums(shape.filters)
        self.column = _Sums(shape.channels)
        self.place = [_Sums(shape.channels) for _ in range(shape.positions)]
        self._total = self._count = 0

    def add(self, block: Block, found: np.ndarray) -> None:
        """Adds a decoded block, int32 (filters, channels)."""
        rows, position, columns = block
        self.values[position, rows, columns] = found
        magnitudes = self.magnitudes[position, rows, columns]
        np.abs(found, out=magnitudes)
        many, across = found.shape
        of_row, of_column = magnitudes.sum(1), magnitudes.sum(0)
        self._total += int(of_row.sum())
        self._count += found.size
        self.row.add(rows, of_row, across)
        place = self.place[position]
        place.add(columns, of_column, many)
        place.values[columns] += found.sum(0)
        if self.shape.positions > 1:
            self.column.add(columns, of_column, many)

    @property
    def mean(self) -> int:
        """The mean magnitude in 256ths, 1 at least."""
        return max(1, (self._total << 8) // self._count) if self._count else 256


class _Sums:
    """Sums over what is decoded of each filter or channel."""

    def __init__(self, n: int):
        self.values = np.zeros(n, np.int64)
        self.magnitudes = np.zeros(n, np.int64)
        self.count = np.zeros(n, np.int64)

    def add(self, part: slice, magnitudes: np.ndarray, count: int) -> None:
        self.magnitudes[part] += magnitudes
        self.count[part] += count

    def scale(self, part: slice, mean: int, prior: int) -> np.ndarray:
        """Mean magnitudes in 64ths of the tensor's; `prior` weights count as average."""
        total = (self.magnitudes[part] << 14) + (prior * mean << 6)
        return np.minimum(total // ((self.count[part] + prior) * mean), 1 << 20)


class Contexts:
    """The contexts of one block's weights, which broadcast to `shape`.

    Args:
        sums: of what is decoded already.
        block: which weights.

    Attributes:
        shape: filters and channels.
        scale: (filters, channels), below SCALES: of all that is known.
        around: (filters, channels), below SCALES * SCALES: of the filter, with the kernel's
            positions before, or with the channel where there are none.
        signed: below SIGNED: the prediction.
        unsigned: below UNSIGNED: its magnitude.
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
    """Levels below SCALES of the scales of single weights, by their filters and channels.

    Args:
        sums: of the whole tensor.
        where: intp (n,), places in `sums.values`.
    """
    shape, mean = sums.shape, sums.mean
    row = sums.row.scale(slice(0, shape.filters), mean, 4)
    places = [each.scale(slice(0, shape.channels), mean, 2) for each in sums.place]
    rows, columns = np.divmod(where, shape.channels)
    position, rows = np.divmod(rows, shape.filters)
    place = np.concatenate(places).take(position * shape.channels + columns)
    return _mixed().take(row.take(rows) * place * 3 >> 6, mode="clip")


def _near(sums: Sums, block: Block, mean: int, shape: tuple[int, int]) -> np.ndarray:
    """int64: the mean magnitude of the positions around, in 64ths of the tensor's."""
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
    # An int32 holds 13 times the largest magnitude's 2^15.6 times the largest factor's 2^11.
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
    # From 16 COEFFICIENT_ONE to 64ths of the mean, which is in 256ths.
    found = np.floor(total * float(1024 // COEFFICIENT_ONE) / float(mean))
    found += _PREDICTED
    return _signed().take(found.astype(np.intp), mode="clip")


def _level(ratio: np.ndarray) -> np.ndarray:
    """Levels of ratios in 64ths, four to the octave."""
    return _scale().take(ratio, mode="clip")


_PREDICTED = 256


@cache
def _scale() -> np.ndarray:
    return np.digitize(np.arange(_TOP + 1), _SCALE_EDGES)


@cache
def _mixed() -> np.ndarray:
    """Levels of three times a ratio in 64ths."""
    return np.digitize(np.arange(3 * _TOP + 3) // 3, _MIXED_EDGES)


@cache
def _signed() -> np.ndarray:
    edges = np.concatenate([-_PREDICTIONS[::-1], _PREDICTIONS])
    return np.digitize(np.arange(-_PREDICTED, _PREDICTED + 1), edges)
