"""Coding one section, in either direction, so that both can't disagree.

What a section's bytes are made of goes to three places: the arithmetic coder, the general bytes,
and raw bytes that no coder makes smaller (the mantissas of dense weights).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np

from zoo.container import codebooks, number_lists, weights
from zoo.container.ans import Coder
from zoo.container.mixing import Models
from zoo.container.prediction import predictor
from zoo.container.sections import (
    DIRECT,
    ROW_STEPS,
    STEP,
    Again,
    Dense,
    Floats,
    Integers,
    Plain,
    Section,
    WeightsSection,
    damaged,
)

_CHUNK = 1 << 20


class ByteStream(Protocol):
    """General or raw bytes; a writer is given them, a reader finds them."""

    def take(self, count: int) -> bytes:
        """The next bytes, `count` or fewer, at least one."""
        ...


class Codec:
    """Codes sections in the order of the file.

    Args:
        coder: an encoder, or a decoder.
        general, raw: where a decoder finds such bytes; an encoder needs none.
    """

    def __init__(
        self, coder: Coder, general: ByteStream | None = None, raw: ByteStream | None = None
    ):
        self._coder, self._general, self._raw = coder, general, raw
        self._models = Models()
        self._kept: list[np.ndarray] = []

    def decode(self, section: Section) -> Iterator[bytes]:
        """The section's bytes, in pieces.

        Raises:
            ZooError: there is something that `pack` would not have written.
        """
        if isinstance(section, Plain):
            yield from _pieces(self._general, section.count)
        elif isinstance(section, Floats):
            bits = self.floats(section.count)
            if section.kept:
                self._kept.append(bits)
            yield scaled(bits, section.factor)
        elif isinstance(section, Again):
            yield scaled(self._kept[section.number], section.factor)
        elif isinstance(section, Integers):
            yield _signed(self.integers(section.count)).astype("<i4").tobytes()
        elif isinstance(section, Dense):
            yield self._dense(section)
        else:
            yield self._weights(section)

    def floats(self, count: int, found: np.ndarray | None = None) -> np.ndarray:
        """uint32 (count,): a list of float32 by their bits."""
        return number_lists.code_floats(self._coder, self._models, "floats", count, found)

    def integers(self, count: int, found: np.ndarray | None = None) -> np.ndarray:
        """uint32 (count,): a list of integers, as `folded`."""
        return number_lists.code_integers(self._coder, self._models, "integers", count, found)

    def steps(self, section: WeightsSection, found: np.ndarray | None = None) -> np.ndarray:
        """float32: the step, or that of each filter."""
        count = 1 if section.form == STEP else section.shape.filters
        bits = None if found is None else found.view(np.uint32)
        name = ("step", section.form)
        return number_lists.code_floats(self._coder, self._models, name, count, bits).view(
            np.float32
        )

    def table(self, section: WeightsSection, found: np.ndarray | None = None) -> np.ndarray:
        """int64: a codebook, as `values.ordered` and sorted."""
        count = section.below + 1 + section.above
        first = None
        if found is not None:
            first = codebooks.unordered(found[:1], 4) if section.width == 4 else found[:1] + 65536
        name = ("table", section.width)
        start = number_lists.code_floats(
            self._coder, self._models, (*name, "first"), 1,
            None if first is None else first.astype(np.uint32),
        )  # fmt: skip
        lowest = int(codebooks.ordered(start)[0]) if section.width == 4 else int(start[0]) - 65536
        steps = None if found is None else np.diff(found)
        rest = number_lists.code_integers(self._coder, self._models, name, count - 1, steps)
        entries = lowest + np.concatenate([[0], np.cumsum(rest.astype(np.int64))])
        half = 1 << (8 * section.width - 1)
        if entries[0] < -half or entries[-1] >= half:
            raise damaged("a codebook that can't be right")
        return entries

    def weights(self, section: WeightsSection, found: np.ndarray | None = None) -> np.ndarray:
        """int32 (filters, positions, channels): the integers."""
        coefficients = section.coefficients or (0,) * predictor(section.shape)[1]
        return weights.code(
            self._coder,
            self._models,
            section.shape,
            section.largest,
            coefficients,
            found,
        )

    def histogram(self, found: np.ndarray | None = None) -> np.ndarray:
        """int64 (256,): how often each byte is expected."""
        got = number_lists.code_integers(self._coder, self._models, "histogram", 256, found)
        return got.astype(np.int64)

    def top(self, histogram: np.ndarray, count: int, found: np.ndarray | None = None) -> np.ndarray:
        """uint8 (count,): the exponents of dense floats."""
        return self._coder.plane(histogram, count, found)

    def _dense(self, section: Dense) -> bytes:
        width, top = section.width, 8 * section.width - 8
        exponents = self.top(self.histogram(), section.count).astype(f"u{width}")
        where = exponents != 0 if section.sparse else np.ones(section.count, bool)
        many = int(np.count_nonzero(where))
        found = np.zeros(section.count, f"u{width}")
        for place in range(width - 1):
            plane = np.frombuffer(b"".join(_pieces(self._raw, many)), np.uint8)
            found[where] |= plane.astype(f"u{width}") << (8 * place)
        return _unrotated(found | exponents << top).astype(f"<u{width}").tobytes()

    def _weights(self, section: WeightsSection) -> bytes:
        form, width = section.form, section.width
        if form == DIRECT:
            integers = self.weights(section)
            half = 1 << (8 * width - 1)
            if integers.min() < -half or integers.max() >= half:
                raise damaged("a weight that its type can't hold")
            found = integers.astype(f"<i{width}")
        elif form in (STEP, ROW_STEPS):
            steps = self.steps(section)
            found = codebooks.times(self.weights(section), steps.reshape(-1, 1, 1)).astype("<f4")
        else:
            entries = self.table(section)
            places = self.weights(section) + section.below
            if places.min() < 0 or places.max() >= len(entries):
                raise damaged("a code beyond its codebook")
            found = codebooks.unordered(entries, width).astype(f"<u{width}")[places]
        if section.by_channel:
            found = found.transpose(1, 2, 0)
        return found.tobytes()


def scaled(bits: np.ndarray, factor: int | None) -> bytes:
    """The bytes of float32 numbers, given by their bits, times a factor, rounded once."""
    if factor is None:
        return bits.astype("<u4").tobytes()
    with np.errstate(all="ignore"):
        product = bits.view(np.float32) * np.uint32(factor).view(np.float32)
    return product.astype("<f4").tobytes()


def folded(numbers_: np.ndarray) -> np.ndarray:
    """uint32: int32 numbers by their magnitude, 0, -1, 1, -2, ..."""
    wide = numbers_.astype(np.int64)
    return np.where(wide < 0, -2 * wide - 1, 2 * wide).astype(np.uint32)


def _signed(numbers_: np.ndarray) -> np.ndarray:
    wide = numbers_.astype(np.int64)
    return np.where(wide & 1, -(wide >> 1) - 1, wide >> 1)


def _unrotated(bits: np.ndarray) -> np.ndarray:
    """Floats' bits, of which the sign was last."""
    return bits >> 1 | bits << (8 * bits.dtype.itemsize - 1)


def _pieces(source: ByteStream | None, count: int) -> Iterator[bytes]:
    if source is None:
        raise ValueError("an encoder has no bytes to read")
    while count:
        piece = source.take(min(count, _CHUNK))
        count -= len(piece)
        yield piece
