"""Coding lists of numbers that have no shape: biases, scales, codebooks, histograms.

Of a float32, sign, exponent and the first bits of its mantissa are modeled; the rest is noise, but
for zero bits at the end that all of a list have, as after rounding. Of an integer, its length in
bits and its first bits are.
"""

from __future__ import annotations

import itertools

import numpy as np

from zoo.container.ans import Coder
from zoo.container.mixing import Models

_MODELED = 3  # bits below the first that are worth a model, of an integer
_MANTISSA = 2  # such bits of a float
_SMALLEST_BLOCK, _LARGEST_BLOCK = 64, 1 << 16
_PRIOR, _KEPT = 1, 16  # as `mixing.Models.get`
_FEW = 8  # floats, which are told as they are
_EVEN = np.ones(256, np.int64)  # bytes of noise


def code_floats(
    coder: Coder, models: Models, name: object, n: int, values: np.ndarray | None = None
) -> np.ndarray:
    """Codes float32 numbers by their bits, whatever these are.

    Args:
        coder: encoder or decoder.
        models: what was learned of lists before; learns from this one.
        name: what kind of list this is.
        n: how many numbers.
        values: uint32 (n,), the numbers' bits, for an encoder, else None.

    Returns:
        uint32 (n,).
    """
    if n <= _FEW:
        return noise(coder, np.full(n, 32), values)
    ending = None
    if values is not None:
        every = int(np.bitwise_or.reduce(values))
        ending = np.array([min(23, (every & -every).bit_length() - 1) if every else 23])
    end = min(int(noise(coder, np.array([8]), ending)[0]), 23)
    modeled = 9 + min(_MANTISSA, 23 - end)
    below = 32 - modeled
    top = None if values is None else values.astype(np.int64) >> below
    found = _tree(coder, models, (name, modeled), modeled, n, top)
    rest = noise(coder, np.full(n, below - end), None if values is None else values >> end)
    return (found << below).astype(np.uint32) | rest << np.uint32(end)


def code_integers(
    coder: Coder, models: Models, name: object, n: int, values: np.ndarray | None = None
) -> np.ndarray:
    """Codes integers from 0 to 2^32 - 1, small ones in fewer bits.

    Args and returns as `code_floats`.
    """
    lengths = None
    if values is not None:
        # Exact: a float64 holds any 32-bit integer.
        lengths = np.frexp(values.astype(np.float64))[1]
    lengths = np.minimum(_tree(coder, models, (name, "length"), 6, n, lengths), 32)
    found = (lengths > 0).astype(np.int64)
    where = np.flatnonzero(lengths > 1)
    for bit in range(_MODELED):
        if not len(where):
            break
        length = lengths[where]
        sizes = (64, 64 << bit)
        model = models.get((name, "below", bit), sizes, prior=_PRIOR, kept=_KEPT)
        wanted = None
        if values is not None:
            wanted = values[where].astype(np.int64) >> (length - 2 - bit) & 1
        node = found[where] - (1 << bit)
        kinds = np.stack([length, (length << bit) + node])
        found[where] += found[where] + model.code(coder, kinds, wanted)
        where = where[length > bit + 2]
    left = lengths[where] - 1 - _MODELED
    rest = noise(coder, left, None if values is None else values[where])
    found[where] = (found[where] << left) + rest
    return found.astype(np.uint32)


def noise(coder: Coder, left: np.ndarray, values: np.ndarray | None) -> np.ndarray:
    """Codes numbers that nothing is known of.

    Args:
        coder: encoder or decoder.
        left: int (n,), how many bits of each are told, 0 to 32, from the last.
        values: (n,) for an encoder, else None; bits above those told are ignored.

    Returns:
        uint32 (n,).
    """
    if not len(left):
        return np.zeros(0, np.uint32)
    wide = max(1, -(-int(left.max()) // 8))  # bytes that are looked at; most numbers have few bits
    found = np.zeros((len(left), 4), np.uint8)
    for at in range(0, len(left), _LARGEST_BLOCK):
        part = slice(at, at + _LARGEST_BLOCK)
        told = np.arange(8 * wide) >= 8 * wide - left[part, np.newaxis]
        many = int(np.count_nonzero(told))
        wanted = None
        if values is not None:
            quads = values[part].astype(">u4").view(np.uint8).reshape(-1, 4)
            wanted = np.packbits(np.unpackbits(quads[:, 4 - wide :], 1)[told])
        got = coder.plane(_EVEN, -(-many // 8), wanted)
        bits = np.zeros(told.shape, np.uint8)
        bits[told] = np.unpackbits(got, count=many)
        found[part, 4 - wide :] = np.packbits(bits, 1)
    return found.view(">u4").reshape(-1).astype(np.uint32)


def _tree(
    coder: Coder,
    models: Models,
    name: tuple[object, ...],
    bits: int,
    n: int,
    values: np.ndarray | None,
) -> np.ndarray:
    """Codes numbers of some bits from the top; int64 (n,)."""
    found = np.zeros(n, np.int64)
    if not n:
        return found
    each = [models.get((*name, bit), (1 << bit,), prior=_PRIOR, kept=_KEPT) for bit in range(bits)]
    for start, end in _blocks(n):
        part = found[start:end]
        for bit, model in enumerate(each):
            wanted = None if values is None else values[start:end] >> (bits - 1 - bit) & 1
            part = 2 * part + model.code(coder, part[np.newaxis], wanted)
        found[start:end] = part
    return found


def _blocks(n: int) -> list[tuple[int, int]]:
    """Blocks that grow, so that the first ones teach the others."""
    edges = [0]
    while edges[-1] < n:
        edges.append(min(n, edges[-1] + max(_SMALLEST_BLOCK, min(3 * edges[-1], _LARGEST_BLOCK))))
    return list(itertools.pairwise(edges))
