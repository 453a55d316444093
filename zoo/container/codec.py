"""Section codec shared by encoding and decoding, so the two directions can't disagree.

The content of a section goes to three places: the entropy coder, the general bytes, and raw bytes
that no coder can compress (the mantissas of dense weights).
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
    """Source of general or raw bytes for decoding."""

    def take(self, count: int) -> bytes:
        """Returns the next bytes: at least one, at most `count`."""
        ...


class Codec:
    """Codes sections in file order.

    Args:
        coder: Encoder or decoder.
        general: General bytes for decoding; an encoder needs none.
        raw: Raw bytes for decoding; an encoder needs none.
    """

    def __init__(
        self, coder: Coder, general: ByteStream | None = None, raw: ByteStream | None = None
    ):
        self._coder, self._general, self._raw = coder, general, raw
        self._models = Models()
        self._kept: list[np.ndarray] = []

    def decode(self, section: Section) -> Iterator[bytes]:
        """Yields the section's bytes in pieces.

        Raises:
            ZooError: if the data is not valid output of `pack`.
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

    def floats(self, count: int, values: np.ndarray | None = None) -> np.ndarray:
        """Codes a list of float32 numbers given by their bits.

        Args:
            count: Number of floats.
            values: The floats' bits, uint32 (count,), for an encoder; None for a decoder.

        Returns:
            The floats' bits, uint32 (count,).
        """
        return number_lists.code_floats(self._coder, self._models, "floats", count, values)

    def integers(self, count: int, values: np.ndarray | None = None) -> np.ndarray:
        """Codes a list of integers.

        Args:
            count: Number of integers.
            values: Output of `folded`, uint32 (count,), for an encoder; None for a decoder.

        Returns:
            The folded integers, uint32 (count,).
        """
        return number_lists.code_integers(self._coder, self._models, "integers", count, values)

    def steps(self, section: WeightsSection, values: np.ndarray | None = None) -> np.ndarray:
        """Codes the quantization step of a tensor.

        Args:
            section: The tensor's section, with form STEP or ROW_STEPS.
            values: The steps, float32, for an encoder; None for a decoder.

        Returns:
            The steps, float32: one for STEP, one per filter for ROW_STEPS.
        """
        count = 1 if section.form == STEP else section.shape.filters
        bits = None if values is None else values.view(np.uint32)
        name = ("step", section.form)
        return number_lists.code_floats(self._coder, self._models, name, count, bits).view(
            np.float32
        )

    def table(self, section: WeightsSection, values: np.ndarray | None = None) -> np.ndarray:
        """Codes the codebook of a tensor.

        Args:
            section: The tensor's section, with form TABLE.
            values: Sorted entries as returned by `codebooks.ordered`, int64, for an encoder; None
                for a decoder.

        Returns:
            The sorted entries, int64.
        """
        count = section.below + 1 + section.above
        first = None
        if values is not None:
            first = codebooks.unordered(values[:1], 4) if section.width == 4 else values[:1] + 65536
        name = ("table", section.width)
        start = number_lists.code_floats(
            self._coder, self._models, (*name, "first"), 1,
            None if first is None else first.astype(np.uint32),
        )  # fmt: skip
        lowest = int(codebooks.ordered(start)[0]) if section.width == 4 else int(start[0]) - 65536
        steps = None if values is None else np.diff(values)
        rest = number_lists.code_integers(self._coder, self._models, name, count - 1, steps)
        entries = lowest + np.concatenate([[0], np.cumsum(rest.astype(np.int64))])
        half = 1 << (8 * section.width - 1)
        if entries[0] < -half or entries[-1] >= half:
            raise damaged("a codebook entry is out of range")
        return entries

    def weights(self, section: WeightsSection, values: np.ndarray | None = None) -> np.ndarray:
        """Codes the integers of a tensor.

        Args:
            section: The tensor's section.
            values: The integers, int32 (filters, positions, channels), for an encoder; None for a
                decoder.

        Returns:
            The integers, int32 (filters, positions, channels).
        """
        coefficients = section.coefficients or (0,) * predictor(section.shape)[1]
        return weights.code(
            self._coder,
            self._models,
            section.shape,
            section.largest,
            coefficients,
            values,
        )

    def histogram(self, values: np.ndarray | None = None) -> np.ndarray:
        """Codes the expected frequency of each byte value.

        Args:
            values: The histogram, (256,), for an encoder; None for a decoder.

        Returns:
            The histogram, int64 (256,).
        """
        counts = number_lists.code_integers(self._coder, self._models, "histogram", 256, values)
        return counts.astype(np.int64)

    def top(
        self, histogram: np.ndarray, count: int, values: np.ndarray | None = None
    ) -> np.ndarray:
        """Codes the exponent bytes of dense floats.

        Args:
            histogram: Expected frequency of each byte value, (256,).
            count: Number of floats.
            values: The exponent bytes, uint8 (count,), for an encoder; None for a decoder.

        Returns:
            The exponent bytes, uint8 (count,).
        """
        return self._coder.plane(histogram, count, values)

    def _dense(self, section: Dense) -> bytes:
        width, top = section.width, 8 * section.width - 8
        exponents = self.top(self.histogram(), section.count).astype(f"u{width}")
        stored = exponents != 0 if section.sparse else np.ones(section.count, bool)
        stored_count = int(np.count_nonzero(stored))
        values = np.zeros(section.count, f"u{width}")
        for byte in range(width - 1):
            plane = np.frombuffer(b"".join(_pieces(self._raw, stored_count)), np.uint8)
            values[stored] |= plane.astype(f"u{width}") << (8 * byte)
        return _unrotated(values | exponents << top).astype(f"<u{width}").tobytes()

    def _weights(self, section: WeightsSection) -> bytes:
        form, width = section.form, section.width
        if form == DIRECT:
            integers = self.weights(section)
            half = 1 << (8 * width - 1)
            if integers.min() < -half or integers.max() >= half:
                raise damaged("a weight is out of range for its type")
            values = integers.astype(f"<i{width}")
        elif form in (STEP, ROW_STEPS):
            steps = self.steps(section)
            values = codebooks.times(self.weights(section), steps.reshape(-1, 1, 1)).astype("<f4")
        else:
            entries = self.table(section)
            indices = self.weights(section) + section.below
            if indices.min() < 0 or indices.max() >= len(entries):
                raise damaged("a code is outside its codebook")
            values = codebooks.unordered(entries, width).astype(f"<u{width}")[indices]
        if section.by_channel:
            values = values.transpose(1, 2, 0)
        return values.tobytes()


def scaled(bits: np.ndarray, factor: int | None) -> bytes:
    """Returns the bytes of float32 numbers times a factor, each product rounded once.

    Args:
        bits: The numbers' bits, uint32.
        factor: Bits of a float32; None to leave the numbers unscaled.
    """
    if factor is None:
        return bits.astype("<u4").tobytes()
    with np.errstate(all="ignore"):
        product = bits.view(np.float32) * np.uint32(factor).view(np.float32)
    return product.astype("<f4").tobytes()


def folded(numbers: np.ndarray) -> np.ndarray:
    """Maps int32 numbers 0, -1, 1, -2, … to uint32 numbers 0, 1, 2, 3, …"""
    wide = numbers.astype(np.int64)
    return np.where(wide < 0, -2 * wide - 1, 2 * wide).astype(np.uint32)


def _signed(numbers: np.ndarray) -> np.ndarray:
    wide = numbers.astype(np.int64)
    return np.where(wide & 1, -(wide >> 1) - 1, wide >> 1)


def _unrotated(bits: np.ndarray) -> np.ndarray:
    """Moves the sign bit from the lowest back to the highest position."""
    return bits >> 1 | bits << (8 * bits.dtype.itemsize - 1)


def _pieces(source: ByteStream | None, count: int) -> Iterator[bytes]:
    if source is None:
        raise ValueError("an encoder has no bytes to read")
    while count:
        piece = source.take(min(count, _CHUNK))
        count -= len(piece)
        yield piece
