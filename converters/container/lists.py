"""Coding lists of numbers that have no shape: biases, scales, codebooks, histograms.

Numbers are told by their length in bits, then their bits from the top. Of a float32, sign and
exponent are modelled; its mantissa is mostly noise, but for zero bits at the end that all of a
list have, as after rounding.
"""

from __future__ import annotations

import itertools

import numpy as np

from converters.container.arithmetic import Coder
from converters.container.mixing import Models, stacked

_MODELLED = 3  # bits below the first that are worth a model
_SMALLEST_BLOCK = 32


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
    zeros = None
    if values is not None:
        every = int(np.bitwise_or.reduce(values)) if n else 0
        zeros = np.array([min(23, (every & -every).bit_length() - 1) if every else 23], np.uint64)
    end = int(_tree(coder, models, (name, "end"), 5, 1, zeros)[0])
    end = min(end, 23)
    top = None if values is None else (values >> 23).astype(np.uint64)
    found = _tree(coder, models, (name, "top"), 9, n, top).astype(np.uint32) << np.uint32(23)
    rest = None if values is None else ((values & 0x7FFFFF) >> end).astype(np.uint64)
    mantissa = _tree(coder, models, (name, "mantissa", end), 23 - end, n, rest, modelled=4)
    return found | (mantissa.astype(np.uint32) << np.uint32(end))


def code_integers(
    coder: Coder, models: Models, name: object, n: int, values: np.ndarray | None = None
) -> np.ndarray:
    """Codes integers from 0 to 2^32 - 1, small ones in fewer bits.

    Args and returns as `code_floats`.
    """
    lengths = None
    if values is not None:
        # Exact: a float64 holds any 32-bit integer.
        lengths = np.frexp(values.astype(np.float64))[1].astype(np.uint64)
    lengths = np.minimum(_tree(coder, models, (name, "length"), 6, n, lengths), 32)
    found = (lengths > 0).astype(np.uint64)
    below = [models.get((name, "below", bit), (64, 64 << bit)) for bit in range(_MODELLED)]
    plain = models.get((name, "plain"), (64,))
    for bit in range(31):
        where = np.flatnonzero(lengths > bit + 1)
        if not len(where):
            break
        length = lengths[where].astype(np.int64)
        wanted = None
        if values is not None:
            wanted = values[where].astype(np.int64) >> (length - 2 - bit) & 1
        if bit < _MODELLED:
            node = (found[where] - (np.uint64(1) << np.uint64(bit))).astype(np.int64)
            kinds = stacked((64, 64 << bit), (length, (length << bit) + node), where.shape)
            got = below[bit].code(coder, kinds, wanted)
        else:
            got = plain.code(coder, np.full((1, len(where)), bit), wanted)
        found[where] = 2 * found[where] + got
    return found.astype(np.uint32)


def _tree(
    coder: Coder,
    models: Models,
    name: tuple[object, ...],
    bits: int,
    n: int,
    values: np.ndarray | None,
    modelled: int = 9,
) -> np.ndarray:
    """Codes numbers of some bits from the top; those after `modelled` bits as noise."""
    each = [models.get((*name, bit), (1 << bit if bit < modelled else 1,)) for bit in range(bits)]
    found = np.zeros(n, np.uint64)
    for start, end in _blocks(n):
        part = found[start:end]
        for bit, model in enumerate(each):
            wanted = None
            if values is not None:
                wanted = values[start:end] >> np.uint64(bits - 1 - bit) & np.uint64(1)
            node = part.astype(np.int64) if bit < modelled else np.zeros(len(part), np.int64)
            part = 2 * part + model.code(coder, node[np.newaxis], wanted)
        found[start:end] = part
    return found


def _blocks(n: int) -> list[tuple[int, int]]:
    """Blocks that double, so that the first ones teach the others."""
    edges = [0]
    while edges[-1] < n:
        edges.append(min(n, edges[-1] + max(_SMALLEST_BLOCK, min(edges[-1], 1 << 16))))
    return list(itertools.pairwise(edges))
