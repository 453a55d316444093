"""Coding the integers of one weight tensor: (filters, positions in the kernel, input channels).

A weight is told in binary decisions: zero or not; the octave of its magnitude, by a tree; its sign.
What these depend on is in `zoo.container.contexts`: what is decoded already of the same
filter, the same input channel, and the kernel's other positions. Weights are decoded a block at a
time, and blocks grow, so that the first ones, of which little is known, are small. Where in its
octave a magnitude is, is told last, of the whole tensor.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import cache

import numpy as np

from zoo.container.ans import Coder
from zoo.container.contexts import SCALES, SIGNED, UNSIGNED, Block, Contexts, Sums, scales
from zoo.container.mixing import Models
from zoo.container.number_lists import noise
from zoo.container.prediction import TensorShape

_OCTAVES = 17  # magnitudes 1, 2, 3-4, 5-8, ..., 32769-65536
_TOLD_APART = 5  # octaves that the sign depends on; the last one and those above are one
_ROW_BLOCKS = 6
_SMALLEST_BLOCK, _FIRST_SMALLEST_BLOCK = 1024, 256  # the latter of the first tensor of its kind
_SMALLEST_PIECE = 2048
_LARGEST_BLOCK = 1 << 15
_GROWTH = 3  # of blocks, one to the next
_PRIOR, _KEPT = 8, 4  # as `mixing.Models.get`


def code(
    coder: Coder,
    models: Models,
    shape: TensorShape,
    largest: int,
    coefficients: Sequence[int],
    values: np.ndarray | None = None,
) -> np.ndarray:
    """Codes a tensor.

    Args:
        coder: encoder or decoder.
        models: what was learned of tensors before; learns from this one.
        shape: of the tensor.
        largest: at least the largest magnitude, 1 to 65,536.
        coefficients: `prediction.predictor`'s, that predict a weight from those before it.
        values: int32 (filters, positions, channels) for an encoder, else None.

    Returns:
        int32 (filters, positions, channels).
    """
    sums = Sums(shape, coefficients)
    octaves = _Octaves(coder, models, shape, largest)
    exact = None if values is None else np.ascontiguousarray(values.transpose(1, 0, 2))
    for block in _blocks(shape, octaves.first):
        rows, position, columns = block
        wanted = None if exact is None else exact[position, rows, columns].reshape(-1)
        contexts = Contexts(sums, block)
        found = octaves.code(contexts, position, wanted)
        sums.add(block, found.reshape(contexts.shape))
    if largest > 2:
        _refine(coder, models, sums, largest, exact)
    return sums.values.transpose(1, 0, 2)


class _Octaves:
    """Codes whether a weight is zero, its octave and its sign."""

    def __init__(self, coder: Coder, models: Models, shape: TensorShape, largest: int):
        self._coder = coder
        self._spatial = shape.positions > 1
        kind = shape.positions
        zero = (UNSIGNED * SCALES, *((kind * UNSIGNED,) if self._spatial else ()))
        self.first = (kind, "zero") not in models  # of the tensors of its kind
        self._zero = models.get((kind, "zero"), zero, prior=_PRIOR, kept=_KEPT)
        size = (UNSIGNED * SCALES, SCALES * SCALES)
        depth = (largest - 1).bit_length().bit_length()
        self._sizes = [
            models.get(
                (self._spatial, "octave", depth, bit), size, 1 << bit, prior=_PRIOR, kept=_KEPT
            )
            for bit in range(depth)
        ]
        self._sign = models.get((kind, "sign"), (SIGNED * _TOLD_APART,), prior=_PRIOR, kept=_KEPT)

    def code(self, contexts: Contexts, position: int, wanted: np.ndarray | None) -> np.ndarray:
        """int32 (n,): the weights, those of an octave all as one; of these if there are any."""
        shape = contexts.shape
        kinds = np.empty((2, *shape), np.intp)
        np.add(contexts.unsigned * SCALES, contexts.scale, out=kinds[0])
        np.add(contexts.unsigned, position * UNSIGNED, out=kinds[1])
        kinds = kinds.reshape(2, -1)
        bits = None if wanted is None else wanted != 0
        zero = kinds if self._spatial else kinds[:1]
        where = np.flatnonzero(self._zero.code(self._coder, zero, bits))
        found = np.zeros(kinds.shape[1], np.int32)
        if not len(where):
            return found
        kinds[1] = contexts.around.reshape(-1)
        kinds = kinds.take(where, 1)
        octaves = None
        if wanted is not None:
            wanted = wanted[where]
            octaves = octave(np.abs(wanted))
        node = np.zeros(len(where), np.intp)
        for depth, model in enumerate(self._sizes):
            bits = None
            if octaves is not None:
                bits = octaves >> (len(self._sizes) - 1 - depth) & 1
            node += node
            node += model.code(self._coder, kinds, bits, node >> 1)
        signed = np.broadcast_to(contexts.signed, shape).reshape(-1).take(where)
        signed += np.minimum(node, _TOLD_APART - 1) * SIGNED
        bits = None if wanted is None else wanted < 0
        negative = self._sign.code(self._coder, signed[np.newaxis], bits)
        found[where] = _middles().take(2 * node + negative, mode="clip")
        return found


def _refine(
    coder: Coder, models: Models, sums: Sums, largest: int, exact: np.ndarray | None
) -> None:
    """Codes where in their octaves the magnitudes are, and puts them into `sums.values`."""
    deepest = (largest - 1).bit_length()
    first = models.get(("first", deepest), (_OCTAVES * SCALES,), prior=_PRIOR, kept=_KEPT)
    second = models.get(("second", deepest), (2 * _OCTAVES * SCALES,), prior=_PRIOR, kept=_KEPT)
    line = sums.values.reshape(-1)
    every = np.flatnonzero(sums.magnitudes.reshape(-1) > 2)
    for start, end in _pieces(len(every)):
        where = every[start:end]
        before = line[where]
        of = octave(np.abs(before)).astype(np.intp)
        low = None if exact is None else np.abs(exact.reshape(-1)[where]) - 1 - (1 << (of - 1))
        context = of * SCALES + scales(sums, where)
        bits = None if low is None else low >> (of - 2) & 1
        found = first.code(coder, context[np.newaxis], bits).astype(np.int64)
        more = np.flatnonzero(of > 2)
        context = context[more] + found[more] * (_OCTAVES * SCALES)
        bits = None if low is None else low[more] >> (of[more] - 3) & 1
        found[more] += found[more] + second.code(coder, context[np.newaxis], bits)
        more = np.flatnonzero(of > 3)
        left = of[more] - 3
        rest = noise(coder, left, None if low is None else low[more])
        found[more] = (found[more] << left) + rest
        found += 1 + (1 << (of - 1))
        line[where] = np.where(before < 0, -found, found)


def octave(magnitudes: np.ndarray) -> np.ndarray:
    """int32: 0 for 1, 1 for 2, 2 for 3 and 4, 3 for 5 to 8, ..."""
    return np.frexp((magnitudes - 1).astype(np.float64))[1]


@cache
def _middles() -> np.ndarray:
    """int32: what stands for each octave until the rest is known, and its negative."""
    middles = np.array([1, 2, *(1 + (23 << k >> 4) for k in range(1, _OCTAVES - 1))], np.int32)
    return np.stack([middles, -middles], 1).reshape(-1)


def _blocks(shape: TensorShape, first: bool) -> list[Block]:
    """Filters, position and channels of each block, in the order of coding."""
    columns = [0, *range(_LARGEST_BLOCK, shape.channels, _LARGEST_BLOCK), shape.channels]
    smallest = 1
    if shape.positions > 1:
        size = _FIRST_SMALLEST_BLOCK if first else _SMALLEST_BLOCK
        smallest = max(1, size // shape.channels)
    widest = min(shape.channels, _LARGEST_BLOCK)
    largest = max(1, _LARGEST_BLOCK // widest)
    rows = _growing(shape.filters, smallest, largest)
    return [
        (slice(top, bottom), position, slice(left, right))
        for top, bottom in itertools.pairwise(rows)
        for position in range(shape.positions)
        for left, right in itertools.pairwise(columns)
    ]


def _growing(count: int, smallest: int, largest: int) -> list[int]:
    """Edges of parts that grow, from `smallest` up to `largest`."""
    edges = [count]
    while len(edges) < _ROW_BLOCKS and edges[-1] // _GROWTH >= smallest:
        edges.append(edges[-1] // _GROWTH)
    edges = [0, *reversed(edges)]
    pieces = [range(a, b, largest) for a, b in itertools.pairwise(edges)]
    return [*(edge for piece in pieces for edge in piece), count]


def _pieces(count: int) -> list[tuple[int, int]]:
    """Pieces that grow, of what is told last."""
    edges = [0]
    while edges[-1] < count:
        size = min(max(_SMALLEST_PIECE, 3 * edges[-1]), _LARGEST_BLOCK)
        edges.append(min(count, edges[-1] + size))
    return list(itertools.pairwise(edges))
