"""Coding of plain lists of numbers: biases, scales, codebooks and histograms.

For a float32, the sign, the exponent and the first bits of the mantissa are modeled. The remaining
bits are coded as noise, except trailing zero bits common to the whole list, as after rounding. For
an integer, its bit length and its first bits are modeled.
"""

from __future__ import annotations

import itertools

import numpy as np

from zoo.container.ans import Coder
from zoo.container.mixing import Models

_MODELED = 3  # modeled bits of an integer below its leading one
_MANTISSA = 2  # modeled mantissa bits of a float
_SMALLEST_BLOCK, _LARGEST_BLOCK = 64, 1 << 16
_PRIOR, _KEPT = 1, 16  # see `mixing.Models.get`
_FEW = 8  # lists of at most this many floats are coded without a model
_EVEN = np.ones(256, np.int64)  # histogram of noise bytes


def code_floats(
    coder: Coder, models: Models, name: object, n: int, values: np.ndarray | None = None
) -> np.ndarray:
    """Codes float32 numbers by their bits; any bit pattern is allowed.

    Args:
        coder: Encoder or decoder.
        models: Models learned from earlier lists; updated with this one.
        name: Kind of list; lists of the same kind share models.
        n: Number of floats.
        values: The floats' bits, uint32 (n,), for an encoder; None for a decoder.

    Returns:
        The floats' bits, uint32 (n,).
    """
    if n <= _FEW:
        return noise(coder, np.full(n, 32), values)
    trailing_zeros = None
    if values is not None:
        combined = int(np.bitwise_or.reduce(values))
        trailing_zeros = np.array(
            [min(23, (combined & -combined).bit_length() - 1) if combined else 23]
        )
    end = min(int(noise(coder, np.array([8]), trailing_zeros)[0]), 23)
    modeled = 9 + min(_MANTISSA, 23 - end)
    below = 32 - modeled
    top = None if values is None else values.astype(np.int64) >> below
    high_bits = _tree(coder, models, (name, modeled), modeled, n, top)
    low_bits = noise(coder, np.full(n, below - end), None if values is None else values >> end)
    return (high_bits << below).astype(np.uint32) | low_bits << np.uint32(end)


def code_integers(
    coder: Coder, models: Models, name: object, n: int, values: np.ndarray | None = None
) -> np.ndarray:
    """Codes integers from 0 to 2^32 - 1; smaller integers take fewer bits.

    Args:
        coder: Encoder or decoder.
        models: Models learned from earlier lists; updated with this one.
        name: Kind of list; lists of the same kind share models.
        n: Number of integers.
        values: The integers, uint32 (n,), for an encoder; None for a decoder.

    Returns:
        The integers, uint32 (n,).
    """
    lengths = None
    if values is not None:
        # Exact, since float64 represents every 32-bit integer.
        lengths = np.frexp(values.astype(np.float64))[1]
    lengths = np.minimum(_tree(coder, models, (name, "length"), 6, n, lengths), 32)
    result = (lengths > 0).astype(np.int64)
    where = np.flatnonzero(lengths > 1)
    for bit in range(_MODELED):
        if not len(where):
            break
        length = lengths[where]
        sizes = (64, 64 << bit)
        model = models.get((name, "below", bit), sizes, prior=_PRIOR, kept=_KEPT)
        decisions = None
        if values is not None:
            decisions = values[where].astype(np.int64) >> (length - 2 - bit) & 1
        node = result[where] - (1 << bit)
        contexts = np.stack([length, (length << bit) + node])
        result[where] += result[where] + model.code(coder, contexts, decisions)
        where = where[length > bit + 2]
    left = lengths[where] - 1 - _MODELED
    rest = noise(coder, left, None if values is None else values[where])
    result[where] = (result[where] << left) + rest
    return result.astype(np.uint32)


def noise(coder: Coder, left: np.ndarray, values: np.ndarray | None) -> np.ndarray:
    """Codes uniformly distributed bits without a model.

    Args:
        coder: Encoder or decoder.
        left: Number of low bits of each number to code, 0 to 32, int (n,).
        values: The numbers (n,) for an encoder; None for a decoder. Higher bits are ignored.

    Returns:
        The low bits of each number, uint32 (n,).
    """
    if not len(left):
        return np.zeros(0, np.uint32)
    # Bytes to process per number; most numbers have few bits.
    wide = max(1, -(-int(left.max()) // 8))
    result = np.zeros((len(left), 4), np.uint8)
    for at in range(0, len(left), _LARGEST_BLOCK):
        part = slice(at, at + _LARGEST_BLOCK)
        coded = np.arange(8 * wide) >= 8 * wide - left[part, np.newaxis]
        count = int(np.count_nonzero(coded))
        packed = None
        if values is not None:
            quads = values[part].astype(">u4").view(np.uint8).reshape(-1, 4)
            packed = np.packbits(np.unpackbits(quads[:, 4 - wide :], 1)[coded])
        decoded = coder.plane(_EVEN, -(-count // 8), packed)
        bits = np.zeros(coded.shape, np.uint8)
        bits[coded] = np.unpackbits(decoded, count=count)
        result[part, 4 - wide :] = np.packbits(bits, 1)
    return result.view(">u4").reshape(-1).astype(np.uint32)


def _tree(
    coder: Coder,
    models: Models,
    name: tuple[object, ...],
    bits: int,
    n: int,
    values: np.ndarray | None,
) -> np.ndarray:
    """Codes numbers of equal length bit by bit, from the highest bit.

    Args:
        coder: Encoder or decoder.
        models: Models learned from earlier lists; updated with this one.
        name: Prefix of the models' names.
        bits: Length of each number in bits.
        n: Number of numbers.
        values: The numbers, int (n,), for an encoder; None for a decoder.

    Returns:
        The numbers, int64 (n,).
    """
    result = np.zeros(n, np.int64)
    if not n:
        return result
    bit_models = [
        models.get((*name, bit), (1 << bit,), prior=_PRIOR, kept=_KEPT) for bit in range(bits)
    ]
    for start, end in _blocks(n):
        part = result[start:end]
        for bit, model in enumerate(bit_models):
            decisions = None if values is None else values[start:end] >> (bits - 1 - bit) & 1
            part = 2 * part + model.code(coder, part[np.newaxis], decisions)
        result[start:end] = part
    return result


def _blocks(n: int) -> list[tuple[int, int]]:
    """Returns (start, end) of blocks that grow, so the models learn from small blocks first."""
    edges = [0]
    while edges[-1] < n:
        edges.append(min(n, edges[-1] + max(_SMALLEST_BLOCK, min(3 * edges[-1], _LARGEST_BLOCK))))
    return list(itertools.pairwise(edges))
