"""Adaptive models of binary decisions: counts in several contexts, mixed in the log-odds domain.

As in context-mixing compressors (Mahoney 2005, "Adaptive weighing of context models for lossless
data compression", Florida Tech CS-2005-16), but a block of decisions at a time, so that NumPy does
the work: a block is coded with what the blocks before have taught, and then learned from.

Integers throughout. Where sums are in float64, all values are integers below 2^53, so that every
order of summation gives the same result.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from converters.container.arithmetic import LEVELS, LIMIT, Coder, log_odds, probabilities

_WEIGHT_ONE = 1 << 16
_WEIGHT_LIMIT = 1 << 20
_START = 11 * _WEIGHT_ONE // 10  # sum of the weights at the start
_PRIOR = 4  # decisions that a context's parent counts for
_KEPT, _KEPT_PARENT = 8, 16  # decisions that earlier tensors count for, at most
_RATE_DECISIONS = 2000  # a block of more moves the weights no further
_RATE_SHIFT = 20
_TO_LEVEL = 16 + (2 * LIMIT // LEVELS).bit_length() - 1
_ONES_SHIFT = 35
_ONES = 1 << _ONES_SHIFT


class Models:
    """Models by name, kept from one tensor to the next of its kind."""

    def __init__(self) -> None:
        self._models: dict[object, Mixed] = {}

    def get(self, name: object, sizes: Sequence[int]) -> Mixed:
        """The model of that name, with what it has learned faded; a new one if there is none.

        Args:
            name: says what is decided, and implies `sizes`.
            sizes: as `Mixed`.
        """
        if name in self._models:
            self._models[name].fade()
        else:
            self._models[name] = Mixed(sizes)
        return self._models[name]


def stacked(
    sizes: Sequence[int], contexts: Sequence[np.ndarray], shape: tuple[int, ...]
) -> np.ndarray:
    """Contexts of several kinds, as `Mixed.code` takes them.

    Args:
        sizes: how many values each kind has.
        contexts: of each kind, integers from 0 that broadcast to `shape`.
        shape: of the decisions.

    Returns:
        intp (kinds, n), each kind counted on from the one before.
    """
    found = np.empty((len(sizes), *shape), np.intp)
    offset = 0
    for row, size, context in zip(found, sizes, contexts, strict=True):
        np.add(context, offset, out=row)
        offset += size
    return found.reshape(len(sizes), -1)


class Mixed:
    """One kind of decision, predicted from several contexts at once.

    Args:
        sizes: how many values each of the contexts has.
    """

    def __init__(self, sizes: Sequence[int]):
        self._sizes = np.array(sizes)
        self._starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        self._counts = np.zeros((2, sum(sizes)), np.int64)  # of 0 and 1, in each context
        self._all = np.ones(2, np.int64)  # of 0 and 1, in any context
        self._weights = np.full(len(sizes), _START // len(sizes), np.int64)

    def fade(self) -> None:
        """Keeps what was learned as a hint only: for another tensor."""
        _fade(self._counts, _KEPT)
        _fade(self._all[:, np.newaxis], _KEPT_PARENT)
        self._all += 1

    def code(self, coder: Coder, contexts: np.ndarray, bits: np.ndarray | None) -> np.ndarray:
        """Codes a block of decisions and learns from it.

        Args:
            coder: encoder or decoder.
            contexts: intp (kinds, n), as `stacked`; n is at most 2^17.
            bits: (n,) for an encoder, else None.

        Returns:
            uint8 (n,), the decisions.
        """
        kinds, n = contexts.shape
        if n == 0:
            return np.zeros(0, np.uint8)
        zeros, ones = self._counts
        parent = (int(self._all[1]) << 12) * _PRIOR // int(self._all.sum())
        p = ((ones << 12) + parent) // (zeros + ones + _PRIOR)
        inputs = log_odds().take(p, mode="clip")
        weighted = inputs * self._weights.repeat(self._sizes)
        odds = weighted.take(contexts).sum(0) + (LIMIT << 16)
        levels = np.minimum(np.maximum(odds >> _TO_LEVEL, 0), LEVELS - 1).astype(np.uint8)
        bits = coder.code(levels, bits)
        outcomes = _outcomes().take(levels + (bits << 7))
        line = contexts.reshape(-1)
        many = self._counts.shape[1]
        total = np.bincount(line, minlength=many)
        sums = np.bincount(line, np.tile(outcomes, kinds), many).astype(np.int64)
        found = (sums + _ONES // 2) >> _ONES_SHIFT
        slopes = np.add.reduceat((sums - (found << _ONES_SHIFT)) * inputs, self._starts)
        step = slopes // n * min(n, _RATE_DECISIONS) >> _RATE_SHIFT
        self._weights = np.clip(self._weights + step, -_WEIGHT_LIMIT, _WEIGHT_LIMIT)
        zeros += total - found
        ones += found
        positive = int(np.count_nonzero(bits))
        self._all += (n - positive, positive)
        return bits


@cache
def _outcomes() -> np.ndarray:
    """float64 (2 LEVELS,): of a decision's level, plus LEVELS for a 1, what is to be summed.

    That is the error of the probability in 65,536ths, and a 1 also counts _ONES. A block has at
    most 2^17 decisions, whose errors sum to less than _ONES / 2.
    """
    p = probabilities()
    return np.concatenate([-p, _ONES + 65536 - p]).astype(np.float64)


def _fade(counts: np.ndarray, kept: int) -> None:
    total = np.maximum(counts.sum(0), 1)
    np.copyto(counts, counts * kept // total, where=total > kept)
