"""Constant shifts as the depthwise convolutions that are fastest on XNNPACK.

`steps` chooses the convolutions by the cost of XNNPACK's depthwise kernels. These exist for up to
3, 4 (float32 only), 9 and 25 taps; other kernels run in the next larger one, and above 25 taps they
are slower by an order of magnitude. docs/lowerings.md has the measurements. Needs only NumPy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Array = np.ndarray

_ONE_PASS = 9  # largest number of taps that is cheap
_STRIDED_PASS = 25  # up to this many taps beat two passes, the first of which has no stride
_SMALL = 3  # taps of the smallest int8 kernel, which suits one axis
_NEAR = 4  # shifts within ±4 pixels need 9 taps per axis

# Limits within which a concatenation costs less than it saves in int8; see `worth_splitting`.
_SPLIT_PIXELS = 28 * 28
_SPLIT_SHARE = 0.5


@dataclass(frozen=True, eq=False)
class DepthwiseStep:
    """One depthwise convolution; pixels outside the feature map are zero.

    out[i, j] = Σ kernel[k, l] · in[s·i + top + d·k, s·j + left + d·l].

    Attributes:
        kernel: Weights, float32 (height, width, channels).
        origin: Top and left, in pixels, both at most 0.
        stride: s, in pixels.
        dilation: d, in pixels.
    """

    kernel: Array
    origin: tuple[int, int]
    stride: int = 1
    dilation: int = 1


def steps(
    table: Array, size: tuple[int, int], stride: int = 1, integer: bool = False
) -> list[DepthwiseStep]:
    """Returns depthwise convolutions equivalent to a shift with bilinear interpolation.

    Pixels outside the feature map are zero.

    1. Pixels outside the map for every output are dropped, and each kernel is the smallest window
       around the remaining ones. If no channel moves, there are no steps.
    2. If all offsets are multiples of d, the kernel is dilated by d.
    3. More than 9 taps on an axis are split into two moves: first ±4, ±8 … pixels with a dilated
       kernel of few taps, then the rest. Both have the same sign, so no pixel is lost at a border.
    4. Up to 9 taps form one kernel. More are separated into a column and a row, since bilinear
       weights are separable. With a stride this pays off only above 25 taps, because the column
       runs without the stride.
    5. In int8, which has a kernel for 3 taps on one axis, kernels up to 3×3 are also separated, but
       only for whole pixels, because a second rounding would blur fractional ones.

    Args:
        table: dy and dx of each channel in pixels, (channels, 2): output[y, x] is
            input[y + dy, x + dx].
        size: Height and width of the feature map.
        stride: Pixels between two outputs; the output at i is the shifted input at stride·i.
        integer: Whether the result is for int8.

    Returns:
        Convolutions to apply in order.
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
    """Returns whether to shift only the moved channels and concatenate the still ones to them.

    In int8 this halves the cost of shifts that move few channels, at 28×28 and 14×14. At 56×56, and
    in float32 at every size, the concatenation costs at least as much as it saves
    (docs/lowerings.md).

    Args:
        table: dy and dx of each channel in whole pixels, (channels, 2).
        size: Height and width of the feature map.
        stride: Stride of the shift.
        integer: Whether the result is for int8.
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
    """Returns the multiple of 4 in each shift that leaves at most 4 pixels; 0 if 9 taps suffice."""
    far = np.zeros_like(table)
    for axis in (0, 1):
        limit = (size[axis] - 1) // dilation
        # The outer one of the two pixels that a shift is between.
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
    """Weights (channels, n) of the pixels at offsets start, start + dilation, … from the output."""

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
    if dilation > 1:  # a centered window: only "SAME" padding remains a single operator
        last = max(last, -first)
        first = -last
    elif stride > 1 and first == last:
        # Some GPU delegates compute strided 1×1 convolutions wrongly; 3 taps cost about the same.
        first = -(same_padding(size, stride, 3)[0])
        last = first + 2
    taps = np.zeros((len(shift), (last - first) // dilation + 1), np.float32)
    for position, weight in pairs:
        inside = (weight > 0) & (np.abs(position) <= reach)
        channel = np.flatnonzero(inside)
        taps[channel, (position[inside] - first) // dilation] += weight[inside]
    return _Axis(taps, first)


def same_padding(size: int, stride: int, length: int) -> tuple[int, int]:
    """Returns the rows that "SAME" pads before and after `size` rows for a kernel of `length`."""
    total = max((-(-size // stride) - 1) * stride + length - size, 0)
    return total // 2, total - total // 2
