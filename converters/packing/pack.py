"""Packing: the sections of a file, coded, and what takes how many bytes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from converters.packing.segment import segments
from converters.packing.tensor_coding import Part
from zoo.container import lzma_stream, sections, unpack
from zoo.container.ans import Encoder
from zoo.container.codec import Codec, folded
from zoo.container.sections import (
    ROW_STEPS,
    STEP,
    TABLE,
    Again,
    Dense,
    Floats,
    Integers,
    Plain,
    WeightsSection,
)
from zoo.errors import ZooError

_POOR = 0.7  # of the file, above which general means may be as good


@dataclass(frozen=True)
class Packed:
    """A container, and where its bytes are.

    Attributes:
        data: the container.
        weights: bytes of the weights' integers, or of dense weights.
        side: bytes of codebooks, steps, biases and scales.
        rest: bytes of all else: the graph, names, metadata, the container's own header.
    """

    data: bytes
    weights: int
    side: int
    rest: int


def pack(content: bytes) -> Packed:
    """Packs a file, whatever it is; a `.tflite` becomes much smaller than by general means.

    What was packed is unpacked and compared. A file that is cut into more sections than a container
    may have is packed as one of general bytes.

    Raises:
        ZooError: it does not unpack to the same bytes, which would be our mistake.
    """
    found = [_packed(content, segments(content))]
    if len(found[0].data) > _POOR * len(content) or not _restores(found[0], content):
        found.append(_packed(content, [Part(Plain(len(content)))]))
    for packed in sorted(found, key=lambda each: len(each.data)):
        if _restores(packed, content):
            return packed
    raise ZooError("packing went wrong: the container does not restore the file")


def _restores(packed: Packed, content: bytes) -> bool:
    try:
        return unpack.unpack_bytes(packed.data, len(content)) == content
    except ZooError:
        return False


def _packed(content: bytes, parts: list[Part]) -> Packed:
    encoder = Encoder()
    codec = Codec(encoder)
    rest, raw = bytearray(), bytearray()
    at, weight_bits = 0, 0.0
    for part, size in zip(parts, sections.bytes_of([p.section for p in parts]), strict=True):
        if isinstance(part.section, Plain):
            rest += content[at : at + size]
        else:
            weight_bits += _encode(codec, encoder, part, raw)
        at += size
    plan = sections.to_bytes([part.section for part in parts])
    coded = encoder.finish()
    general_part = lzma_stream.compress((len(plan) & 0xFFFFFF).to_bytes(3, "little") + plan + rest)
    data = unpack.assemble(content, general_part, bytes(raw), coded)
    weights = min(round(weight_bits / 8), len(coded)) + len(raw)
    side = len(coded) + len(raw) - weights
    return Packed(data, weights, side, len(data) - weights - side)


def packed_size(content: bytes) -> int:
    """Bytes of the file's container."""
    return len(pack(content).data)


def _encode(codec: Codec, encoder: Encoder, part: Part, raw: bytearray) -> float:
    """Codes one part; the bits that its weights took in the coder."""
    section, numbers = part.section, part.numbers
    if isinstance(section, Again) or numbers is None:
        return 0.0
    if isinstance(section, Floats):
        codec.floats(section.count, numbers)
    elif isinstance(section, Integers):
        codec.integers(section.count, folded(numbers))
    elif isinstance(section, Dense):
        return _dense(codec, encoder, section, numbers, raw)
    elif isinstance(section, WeightsSection):
        if section.form == TABLE and part.codebook is not None:
            codec.table(section, part.codebook)
        elif section.form in (STEP, ROW_STEPS):
            codec.steps(section, part.codebook)
        before = encoder.bits
        codec.weights(section, numbers)
        return encoder.bits - before
    return 0.0


def _dense(
    codec: Codec, encoder: Encoder, section: Dense, turned: np.ndarray, raw: bytearray
) -> float:
    width = section.width
    exponents = (turned >> (8 * width - 8)).astype(np.uint8)
    counts = np.bincount(exponents, minlength=256)
    # Counts of at most 12 bits, none of what occurs 0.
    histogram = np.where(counts > 0, np.maximum(1, counts * 4095 // counts.max()), 0)
    codec.histogram(histogram)
    before = encoder.bits
    codec.top(histogram, section.count, exponents)
    left = turned[exponents != 0] if section.sparse else turned
    for place in range(width - 1):
        raw += (left >> (8 * place) & 255).astype(np.uint8).tobytes()
    return encoder.bits - before
