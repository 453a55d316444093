"""Coding the integers of one weight tensor: (filters, positions in the kernel, input channels).

A weight is told in binary decisions: zero or not; its sign; its magnitude, counted up from 1 where
magnitudes are small, else by its bits from the top. What a decision depends on is in
`converters.container.contexts`: what is decoded already of the same filter, the same input channel,
and the kernel's other positions. Weights are decoded a block at a time, and blocks grow, so that
the first ones, of which little is known, are small.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from converters.container.arithmetic import Coder
from converters.container.contexts import (
    SCALES,
    SIGNED,
    Block,
    Contexts,
    Sums,
    sizes,
)
from converters.container.lists import code_integers
from converters.container.mixing import Mixed, Models, stacked
from converters.container.prediction import Shape

_COUNTED = 10  # decisions at most; by how much the few above are larger is told at the end
_TREE_BITS = 8  # a magnitude's lower bits, where it has more, are told without a model of theirs
_ROW_BLOCKS, _COLUMN_BLOCKS = 8, 4
_SMALLEST_POINT_BLOCK = 64
_SMALLEST_BLOCK = 1024
_LARGEST_BLOCK = 1 << 15


def code(
    coder: Coder,
    models: Models,
    shape: Shape,
    largest: int,
    counted: bool,
    coefficients: Sequence[int],
    values: np.ndarray | None = None,
) -> np.ndarray:
    """Codes a tensor.

    Args:
        coder: encoder or decoder.
        models: what was learned of tensors before; learns from this one.
        shape: of the tensor.
        largest: at least the largest magnitude, 1 to 65,536.
        counted: whether magnitudes are told by counting, else by their bits.
        coefficients: `contexts.predictor`'s, that predict a weight from those before it.
        values: int32 (filters, positions, channels) for an encoder, else None.

    Returns:
        int32 (filters, positions, channels).
    """
    sums = Sums(shape, coefficients)
    places, of = shape.positions, sizes(shape)
    zero = models.get((places, "zero"), of["zero"])
    sign = models.get((places, "sign"), of["sign"])
    counted = counted and largest > 1
    size = (_Counted if counted else _Bits)(models, shape, largest)
    exact = values
    if counted and values is not None:
        values = np.clip(values, -_COUNTED - 1, _COUNTED + 1)
    for block in _blocks(shape):
        rows, position, columns = block
        contexts = Contexts(sums, block)
        wanted = None if values is None else values[rows, position, columns].reshape(-1)
        bits = None if wanted is None else wanted != 0
        where = np.flatnonzero(zero.code(coder, contexts.zero(), bits))
        wanted = None if wanted is None else wanted[where]
        bits = None if wanted is None else wanted < 0
        negative = sign.code(coder, contexts.sign(where), bits).astype(bool)
        wanted = None if wanted is None else np.abs(wanted) - 1
        above = size.code(coder, contexts, where, negative, wanted)
        found = np.zeros(contexts.size, np.int32)
        found[where] = np.where(negative, -1 - above, 1 + above)
        sums.add(block, found.reshape(contexts.shape))
    if counted and largest > _COUNTED + 1:
        _add_rest(coder, models, sums.values, largest, exact)
    return sums.values


def _add_rest(
    coder: Coder, models: Models, found: np.ndarray, largest: int, exact: np.ndarray | None
) -> None:
    """Codes by how much the largest magnitudes are larger than was counted, and adds it."""
    where = np.abs(found) > _COUNTED
    capped = found[where]
    wanted = None if exact is None else np.abs(exact[where]) - np.abs(capped)
    rest = code_integers(coder, models, "magnitudes", len(capped), wanted)
    found[where] += np.sign(capped) * np.minimum(rest, largest).astype(np.int32)


class _Counted:
    """Magnitudes told by counting: larger than 1, larger than 2, ..."""

    def __init__(self, models: Models, shape: Shape, largest: int):
        spatial, of = shape.positions > 1, sizes(shape)["counted"]
        self._steps: list[tuple[int, Mixed]] = []
        for number in range(1, min(largest, _COUNTED + 1)):
            # Few are that large, so that more contexts would cost more than they tell.
            used = of if number < 4 else of[:2] if number < 8 else of[:1]
            self._steps.append((len(used), models.get((spatial, "above", number), used)))

    def code(
        self,
        coder: Coder,
        contexts: Contexts,
        where: np.ndarray,
        negative: np.ndarray,
        wanted: np.ndarray | None,
    ) -> np.ndarray:
        """int32 (n,): the magnitudes less 1."""
        above = np.zeros(len(where), np.int32)
        kinds = contexts.counted(where, negative)
        left = np.arange(len(where))
        for number, (contexts_used, step) in enumerate(self._steps):
            if not len(left):
                break
            bits = None if wanted is None else wanted[left] > number
            more = step.code(coder, kinds[:contexts_used], bits)
            kept = np.flatnonzero(more)
            left, kinds = left[kept], kinds.take(kept, 1)
            above[left] += 1
        return above


class _Bits:
    """Magnitudes less 1 told by their bits, the highest first."""

    def __init__(self, models: Models, shape: Shape, largest: int):
        self._count = (largest - 1).bit_length()
        self._bits: list[tuple[tuple[int, ...], Mixed]] = []
        for bit in range(self._count):
            nodes = 1 << min(bit, _TREE_BITS)
            of = (nodes, nodes * SCALES, nodes * SCALES, nodes * SIGNED)
            model = models.get((shape.positions > 1, "bit", self._count, bit), of)
            self._bits.append((of, model))

    def code(
        self,
        coder: Coder,
        contexts: Contexts,
        where: np.ndarray,
        negative: np.ndarray,
        wanted: np.ndarray | None,
    ) -> np.ndarray:
        """int32 (n,): the magnitudes less 1."""
        found = np.zeros(len(where), np.int64)
        levels = contexts.told_by_bits(where, negative)
        for bit, (of, model) in enumerate(self._bits):
            shift = max(0, bit - _TREE_BITS)
            node = found >> shift
            joint = (levels << (bit - shift)) + node
            kinds = stacked(of, (node, *joint), node.shape)
            bits = None if wanted is None else wanted >> (self._count - 1 - bit) & 1
            found = 2 * found + model.code(coder, kinds, bits)
        return found.astype(np.int32)


def _blocks(shape: Shape) -> list[Block]:
    """Filters, position and channels of each block, in the order of coding."""
    if shape.positions == 1:
        halvings = (shape.count // _SMALLEST_POINT_BLOCK).bit_length()
        parts = min(_ROW_BLOCKS, 1 + 2 * halvings // 3)
        columns = _growing(
            shape.channels, min(_COLUMN_BLOCKS, 1 + halvings // 3), 1, _LARGEST_BLOCK
        )
        smallest = 1
    else:
        parts = _ROW_BLOCKS
        columns = [0, *range(_LARGEST_BLOCK, shape.channels, _LARGEST_BLOCK), shape.channels]
        smallest = 1 + _SMALLEST_BLOCK // shape.channels
    widest = max(b - a for a, b in itertools.pairwise(columns))
    rows = _growing(shape.filters, parts, smallest, max(1, _LARGEST_BLOCK // widest))
    return [
        (slice(top, bottom), position, slice(left, right))
        for top, bottom in itertools.pairwise(rows)
        for position in range(shape.positions)
        for left, right in itertools.pairwise(columns)
    ]


def _growing(count: int, parts: int, smallest: int, largest: int) -> list[int]:
    """Edges of parts that double in size, from `smallest` up to `largest`."""
    edges = [count]
    while len(edges) < parts and edges[-1] // 2 >= smallest:
        edges.append(edges[-1] // 2)
    edges = [0, *reversed(edges)]
    pieces = [range(a, b, largest) for a, b in itertools.pairwise(edges)]
    return [*(edge for piece in pieces for edge in piece), count]
