"""Adaptive models of binary decisions: counts in several contexts, mixed in the log-odds domain.

As in context-mixing compressors (Mahoney 2005, "Adaptive weighing of context models for lossless
data compression", Florida Tech CS-2005-16), but a block of decisions at a time, so that NumPy does
the work: a block is coded with what the blocks before have taught, and then learned from. What a
block costs besides its decisions matters most, so that little is done for each.

All sums are of whole numbers below 2^53, in float64, so that every order of summation gives the
same result; what is divided is rounded once, as IEEE 754 says, then down.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from zoo.container.ans import LEVELS, LIMIT, Coder, log_odds, probabilities

_WEIGHT_ONE = 1 << 16
_WEIGHT_LIMIT = 1 << 20
_START = 11 * _WEIGHT_ONE // 10  # sum of the weights at the start
_RATE_DECISIONS = 2000  # a block of more moves the weights no further
_RATE_SHIFT = 20
_TO_LEVEL = LEVELS / (2 * LIMIT)
_P = 4096  # probabilities are in that many parts


class Models:
    """Models by name, kept from one tensor to the next of its kind."""

    def __init__(self) -> None:
        self._models: dict[object, Mixed] = {}

    def __contains__(self, name: object) -> bool:
        return name in self._models

    def get(
        self, name: object, sizes: Sequence[int], nodes: int = 1, *, prior: int, kept: int
    ) -> Mixed:
        """The model of that name, with what it has learned faded; a new one if there is none.

        Args:
            name: says what is decided, and implies all else.
            sizes, nodes, prior: as `Mixed`.
            kept: decisions that earlier tensors count for in a context, at most.
        """
        if name in self._models:
            self._models[name].fade(kept)
        else:
            self._models[name] = Mixed(sizes, nodes, prior)
        return self._models[name]


class Mixed:
    """One kind of decision, predicted from several contexts at once.

    Args:
        sizes: how many values each of the contexts has.
        nodes: of a tree; each has contexts of its own.
        prior: decisions that all of a node count for in each of its contexts.
    """

    def __init__(self, sizes: Sequence[int], nodes: int, prior: int):
        self._sizes = np.array(sizes)[:, np.newaxis]
        self._starts = (np.cumsum(sizes) - sizes)[:, np.newaxis] * nodes
        self._first = sizes[0]
        self._nodes, self._prior = nodes, prior
        # Decisions in each context, and _P times the ones among them; the parents' are of a node.
        self._counts = np.zeros((2, sum(sizes) * nodes))
        self._parents = np.array([[2.0], [_P]]).repeat(nodes, 1)
        self._node = np.concatenate([np.arange(nodes).repeat(size) for size in sizes])
        self._weights = [float(_START // len(sizes))] * len(sizes)

    def fade(self, kept: int) -> None:
        """Keeps what was learned as a hint only: for another tensor."""
        for counts, most in ((self._counts, kept), (self._parents, 2 * kept)):
            factor = most / np.maximum(counts[0], most)
            counts[1] = np.floor(counts[1] * factor)
            np.minimum(counts[0], most, out=counts[0])
        self._parents += [[2], [_P]]

    def code(
        self,
        coder: Coder,
        contexts: np.ndarray,
        bits: np.ndarray | None,
        node: np.ndarray | None = None,
    ) -> np.ndarray:
        """Codes a block of decisions and learns from it.

        Args:
            coder: encoder or decoder.
            contexts: intp (contexts, n), each from 0; n is at most 2^26.
            bits: (n,) for an encoder, else None.
            node: intp (n,), where there are several.

        Returns:
            uint8 (n,), the decisions.
        """
        many, n = contexts.shape
        if n == 0:
            return np.zeros(0, np.uint8)
        if node is not None:
            contexts = contexts + node * self._sizes
        if many > 1:
            contexts = contexts + self._starts
        parents = self._parents
        parent = np.floor(parents[1] * self._prior / parents[0])
        if node is not None:
            parent = parent.take(self._node)
        counts = self._counts
        p = ((counts[1] + parent) / (counts[0] + self._prior)).astype(np.intp)
        if many == 1:
            levels = _levels().take(p, mode="clip").take(contexts[0])
            bits = coder.code(levels, bits)
        else:
            inputs = _inputs().take(p, mode="clip").take(contexts)
            odds = np.einsum("k,kn->n", np.array(self._weights) * (_TO_LEVEL / _WEIGHT_ONE), inputs)
            odds += LEVELS // 2
            np.minimum(odds, LEVELS - 1, out=odds)
            levels = np.maximum(odds, 0, out=odds).astype(np.uint8)
            bits = coder.code(levels, bits)
            errors = _errors().take(levels + (bits << 7))
            self._learn(np.einsum("kn,n->k", inputs, errors).tolist(), n)
        line = (contexts + np.multiply(bits, counts.shape[1], dtype=np.intp)).reshape(-1)
        found = np.bincount(line, minlength=counts.size).reshape(counts.shape)
        found[0] += found[1]
        found[1] *= _P
        counts += found
        if node is not None:
            found = found[:, : self._nodes * self._first]
            parents += found.reshape(2, self._nodes, self._first).sum(2)
        else:
            parents[0, 0] += n
            parents[1, 0] += _P * int(np.count_nonzero(bits))
        return bits

    def _learn(self, slopes: list[float], n: int) -> None:
        moved = min(n, _RATE_DECISIONS)
        for number, slope in enumerate(slopes):
            step = int(slope) // n * moved >> _RATE_SHIFT
            weight = self._weights[number] + step
            self._weights[number] = min(max(weight, -_WEIGHT_LIMIT), _WEIGHT_LIMIT)


@cache
def _inputs() -> np.ndarray:
    """float64 (_P,): the log odds of each probability."""
    return log_odds().astype(np.float64)


@cache
def _levels() -> np.ndarray:
    """uint8 (_P,): the level of each probability."""
    return np.clip((log_odds() + LIMIT) * LEVELS // (2 * LIMIT), 0, LEVELS - 1).astype(np.uint8)


@cache
def _errors() -> np.ndarray:
    """float64 (2 LEVELS,): of a decision's level, plus LEVELS for a 1, the probability's error."""
    p = probabilities()
    return np.concatenate([-p, 65536 - p]).astype(np.float64)
