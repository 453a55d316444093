"""Coding of the integers of one weight tensor: (filters, kernel positions, input channels).

A weight is coded as binary decisions: whether it is zero, the octave of its magnitude (by a tree),
and its sign. Their contexts (`zoo.container.contexts`) are computed from the weights already
decoded in the same filter, the same input channel and the other kernel positions. Weights are
decoded block by block. Blocks grow, so the first ones are small while little is known. The position
of each magnitude within its octave is coded last, for the whole tensor.
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
_SIGN_OCTAVES = 5  # octave groups in the sign's context; the last group includes all higher octaves
_ROW_BLOCKS = 6
_SMALLEST_BLOCK, _FIRST_SMALLEST_BLOCK = 1024, 256  # the latter for the first tensor of its kind
_SMALLEST_PIECE = 2048
_LARGEST_BLOCK = 1 << 15
_GROWTH = 3  # size ratio of consecutive blocks
_PRIOR, _KEPT = 8, 4  # see `mixing.Models.get`


def code(
    coder: Coder,
    models: Models,
    shape: TensorShape,
    largest: int,
    coefficients: Sequence[int],
    values: np.ndarray | None = None,
) -> np.ndarray:
    """Codes the integers of a tensor.

    Args:
        coder: Encoder or decoder.
        models: Models learned from earlier tensors; updated with this one.
        shape: Shape of the tensor.
        largest: Upper bound on the magnitudes, 1 to 65,536.
        coefficients: Coefficients of `prediction.predictor` for this shape.
        values: The integers, int32 (filters, positions, channels), for an encoder; None for a
            decoder.

    Returns:
        The integers, int32 (filters, positions, channels).
    """
    sums = Sums(shape, coefficients)
    octaves = _Octaves(coder, models, shape, largest)
    exact = None if values is None else np.ascontiguousarray(values.transpose(1, 0, 2))
    for block in _blocks(shape, octaves.first):
        rows, position, columns = block
        block_values = None if exact is None else exact[position, rows, columns].reshape(-1)
        contexts = Contexts(sums, block)
        decoded = octaves.code(contexts, position, block_values)
        sums.add(block, decoded.reshape(contexts.shape))
    if largest > 2:
        _refine(coder, models, sums, largest, exact)
    return sums.values.transpose(1, 0, 2)


class _Octaves:
    """Codes whether each weight is zero, the octave of its magnitude, and its sign."""

    def __init__(self, coder: Coder, models: Models, shape: TensorShape, largest: int):
        self._coder = coder
        self._spatial = shape.positions > 1
        kind = shape.positions
        zero = (UNSIGNED * SCALES, *((kind * UNSIGNED,) if self._spatial else ()))
        self.first = (kind, "zero") not in models  # the first tensor of its kind
        self._zero = models.get((kind, "zero"), zero, prior=_PRIOR, kept=_KEPT)
        size = (UNSIGNED * SCALES, SCALES * SCALES)
        depth = (largest - 1).bit_length().bit_length()
        self._sizes = [
            models.get(
                (self._spatial, "octave", depth, bit), size, 1 << bit, prior=_PRIOR, kept=_KEPT
            )
            for bit in range(depth)
        ]
        self._sign = models.get((kind, "sign"), (SIGNED * _SIGN_OCTAVES,), prior=_PRIOR, kept=_KEPT)

    def code(self, contexts: Contexts, position: int, values: np.ndarray | None) -> np.ndarray:
        """Codes a block; each magnitude is represented by the middle of its octave.

        Args:
            contexts: Contexts of the block.
            position: Kernel position of the block.
            values: The exact weights, (n,), for an encoder; None for a decoder.

        Returns:
            The approximate weights, int32 (n,).
        """
        shape = contexts.shape
        indices = np.empty((2, *shape), np.intp)
        np.add(contexts.unsigned * SCALES, contexts.scale, out=indices[0])
        np.add(contexts.unsigned, position * UNSIGNED, out=indices[1])
        indices = indices.reshape(2, -1)
        bits = None if values is None else values != 0
        zero = indices if self._spatial else indices[:1]
        nonzero = np.flatnonzero(self._zero.code(self._coder, zero, bits))
        result = np.zeros(indices.shape[1], np.int32)
        if not len(nonzero):
            return result
        indices[1] = contexts.around.reshape(-1)
        indices = indices.take(nonzero, 1)
        octaves = None
        if values is not None:
            values = values[nonzero]
            octaves = octave(np.abs(values))
        node = np.zeros(len(nonzero), np.intp)
        for depth, model in enumerate(self._sizes):
            bits = None
            if octaves is not None:
                bits = octaves >> (len(self._sizes) - 1 - depth) & 1
            node += node
            node += model.code(self._coder, indices, bits, node >> 1)
        signed = np.broadcast_to(contexts.signed, shape).reshape(-1).take(nonzero)
        signed += np.minimum(node, _SIGN_OCTAVES - 1) * SIGNED
        bits = None if values is None else values < 0
        negative = self._sign.code(self._coder, signed[np.newaxis], bits)
        result[nonzero] = _middles().take(2 * node + negative, mode="clip")
        return result


def _refine(
    coder: Coder, models: Models, sums: Sums, largest: int, exact: np.ndarray | None
) -> None:
    """Codes the magnitudes within their octaves, and writes the exact weights to `sums.values`."""
    deepest = (largest - 1).bit_length()
    first = models.get(("first", deepest), (_OCTAVES * SCALES,), prior=_PRIOR, kept=_KEPT)
    second = models.get(("second", deepest), (2 * _OCTAVES * SCALES,), prior=_PRIOR, kept=_KEPT)
    flat = sums.values.reshape(-1)
    candidates = np.flatnonzero(sums.magnitudes.reshape(-1) > 2)
    for start, end in _pieces(len(candidates)):
        where = candidates[start:end]
        approximate = flat[where]
        octaves = octave(np.abs(approximate)).astype(np.intp)
        low = None if exact is None else np.abs(exact.reshape(-1)[where]) - 1 - (1 << (octaves - 1))
        context = octaves * SCALES + scales(sums, where)
        bits = None if low is None else low >> (octaves - 2) & 1
        offsets = first.code(coder, context[np.newaxis], bits).astype(np.int64)
        deeper = np.flatnonzero(octaves > 2)
        context = context[deeper] + offsets[deeper] * (_OCTAVES * SCALES)
        bits = None if low is None else low[deeper] >> (octaves[deeper] - 3) & 1
        offsets[deeper] += offsets[deeper] + second.code(coder, context[np.newaxis], bits)
        deeper = np.flatnonzero(octaves > 3)
        left = octaves[deeper] - 3
        rest = noise(coder, left, None if low is None else low[deeper])
        offsets[deeper] = (offsets[deeper] << left) + rest
        offsets += 1 + (1 << (octaves - 1))
        flat[where] = np.where(approximate < 0, -offsets, offsets)


def octave(magnitudes: np.ndarray) -> np.ndarray:
    """Returns the octaves of magnitudes, int32: 0 for 1, 1 for 2, 2 for 3 and 4, 3 for 5 to 8, …"""
    return np.frexp((magnitudes - 1).astype(np.float64))[1]


@cache
def _middles() -> np.ndarray:
    """Returns the value that represents each octave, alternating with its negative, int32."""
    middles = np.array([1, 2, *(1 + (23 << k >> 4) for k in range(1, _OCTAVES - 1))], np.int32)
    return np.stack([middles, -middles], 1).reshape(-1)


def _blocks(shape: TensorShape, first: bool) -> list[Block]:
    """Returns the filters, position and channels of each block, in coding order."""
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
    """Returns the edges of parts of growing size, from about `smallest` to at most `largest`."""
    edges = [count]
    while len(edges) < _ROW_BLOCKS and edges[-1] // _GROWTH >= smallest:
        edges.append(edges[-1] // _GROWTH)
    edges = [0, *reversed(edges)]
    pieces = [range(a, b, largest) for a, b in itertools.pairwise(edges)]
    return [*(edge for piece in pieces for edge in piece), count]


def _pieces(count: int) -> list[tuple[int, int]]:
    """Returns (start, end) of pieces of growing size, for `_refine`."""
    edges = [0]
    while edges[-1] < count:
        size = min(max(_SMALLEST_PIECE, 3 * edges[-1]), _LARGEST_BLOCK)
        edges.append(min(count, edges[-1] + size))
    return list(itertools.pairwise(edges))
