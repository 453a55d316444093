"""Choice of the coding for each tensor, based on estimates of the coded size."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from zoo.container import codebooks
from zoo.container.prediction import MAX_POSITIONS, TensorShape, fitted
from zoo.container.sections import (
    DIRECT,
    MAX_COUNT,
    MAX_LARGEST,
    MAX_LIST,
    ROW_STEPS,
    STEP,
    TABLE,
    Dense,
    Floats,
    Integers,
    Section,
    WeightsSection,
)

_LEAST = 16  # elements; smaller tensors go to the general part
_LEAST_WEIGHTS = 512  # elements; smaller float tensors are coded as a list
_LEAST_FITTED = 512  # weights; below this, prediction coefficients cost more than they save
_ENTRY_BITS = 22  # approximate cost of a codebook entry
_DENSE_BITS = {2: 13, 4: 27}  # approximate bits per float when only the exponent is modeled
_ROWS_TRIED = 4  # filters that must have a step before the rest are examined


@dataclass(frozen=True, eq=False)
class Part:
    """A section and the data that it codes.

    Attributes:
        section: Entry in the container's plan.
        numbers: Integers, or bit patterns of floats; None for general bytes.
        codebook: Values that the integers stand for, either steps or entries; None if direct.
    """

    section: Section
    numbers: np.ndarray | None = None
    codebook: np.ndarray | None = None


def parts(data: bytes, kind: str, shape: tuple[int, ...]) -> tuple[Part, ...]:
    """Splits a constant into coded parts.

    Args:
        data: All bytes of the constant.
        kind: Schema type name, for example `FLOAT32`.
        shape: Shape of the tensor.

    Returns:
        The parts in order; empty if the constant is better left to the general part.
    """
    width = {"FLOAT32": 4, "FLOAT16": 2, "INT8": 1, "UINT8": 1, "INT16": 2, "INT32": 4}.get(kind)
    if width is None or len(data) < _LEAST * width:
        return ()
    if data == data[:width] * (len(data) // width):
        return ()  # one repeated value teaches the coder nothing about other tensors
    count = len(data) // width
    if kind == "INT32":
        if count > MAX_COUNT:
            return ()
        return (Part(Integers(count), np.frombuffer(data, "<i4")),)
    if kind == "FLOAT32" and (count < _LEAST_WEIGHTS or len(shape) == 1) and count <= MAX_LIST:
        return (Part(Floats(count), np.frombuffer(data, "<u4").astype(np.uint32)),)
    filter_shape, by_channel = _filter_shape(shape)
    coded = []
    dtype = f"<i{width}" if "INT" in kind else f"<u{width}"
    flat = np.frombuffer(data, dtype).astype(dtype[1:])
    for piece, bits in _split(filter_shape, by_channel, flat):
        part = _integers(bits, piece) if "INT" in kind else _floats(bits, piece)
        if part is None:
            return ()
        coded.append(_transposed(part, piece) if by_channel else part)
    return tuple(coded)


def _filter_shape(shape: tuple[int, ...]) -> tuple[TensorShape, bool]:
    """Returns (filters, height, width, channels) and whether filters are the last axis."""
    if len(shape) == 4 and shape[1] * shape[2] <= MAX_POSITIONS:
        if shape[0] == 1:  # depthwise
            return TensorShape(shape[3], shape[1], shape[2], 1), shape[1] * shape[2] > 1
        return TensorShape(*shape), False
    first = shape[0] if len(shape) > 1 else 1
    return TensorShape(first, 1, 1, int(np.prod(shape[1:] if len(shape) > 1 else shape))), False


def _split(
    shape: TensorShape, by_channel: bool, flat: np.ndarray
) -> list[tuple[TensorShape, np.ndarray]]:
    """Splits into pieces of at most MAX_COUNT numbers, each (filters, positions, channels)."""
    if by_channel:
        cube = flat.reshape(shape.positions, shape.filters).T[:, :, np.newaxis]
        return [(shape, cube)]
    cube = flat.reshape(shape.filters, shape.positions, shape.channels)
    per_filter = shape.positions * shape.channels
    if per_filter > MAX_COUNT:
        line = flat.reshape(1, 1, -1)
        cuts = range(0, flat.size, MAX_COUNT)
        return [
            (TensorShape(1, 1, 1, min(MAX_COUNT, flat.size - at)), line[:, :, at : at + MAX_COUNT])
            for at in cuts
        ]
    rows = MAX_COUNT // per_filter
    return [
        (TensorShape(len(cube[at : at + rows]), shape.height, shape.width, shape.channels),
         cube[at : at + rows])
        for at in range(0, shape.filters, rows)
    ]  # fmt: skip


def _integers(values: np.ndarray, shape: TensorShape) -> Part | None:
    if shape.count > MAX_COUNT:
        return None
    return _weights(shape, DIRECT, values.dtype.itemsize, values.astype(np.int32), None)


def _floats(bits: np.ndarray, shape: TensorShape) -> Part | None:
    if shape.count > MAX_COUNT:
        return None
    width = bits.dtype.itemsize
    entries, places, zero = codebooks.table(bits)
    if width == 4:
        stepped = _stepped(np.ascontiguousarray(bits).view(np.float32), shape, entries)
        if stepped is not None:
            return stepped
    fits_table = len(entries) <= MAX_LIST and max(zero, len(entries) - 1 - zero) <= MAX_LARGEST
    if fits_table:
        share = np.bincount(places.reshape(-1) + zero) / shape.count
        entropy = -float((share * np.log2(np.maximum(share, 1e-12))).sum())
        if entropy + _ENTRY_BITS * len(entries) / shape.count < _DENSE_BITS[width]:
            return _weights(shape, TABLE, width, places, entries, zero)
    rotated = _rotated(bits)
    low = rotated.dtype.type((1 << (8 * width - 8)) - 1)
    sparse = bool((rotated[rotated <= low] == 0).all())
    return Part(Dense(shape.count, width, sparse), rotated.reshape(-1))


def _stepped(values: np.ndarray, shape: TensorShape, entries: np.ndarray) -> Part | None:
    """Codes floats as integers times one step or one step per filter; None if neither is exact."""
    if not np.isfinite(values).all():
        return None
    if len(entries) <= MAX_LIST:
        step = codebooks.step_of(codebooks.unordered(entries, 4).view(np.float32))
        if step is not None:
            steps = np.array([step], np.float32)
            integers = codebooks.integers_of(values, steps)
            if integers is not None:
                return _weights(shape, STEP, 4, integers, steps)
    if shape.filters < 2 or codebooks.row_steps(values[:_ROWS_TRIED]) is None:
        return None
    rows = codebooks.row_steps(values)
    integers = None if rows is None else codebooks.integers_of(values, rows.reshape(-1, 1, 1))
    return None if integers is None else _weights(shape, ROW_STEPS, 4, integers, rows)


def _weights(
    shape: TensorShape,
    form: int,
    width: int,
    integers: np.ndarray,
    codebook: np.ndarray | None,
    zero: int = 0,
) -> Part:
    integers = np.ascontiguousarray(integers)
    coefficients: tuple[int, ...] = ()
    if shape.count >= _LEAST_FITTED:
        fit = tuple(fitted(shape, integers))
        coefficients = fit if any(fit) else ()
    above = len(codebook) - 1 - zero if codebook is not None and form == TABLE else 0
    largest = max(1, int(np.abs(integers.astype(np.int64)).max()))
    section = WeightsSection(shape, False, form, width, largest, coefficients, zero, above)
    return Part(section, integers, codebook)


def _transposed(part: Part, shape: TensorShape) -> Part:
    """Adapts a part to filters in the last axis; dense floats and lists return to file order."""
    if isinstance(part.section, WeightsSection):
        return Part(replace(part.section, by_channel=True), part.numbers, part.codebook)
    if part.numbers is None:
        return part
    return Part(part.section, part.numbers.reshape(shape.filters, -1).T.reshape(-1))


def _rotated(bits: np.ndarray) -> np.ndarray:
    """Rotates the bits of floats so the sign comes last and the exponent first."""
    return bits << 1 | bits >> (8 * bits.dtype.itemsize - 1)
