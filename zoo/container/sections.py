"""Sections of a container, which together form the restored file, in file order.

The plan lists the sections. It comes from untrusted files, so each number is checked against the
size limits before it is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from zoo.container.prediction import COEFFICIENT_LIMIT, MAX_POSITIONS, TensorShape, predictor
from zoo.errors import ZooError

MAX_COUNT = 1 << 22  # numbers in a section; bounds the cost of decoding it
MAX_LARGEST = 1 << 16
MAX_SECTIONS = 1 << 14
MAX_LIST = 1 << 16  # numbers in a codebook or a list of floats
PLAIN, FLOATS, AGAIN, INTEGERS, DENSE, WEIGHTS = range(6)
# How a weight's bytes are computed from its integer; see `zoo.container.codebooks`.
DIRECT, TABLE, STEP, ROW_STEPS = range(4)


@dataclass(frozen=True)
class Plain:
    """Bytes of unknown structure; `count` is their number."""

    count: int


@dataclass(frozen=True)
class Floats:
    """A list of float32 numbers, scaled by a factor.

    Attributes:
        count: Number of floats.
        factor: Bits of the float32 factor; None for an unscaled list.
        kept: Whether later `Again` sections may refer to the list.
    """

    count: int
    factor: int | None = None
    kept: bool = False


@dataclass(frozen=True)
class Again:
    """An earlier list with another factor: a bias's scales are its weights' scales × its input's.

    Attributes:
        number: Index of the list among the kept lists.
        factor: Bits of the float32 factor; None for an unscaled list.
    """

    number: int
    factor: int | None


@dataclass(frozen=True)
class Integers:
    """A list of `count` int32 numbers."""

    count: int


@dataclass(frozen=True)
class Dense:
    """Floats of a tensor with too many distinct values for a codebook; only exponents are modeled.

    Attributes:
        count: Number of floats.
        width: Bytes per float, 2 or 4.
        sparse: Whether only zeros have the exponent byte 0, so they need no further bytes.
    """

    count: int
    width: int
    sparse: bool


@dataclass(frozen=True)
class WeightsSection:
    """A weight tensor whose values are given by small integers.

    Attributes:
        shape: Shape of the tensor.
        by_channel: Whether the filters are the last axis of the tensor in the file, not the first.
        form: DIRECT, TABLE, STEP or ROW_STEPS.
        width: Bytes per value: 1, 2 or 4.
        largest: Upper bound on the magnitude of the integers.
        coefficients: Coefficients of the shape's predictor; empty if all are zero.
        below: Number of codebook entries below integer 0, for TABLE.
        above: Number of codebook entries above integer 0, for TABLE.
    """

    shape: TensorShape
    by_channel: bool
    form: int
    width: int
    largest: int
    coefficients: tuple[int, ...] = ()
    below: int = 0
    above: int = 0


Section = Plain | Floats | Again | Integers | Dense | WeightsSection


def to_bytes(sections: list[Section]) -> bytes:
    """Returns the sections as a binary plan."""
    out = bytearray()

    def put(*numbers: int) -> None:
        for number in numbers:
            while number > 127:
                out.append(number & 127 | 128)
                number >>= 7
            out.append(number)

    for section in sections:
        if isinstance(section, Plain):
            put(PLAIN, section.count)
        elif isinstance(section, Floats):
            put(FLOATS, section.count, (section.factor is not None) + 2 * section.kept)
            out += b"" if section.factor is None else section.factor.to_bytes(4, "little")
        elif isinstance(section, Again):
            put(AGAIN, section.number, int(section.factor is not None))
            out += b"" if section.factor is None else section.factor.to_bytes(4, "little")
        elif isinstance(section, Integers):
            put(INTEGERS, section.count)
        elif isinstance(section, Dense):
            put(DENSE, section.count, section.width + 8 * section.sparse)
        else:
            shape = section.shape
            put(WEIGHTS, shape.filters, shape.height, shape.width, shape.channels)
            flags = section.form + 4 * section.by_channel + 8 * bool(section.coefficients)
            put(flags + 16 * section.width, section.largest)
            out += bytes(c & 255 for c in section.coefficients)
            if section.form == TABLE:
                put(section.below, section.above)
    return bytes(out)


class _Plan:
    def __init__(self, data: bytes):
        self._data, self._at = data, 0

    def left(self) -> bool:
        return self._at < len(self._data)

    def take(self, count: int) -> bytes:
        piece = self._data[self._at : self._at + count]
        if len(piece) != count:
            raise damaged("its plan is truncated")
        self._at += count
        return piece

    def number(self, least: int, most: int) -> int:
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
            if shift > 63:
                raise damaged("its plan has an unterminated number")
        if not least <= value <= most:
            raise damaged(f"its plan has {value} where {least} to {most} is allowed")
        return value

    def factor(self) -> int:
        return int.from_bytes(self.take(4), "little")


def damaged(what: str) -> ZooError:
    """Returns the error for a container that is not valid output of `pack`."""
    return ZooError(f"the container is damaged: {what}", remedy="get a new copy of the file")


def from_bytes(data: bytes, size: int) -> list[Section]:
    """Returns the sections of a binary plan.

    Args:
        data: The plan; untrusted.
        size: Size of the restored file in bytes.

    Raises:
        ZooError: if the plan is invalid or does not describe a file of that size.
    """
    plan = _Plan(data)
    listed: list[Section] = []
    kept: list[int] = []
    while plan.left():
        if len(listed) == MAX_SECTIONS:
            raise damaged("its plan has too many sections")
        section = _section(plan, kept, size)
        if isinstance(section, Floats) and section.kept:
            kept.append(section.count)
        listed.append(section)
    if (total := sum(bytes_of(listed))) != size:
        raise damaged(f"its sections have {total} bytes, but its header says {size}")
    return listed


def _section(plan: _Plan, kept: list[int], size: int) -> Section:
    kind = plan.number(PLAIN, WEIGHTS)
    if kind == PLAIN:
        return Plain(plan.number(0, size))
    if kind == FLOATS:
        count, flags = plan.number(0, MAX_LIST), plan.number(0, 3)
        return Floats(count, plan.factor() if flags & 1 else None, bool(flags & 2))
    if kind == AGAIN:
        if not kept:
            raise damaged("its plan repeats a list that does not exist")
        number, scaled = plan.number(0, len(kept) - 1), plan.number(0, 1)
        return Again(number, plan.factor() if scaled else None)
    if kind == INTEGERS:
        return Integers(plan.number(0, MAX_COUNT))
    if kind == DENSE:
        count, flags = plan.number(0, MAX_COUNT), plan.number(0, 15)
        if flags & 7 not in (2, 4):
            raise damaged(f"its plan has floats of {flags & 7} bytes")
        return Dense(count, flags & 7, bool(flags & 8))
    return _weights(plan)


def _weights(plan: _Plan) -> WeightsSection:
    numbers = [plan.number(1, MAX_COUNT) for _ in range(4)]
    shape = TensorShape(*numbers)
    if shape.count > MAX_COUNT or shape.positions > MAX_POSITIONS:
        raise damaged(f"its plan has an oversized tensor of {shape.count} weights")
    flags, largest = plan.number(16, 127), plan.number(1, MAX_LARGEST)
    form, width = flags & 3, flags >> 4
    if (
        width not in (1, 2, 4)
        or (form == DIRECT and largest > 1 << (8 * width - 1))
        or (form in (STEP, ROW_STEPS) and width != 4)
        or (form == TABLE and width == 1)
    ):
        raise damaged("its plan has weights of an unknown form")
    coefficients: tuple[int, ...] = ()
    if flags & 8:
        raw = np.frombuffer(plan.take(predictor(shape)[1]), np.int8)
        coefficients = tuple(int(c) for c in np.clip(raw, -COEFFICIENT_LIMIT, COEFFICIENT_LIMIT))
    below = above = 0
    if form == TABLE:
        below, above = (plan.number(0, MAX_LARGEST) for _ in range(2))
        if below + above >= MAX_LIST:
            raise damaged("its plan has an oversized codebook")
    by_channel = bool(flags & 4)
    return WeightsSection(shape, by_channel, form, width, largest, coefficients, below, above)


def bytes_of(sections: list[Section]) -> Iterator[int]:
    """Yields the number of bytes that each section occupies in the restored file."""
    kept: list[int] = []
    for section in sections:
        if isinstance(section, Plain):
            yield section.count
        elif isinstance(section, Again):
            yield 4 * kept[section.number]
        elif isinstance(section, WeightsSection):
            yield section.shape.count * section.width
        elif isinstance(section, Dense):
            yield section.count * section.width
        else:
            if isinstance(section, Floats) and section.kept:
                kept.append(section.count)
            yield 4 * section.count
