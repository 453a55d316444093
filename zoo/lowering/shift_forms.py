"""A shift with constant offsets as the depthwise convolutions that are fastest on XNNPACK.

`steps` decides everything. The costs behind it are those of XNNPACK's depthwise kernels, which are
made for up to 3, 4 (float32 alone), 9 and 25 taps; fewer taps run in the next larger one, and above
25 they are slower by another order of magnitude. docs/lowerings.md has the measurements. NumPy
alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Array = np.ndarray

_ONE_PASS = 9  # taps that stay cheap
_STRIDED_PASS = 25  # taps that are still better than two passes of which one is not strided
_SMALL = 3  # taps of the kernel that int8 has for one axis
_NEAR = 4  # a shift within ±4 pixels has 9 taps on an axis

# Where a concatenation costs less than it saves in int8; see `worth_splitting`.
_SPLIT_PIXELS = 28 * 28
_SPLIT_SHARE = 0.5


@dataclass(frozen=True, eq=False)
class DepthwiseStep:
    """One depthwise convolution of a map without padding, or with zeros around it.

    out[i, j] = Σ kernel[k, l] · in[s·i + top + d·k, s·j + left + d·l].

    Attributes:
        kernel: float32 (height, width, channels).
        origin: top and left, both at most 0.
        stride: s.
        dilation: d.
    """

    kernel: Array
    origin: tuple[int, int]
    stride: int = 1
    dilation: int = 1


def steps(
    table: Array, size: tuple[int, int], stride: int = 1, integer: bool = False
) -> list[DepthwiseStep]:
    """The depthwise convolutions that equal a shift, bilinear between pixels, zeros outside.

    1. Pixels that lie outside the map for every output are left out, and each kernel has the least
       window around the rest. Nothing is left where no channel moves.
    2. Offsets that are all multiples of d are a dilated kernel without its zeros.
    3. More than 9 taps on an axis: first ±4, ±8 … pixels with a dilated kernel of few taps, then
       the rest, with the same sign so that nothing is lost at the borders.
    4. Up to 9 taps are one kernel. More are a column of taps and then a row of them, since bilinear
       weights are separable; with a stride only above 25 taps, as the column would run without it.
    5. In int8, where 3 taps on one axis have a kernel of their own, 3×3 and less are separated too,
       but only for whole pixels, which no second rounding blurs.

    Args:
        table: (channels, 2) dy and dx in pixels: output[y, x] is input[y + dy, x + dx].
        size: height and width of the map.
        stride: pixels between two outputs; the output at i is the shifted input at stride·i.
        integer: whether the result is for int8.

    Returns:
        What is to be applied one after the other.
    """
    table = np.asarray(table, np.float32)
    dilation = _dilation(table) if stride == 1 else 1
    far = _far(table / dilation, size, dilation) * dilation
    if far.any():
        near = (table - far).astype(np.float32)
        return steps(far, size, 1, integer) + steps(near, size, stride, integer)
    rows, columns = (_axis(table[:, a], size[a], stride, dilation) for a in (0, 1))
    origin = (rows.start, columns.start)
    column, row = rows.taps.T[:, None], columns.taps.T[None]
    height, width = len(column), row.shape[1]
    if height == width == stride == 1 and (column * row == 1).all():
        return []
    whole = bool((table == np.rint(table)).all())
    if _separate(height, width, stride, integer and whole):
        return [
            DepthwiseStep(column, (origin[0], 0), 1, dilation),
            DepthwiseStep(row, (0, origin[1]), stride, dilation),
        ]
    return [DepthwiseStep(column * row, origin, stride, dilation)]


def worth_splitting(table: Array, size: tuple[int, int], stride: int, integer: bool) -> bool:
    """Whether to convolve the moved channels alone and concatenate the others behind them.

    docs/lowerings.md: in int8 that halves what a layer with few moved channels adds, at 28×28 and
    14×14; at 56×56, and in float32 on every map, the concatenation costs what it saves, or more.

    Args:
        table: (channels, 2) whole pixels.
        size: height and width of the map.
        stride: of the shift.
        integer: whether the result is for int8.
    """
    still = ~np.asarray(table).any(axis=1)
    fits = stride == 1 and size[0] * size[1] <= _SPLIT_PIXELS
    return bool(integer and fits and _SPLIT_SHARE <= still.mean() < 1)


def _separate(height: int, width: int, stride: int, exact_integer: bool) -> bool:
    if height == 1 or width == 1:
        return False
    if stride > 1:
        return height * width > _STRIDED_PASS
    return height * width > _ONE_PASS or (exact_integer and max(height, width) <= _SMALL)


def _dilation(table: Array) -> int:
    if (table != np.rint(table)).any() or not table.any():
        return 1
    return int(np.gcd.reduce(np.abs(table).astype(np.int64), axis=None))


def _far(table: Array, size: tuple[int, int], dilation: int) -> Array:
    """The part of each shift, a multiple of 4, that leaves at most 4 pixels; 0 where 9 taps do."""
    far = np.zeros_like(table)
    for axis in (0, 1):
        limit = (size[axis] - 1) // dilation
        # The pixel further out, of the two that a shift lies between.
        outer = np.clip(np.sign(table[:, axis]) * np.ceil(np.abs(table[:, axis])), -limit, limit)
        lowest, highest = min(outer.min(), 0), max(outer.max(), 0)
        if highest - lowest + 1 <= _ONE_PASS:
            continue
        most = _NEAR * max(0, int(np.ceil(np.abs(outer).max() / _NEAR)) - 1)
        part = _NEAR * np.trunc(table[:, axis] / _NEAR)
        far[:, axis] = np.clip(part, -most, most)
    return far


@dataclass(frozen=True, eq=False)
class _Axis:
    """Weights (channels, n) of pixels start, start + dilation, … from the output's own."""

    taps: Array
    start: int


def _axis(shift: Array, size: int, stride: int, dilation: int) -> _Axis:
    low = np.floor(shift)
    fraction = shift - low
    reach = size - 1
    positions = low.astype(np.int64)
    pairs = ((positions, 1 - fraction), (positions + 1, fraction))
    used = [p[(w > 0) & (np.abs(p) <= reach)] for p, w in pairs]
    offsets = np.concatenate([*used, [0]])
    first, last = int(offsets.min()), int(offsets.max())
    if dilation > 1:  # "SAME" padding is the only one that stays one operator: a centered window
        last = max(last, -first)
        first = -last
    elif stride > 1 and first == last:
        # GPU delegates have got strided 1×1 convolutions wrong; 3 taps cost about the same.
        first = -(same_padding(size, stride, 3)[0])
        last = first + 2
    taps = np.zeros((len(shift), (last - first) // dilation + 1), np.float32)
    for position, weight in pairs:
        inside = (weight > 0) & (np.abs(position) <= reach)
        channel = np.flatnonzero(inside)
        taps[channel, (position[inside] - first) // dilation] += weight[inside]
    return _Axis(taps, first)


def same_padding(size: int, stride: int, length: int) -> tuple[int, int]:
    """Rows that TensorFlow's "SAME" adds before and after `size` for a kernel of `length` rows."""
    total = max((-(-size // stride) - 1) * stride + length - size, 0)
    return total // 2, total - total // 2
