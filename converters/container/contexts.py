"""What a weight's decisions depend on: sums over the weights that are decoded already.

Scales are mean magnitudes relative to the tensor's own, in quarter octaves: of the same filter, the
same input channel, that channel at the same position in the kernel, and the kernel's positions
before. Besides, a linear prediction from the kernel's positions before and from the filters before,
whose coefficients the encoder fits and sends: neighbouring weights of a kernel resemble each other.
Integers throughout.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from converters.container.mixing import stacked
from converters.container.prediction import COEFFICIENT_ONE, Shape, predictor

SCALES = 12
FINE = 36
SIGNED = 15  # levels of a prediction, the middle one for none
BALANCES = 7  # levels of how much positive weights prevail
_TOP = 1023
# (rows up, columns left, weight) of the positions whose magnitudes count
_NEAR = ((0, 1, 2), (1, 0, 2), (1, 1, 1), (1, -1, 1), (0, 2, 1), (2, 0, 1))
_PREDICTIONS = np.array([4, 13, 26, 45, 70, 109, 166])  # in 64ths of the mean magnitude
_SIGNED_EDGES = np.concatenate([-_PREDICTIONS[::-1], _PREDICTIONS])
_BALANCE_EDGES = np.array([-30, -13, -4, 4, 13, 30])  # 128ths
_COARSE_EDGES = (24, 29, 34, 41, 49, 58, 69, 82, 98, 117, 139)
_FINE_EDGES = (
    17,
    18,
    20,
    21,
    23,
    24,
    26,
    28,
    30,
    32,
    35,
    37,
    40,
    43,
    46,
    49,
    53,
    57,
    61,
    65,
    70,
    75,
    81,
    87,
    93,
    100,
    107,
    114,
    123,
    132,
    141,
    151,
    162,
    174,
    186,
)

Block = tuple[slice, int, slice]


@cache
def sizes(shape: Shape) -> dict[str, tuple[int, ...]]:
    """How many values the contexts of a tensor's decisions have, in the order of `Contexts`."""
    s, p = SCALES, shape.positions
    spatial = p > 1
    return {
        "zero": (s * s, FINE, SIGNED * s) + ((s * s, p * s) if spatial else ()),
        "sign": (SIGNED * s, BALANCES * BALANCES)
        + ((p * SIGNED, BALANCES * SIGNED) if spatial else ()),
        "counted": (SIGNED * s, FINE, s * s) + ((s * s,) if spatial else ()),
    }


class Sums:
    """The weights decoded so far, and sums over them.

    Args:
        shape: of the tensor.
        coefficients: of its `predictor`.
    """

    def __init__(self, shape: Shape, coefficients: Sequence[int]):
        self.shape = shape
        self.coefficients = [int(each) for each in coefficients]
        self.sources, _ = predictor(shape)
        self.values = np.zeros((shape.filters, shape.positions, shape.channels), np.int32)
        self.row = _Sums(shape.filters)
        self.column = _Sums(shape.channels)
        self.place = [_Sums(shape.channels) for _ in range(shape.positions)]
        self._total = self._count = 0

    def add(self, block: Block, found: np.ndarray) -> None:
        """Adds a decoded block, int32 (filters, channels)."""
        rows, position, columns = block
        self.values[rows, position, columns] = found
        magnitudes, signs = np.abs(found), np.sign(found)
        self._total += int(magnitudes.sum())
        self._count += found.size
        for sums, part, axis in (
            (self.row, rows, 1),
            (self.column, columns, 0),
            (self.place[position], columns, 0),
        ):
            sums.values[part] += found.sum(axis)
            sums.magnitudes[part] += magnitudes.sum(axis)
            sums.signs[part] += signs.sum(axis)
            sums.count[part] += found.shape[axis]

    @property
    def mean(self) -> int:
        """The mean magnitude in 256ths, 1 at least."""
        return max(1, (self._total << 8) // self._count) if self._count else 256


class _Sums:
    """Sums over what is decoded of each filter or channel."""

    def __init__(self, n: int):
        self.values = np.zeros(n, np.int64)
        self.magnitudes = np.zeros(n, np.int64)
        self.signs = np.zeros(n, np.int64)
        self.count = np.zeros(n, np.int64)

    def scale(self, part: slice, mean: int, prior: int) -> np.ndarray:
        """Mean magnitudes in 64ths of the tensor's; `prior` weights count as average."""
        total = (self.magnitudes[part] << 8) + prior * mean
        return np.minimum(total * 64 // ((self.count[part] + prior) * mean), 1 << 20)

    def balance(self, part: slice) -> np.ndarray:
        """Level of how much positive weights prevail."""
        share = self.signs[part] * 256 // (self.count[part] // 2 + 8)
        return np.digitize(share, _BALANCE_EDGES)


class Contexts:
    """The contexts of one block's weights.

    Args:
        sums: of what is decoded already.
        block: which weights.
    """

    def __init__(self, sums: Sums, block: Block):
        rows, position, columns = block
        self.shape = (rows.stop - rows.start, columns.stop - columns.start)
        self.size = self.shape[0] * self.shape[1]
        self._position = position
        self._spatial = sums.shape.positions > 1
        mean = sums.mean
        row = sums.row.scale(rows, mean, 4)[:, None]
        column = sums.column.scale(columns, mean, 2)[None]
        place = sums.place[position].scale(columns, mean, 2)[None]
        near = self._near(sums, block, mean)
        product = row * column >> 6
        self._sizes = sizes(sums.shape)
        self._row = _level(row)
        self._place = _level(place)
        self._near_level = _level(near)
        self._product = _level(product)
        self._fine = _fine()[np.minimum((2 * product + near) // 3, _TOP)]
        self._coarse = self._fine // 3
        self._signed = self._prediction(sums, block, mean)
        self._row_balance = sums.row.balance(rows)[:, None]
        self._column_balance = sums.column.balance(columns)[None]
        self._place_balance = sums.place[position].balance(columns)[None]

    def zero(self) -> np.ndarray:
        """For "not zero", as `mixing.stacked`."""
        s = SCALES
        found = [
            self._row * s + self._place,
            self._fine,
            np.abs(self._signed - SIGNED // 2) * s + self._coarse,
        ]
        if self._spatial:
            found.append(self._place * s + self._near_level)
            found.append(self._position * s + self._product)
        return stacked(self._sizes["zero"], found, self.shape)

    def sign(self, where: np.ndarray) -> np.ndarray:
        """For "negative", of the weights `where`."""
        found = [
            self._signed * SCALES + self._coarse,
            self._place_balance * BALANCES + self._row_balance,
        ]
        if self._spatial:
            found.append(self._position * SIGNED + self._signed)
            found.append(self._column_balance * SIGNED + self._signed)
        return stacked(self._sizes["sign"], found, self.shape).take(where, 1)

    def counted(self, where: np.ndarray, negative: np.ndarray) -> np.ndarray:
        """For magnitudes that are counted."""
        found = [self._coarse, self._fine, self._row * SCALES + self._place]
        if self._spatial:
            found.append(self._row * SCALES + self._near_level)
        got = stacked(self._sizes["counted"], found, self.shape).take(where, 1)
        got[0] += self._agreeing(where, negative) * SCALES
        return got

    def told_by_bits(self, where: np.ndarray, negative: np.ndarray) -> np.ndarray:
        """For magnitudes that are told by their bits: (3, n) levels."""
        found = stacked((0, 0, 0), [self._coarse, self._row, self._signed], self.shape)
        got = found.take(where, 1)
        got[2] = self._agreeing(where, negative)
        return got

    def _agreeing(self, where: np.ndarray, negative: np.ndarray) -> np.ndarray:
        """The prediction's level, counted in the direction of the weight's sign."""
        signed = self._signed.reshape(-1)[where]
        return np.where(negative, SIGNED - 1 - signed, signed)

    def _near(self, sums: Sums, block: Block, mean: int) -> np.ndarray:
        rows, position, columns = block
        y, x = divmod(position, sums.shape.width)
        total = np.zeros(self.shape, np.int64)
        weights = 0
        for up, left, weight in _NEAR:
            if y >= up and 0 <= x - left < sums.shape.width:
                before = (y - up) * sums.shape.width + x - left
                total += weight * np.abs(sums.values[rows, before, columns])
                weights += weight
        return ((total << 8) + mean) * 64 // ((weights + 1) * mean)

    def _prediction(self, sums: Sums, block: Block, mean: int) -> np.ndarray:
        rows, position, columns = block
        sources, of_mean = sums.sources[position]
        place = sums.place[position]
        before = (place.values[columns] << 4) // np.maximum(place.count[columns], 4)
        total = np.zeros(self.shape, np.int64) + before * sums.coefficients[of_mean]
        for source, number in sources:
            if sums.coefficients[number]:
                factor = sums.coefficients[number] << 4
                total += factor * sums.values[rows, source, columns].astype(np.int64)
        # From 16 COEFFICIENT_ONE to 64ths of the mean, which is in 256ths.
        return np.digitize(total * (1024 // COEFFICIENT_ONE) // mean, _SIGNED_EDGES)


def _level(ratio: np.ndarray) -> np.ndarray:
    """Levels of ratios in 64ths, four to the octave."""
    return _coarse()[np.minimum(ratio, _TOP)]


@cache
def _coarse() -> np.ndarray:
    return np.digitize(np.arange(_TOP + 1), _COARSE_EDGES)


@cache
def _fine() -> np.ndarray:
    return np.digitize(np.arange(_TOP + 1), _FINE_EDGES)
