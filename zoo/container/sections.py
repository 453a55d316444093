"""The sections of a container: what the restored file is made of, in its order.

The plan lists them. It is read from files of anyone, so each number is checked against what the
restored file can hold before anything is made of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from zoo.container.prediction import COEFFICIENT_LIMIT, MAX_POSITIONS, TensorShape, predictor
from zoo.errors import ZooError

MAX_COUNT = 1 << 22  # numbers in a section, which bounds what decoding it takes
MAX_LARGEST = 1 << 16
MAX_SECTIONS = 1 << 14
MAX_LIST = 1 << 16  # numbers of a codebook, or of a vector that is kept
PLAIN, FLOATS, AGAIN, INTEGERS, DENSE, WEIGHTS = range(6)
# How a weight's bytes follow from its integer.
DIRECT, TABLE, STEP, ROW_STEPS = range(4)


@dataclass(frozen=True)
class Plain:
    """Bytes of no particular kind."""

    count: int


@dataclass(frozen=True)
class Floats:
    """A list of float32, times a factor.

    Attributes:
        count: how many.
        factor: the bits of a float32, None for a list as it is.
        kept: whether an `Again` refers to it.
    """

    count: int
    factor: int | None = None
    kept: bool = False


@dataclass(frozen=True)
class Again:
    """A kept list times a factor: a bias's scales are its weights' times its input's."""

    number: int
    factor: int | None


@dataclass(frozen=True)
class Integers:
    """A list of int32."""

    count: int


@dataclass(frozen=True)
class Dense:
    """Floats that are all different: only their exponent is worth a model.

    Attributes:
        count: how many.
        width: bytes of one, 2 or 4.
        sparse: whether only zeros have the exponent's byte 0, so that this says all of them.
    """

    count: int
    width: int
    sparse: bool


@dataclass(frozen=True)
class WeightsSection:
    """A tensor whose values come from a short list.

    Attributes:
        shape: of the tensor.
        by_channel: whether the filters are the last axis of the file's tensor, not the first.
        form: DIRECT, TABLE, STEP or ROW_STEPS.
        width: bytes of a value, 1, 2 or 4.
        largest: the largest magnitude of the integers.
        coefficients: of the shape's predictor; empty for zeros.
        below, above: codebook entries below and above that of integer 0; for TABLE.
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
    """The plan of a container."""
    out = bytearray()

    def put(*numbers: int) -> None:
        for number in numbers:
            while number > 127:
                out.append(number & 127 | 128)
                number >>= 7
            out.append(number)

    for each in sections:
        if isinstance(each, Plain):
            put(PLAIN, each.count)
        elif isinstance(each, Floats):
            put(FLOATS, each.count, (each.factor is not None) + 2 * each.kept)
            out += b"" if each.factor is None else each.factor.to_bytes(4, "little")
        elif isinstance(each, Again):
            put(AGAIN, each.number, int(each.factor is not None))
            out += b"" if each.factor is None else each.factor.to_bytes(4, "little")
        elif isinstance(each, Integers):
            put(INTEGERS, each.count)
        elif isinstance(each, Dense):
            put(DENSE, each.count, each.width + 8 * each.sparse)
        else:
            shape = each.shape
            put(WEIGHTS, shape.filters, shape.height, shape.width, shape.channels)
            flags = each.form + 4 * each.by_channel + 8 * bool(each.coefficients)
            put(flags + 16 * each.width, each.largest)
            out += bytes(c & 255 for c in each.coefficients)
            if each.form == TABLE:
                put(each.below, each.above)
    return bytes(out)


class _Plan:
    def __init__(self, data: bytes):
        self._data, self._at = data, 0

    def left(self) -> bool:
        return self._at < len(self._data)

    def take(self, count: int) -> bytes:
        found = self._data[self._at : self._at + count]
        if len(found) != count:
            raise damaged("its plan is cut off")
        self._at += count
        return found

    def number(self, least: int, most: int) -> int:
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
            if shift > 63:
                raise damaged("its plan has a number without end")
        if not least <= value <= most:
            raise damaged(f"its plan says {value} where {least} to {most} is possible")
        return value

    def factor(self) -> int:
        return int.from_bytes(self.take(4), "little")


def damaged(what: str) -> ZooError:
    """The error for a container that can't be what `pack` wrote."""
    return ZooError(f"the container is damaged: {what}", remedy="get the file again")


def from_bytes(data: bytes, size: int) -> list[Section]:
    """The sections that a plan lists.

    Args:
        data: the plan.
        size: bytes of the restored file.

    Raises:
        ZooError: it is no plan, or not one of a file of that size.
    """
    plan = _Plan(data)
    found: list[Section] = []
    kept: list[int] = []
    while plan.left():
        if len(found) == MAX_SECTIONS:
            raise damaged("its plan has too many sections")
        section = _section(plan, kept, size)
        if isinstance(section, Floats) and section.kept:
            kept.append(section.count)
        found.append(section)
    if (total := sum(bytes_of(found))) != size:
        raise damaged(f"its sections are of {total} bytes, its header says {size}")
    return found


def _section(plan: _Plan, kept: list[int], size: int) -> Section:
    kind = plan.number(PLAIN, WEIGHTS)
    if kind == PLAIN:
        return Plain(plan.number(0, size))
    if kind == FLOATS:
        count, flags = plan.number(0, MAX_LIST), plan.number(0, 3)
        return Floats(count, plan.factor() if flags & 1 else None, bool(flags & 2))
    if kind == AGAIN:
        if not kept:
            raise damaged("its plan repeats a list before there is one")
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
        raise damaged(f"its plan has a tensor of {shape.count} weights")
    flags, largest = plan.number(16, 127), plan.number(1, MAX_LARGEST)
    form, width = flags & 3, flags >> 4
    if (
        width not in (1, 2, 4)
        or (form == DIRECT and largest > 1 << (8 * width - 1))
        or (form in (STEP, ROW_STEPS) and width != 4)
        or (form == TABLE and width == 1)
    ):
        raise damaged("its plan has weights of a kind that there is not")
    coefficients: tuple[int, ...] = ()
    if flags & 8:
        raw = np.frombuffer(plan.take(predictor(shape)[1]), np.int8)
        coefficients = tuple(int(c) for c in np.clip(raw, -COEFFICIENT_LIMIT, COEFFICIENT_LIMIT))
    below = above = 0
    if form == TABLE:
        below, above = (plan.number(0, MAX_LARGEST) for _ in range(2))
        if below + above >= MAX_LIST:
            raise damaged("its plan has too large a codebook")
    by_channel = bool(flags & 4)
    return WeightsSection(shape, by_channel, form, width, largest, coefficients, below, above)


def bytes_of(sections: list[Section]) -> Iterator[int]:
    """How many bytes of the restored file each section is."""
    kept: list[int] = []
    for each in sections:
        if isinstance(each, Plain):
            yield each.count
        elif isinstance(each, Again):
            yield 4 * kept[each.number]
        elif isinstance(each, WeightsSection):
            yield each.shape.count * each.width
        elif isinstance(each, Dense):
            yield each.count * each.width
        else:
            if isinstance(each, Floats) and each.kept:
                kept.append(each.count)
            yield 4 * each.count
