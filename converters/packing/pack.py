"""Packing of a file into a container, with the bytes that each kind of content takes."""

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

_POOR = 0.7  # share of the file size above which plain general compression may be as small


@dataclass(frozen=True)
class Packed:
    """A container and a breakdown of its size in bytes.

    Attributes:
        data: The container.
        weights: Bytes of the coded weights, including the uncoded bytes of dense floats.
        side: Bytes of codebooks, steps, biases and scales.
        rest: Bytes of everything else: graph, names, metadata and the container's header.
    """

    data: bytes
    weights: int
    side: int
    rest: int


def pack(content: bytes) -> Packed:
    """Packs a file of any kind; a `.tflite` shrinks far more than with general compression.

    The result is unpacked and compared with the input. A file that needs more sections than a
    container may have is packed as a single section of general bytes.

    Raises:
        ZooError: if the container does not unpack to the same bytes, which is a bug in the packer.
    """
    candidates = [_packed(content, segments(content))]
    if len(candidates[0].data) > _POOR * len(content) or not _restores(candidates[0], content):
        candidates.append(_packed(content, [Part(Plain(len(content)))]))
    for packed in sorted(candidates, key=lambda candidate: len(candidate.data)):
        if _restores(packed, content):
            return packed
    raise ZooError("packing failed: the container does not unpack to the original file")


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
    """Returns the size of the file's container in bytes."""
    return len(pack(content).data)


def _encode(codec: Codec, encoder: Encoder, part: Part, raw: bytearray) -> float:
    """Codes a part and returns the number of bits spent on its weights in the coder."""
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
    codec: Codec, encoder: Encoder, section: Dense, rotated: np.ndarray, raw: bytearray
) -> float:
    """Codes the exponents of dense floats and appends their other bytes to `raw`."""
    width = section.width
    exponents = (rotated >> (8 * width - 8)).astype(np.uint8)
    counts = np.bincount(exponents, minlength=256)
    # Scale counts to at most 12 bits, keeping values that occur above 0.
    histogram = np.where(counts > 0, np.maximum(1, counts * 4095 // counts.max()), 0)
    codec.histogram(histogram)
    before = encoder.bits
    codec.top(histogram, section.count, exponents)
    remaining = rotated[exponents != 0] if section.sparse else rotated
    for place in range(width - 1):
        raw += (remaining >> (8 * place) & 255).astype(np.uint8).tobytes()
    return encoder.bits - before
