"""Adaptive models of binary decisions: counts in several contexts, mixed in the log-odds domain.

As in context-mixing compressors (Mahoney 2005, "Adaptive weighing of context models for lossless
data compression", Florida Tech CS-2005-16), but vectorized with NumPy: a whole block of decisions
is coded with the state learned from earlier blocks, and only then updates that state. The fixed
cost per block dominates the run time, so little work is done per block.

All sums are over integers below 2^53 stored in float64, so the result does not depend on the order
of summation. Quotients are rounded once, as IEEE 754 specifies, and then floored.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from zoo.container.ans import LEVELS, LIMIT, Coder, log_odds, probabilities

_WEIGHT_ONE = 1 << 16
_WEIGHT_LIMIT = 1 << 20
_START = 11 * _WEIGHT_ONE // 10  # initial sum of the weights
_RATE_DECISIONS = 2000  # a larger block does not change the weights more
_RATE_SHIFT = 20
_TO_LEVEL = LEVELS / (2 * LIMIT)
_P = 4096  # probabilities are stored as multiples of 1 / _P


class Models:
    """Models by name, reused across tensors of the same kind."""

    def __init__(self) -> None:
        self._models: dict[object, Mixed] = {}

    def __contains__(self, name: object) -> bool:
        return name in self._models

    def get(
        self, name: object, sizes: Sequence[int], nodes: int = 1, *, prior: int, kept: int
    ) -> Mixed:
        """Returns the model of this name with its statistics faded, or a new model.

        Args:
            name: Identifies the kind of decision, and thereby all other arguments.
            sizes: Number of values of each context; see `Mixed`.
            nodes: Number of nodes; see `Mixed`.
            prior: Weight of the node's prior, in decisions; see `Mixed`.
            kept: Maximum number of decisions that earlier tensors count for in a context.
        """
        if name in self._models:
            self._models[name].fade(kept)
        else:
            self._models[name] = Mixed(sizes, nodes, prior)
        return self._models[name]


class Mixed:
    """Model of one kind of decision, predicted from several contexts at once.

    Args:
        sizes: Number of values of each context.
        nodes: Number of tree nodes, each of which has its own contexts.
        prior: Weight of the node's overall statistics in each of its contexts, in decisions.
    """

    def __init__(self, sizes: Sequence[int], nodes: int, prior: int):
        self._sizes = np.array(sizes)[:, np.newaxis]
        self._starts = (np.cumsum(sizes) - sizes)[:, np.newaxis] * nodes
        self._first = sizes[0]
        self._nodes, self._prior = nodes, prior
        # Decisions per context, and _P times the number of ones among them; `_parents` is per node.
        self._counts = np.zeros((2, sum(sizes) * nodes))
        self._parents = np.array([[2.0], [_P]]).repeat(nodes, 1)
        self._node = np.concatenate([np.arange(nodes).repeat(size) for size in sizes])
        self._weights = [float(_START // len(sizes))] * len(sizes)

    def fade(self, kept: int) -> None:
        """Reduces the weight of the learned statistics before another tensor is coded.

        Args:
            kept: Maximum number of decisions to keep per context.
        """
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
            coder: Encoder or decoder.
            contexts: Value of each context per decision, intp (contexts, n); n is at most 2^26.
            bits: Decisions (n,) for an encoder; None for a decoder.
            node: Node of each decision, intp (n,); None if there is only one.

        Returns:
            The decisions, uint8 (n,).
        """
        n_contexts, n = contexts.shape
        if n == 0:
            return np.zeros(0, np.uint8)
        if node is not None:
            contexts = contexts + node * self._sizes
        if n_contexts > 1:
            contexts = contexts + self._starts
        parents = self._parents
        parent = np.floor(parents[1] * self._prior / parents[0])
        if node is not None:
            parent = parent.take(self._node)
        counts = self._counts
        p = ((counts[1] + parent) / (counts[0] + self._prior)).astype(np.intp)
        if n_contexts == 1:
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
        indices = (contexts + np.multiply(bits, counts.shape[1], dtype=np.intp)).reshape(-1)
        counted = np.bincount(indices, minlength=counts.size).reshape(counts.shape)
        counted[0] += counted[1]
        counted[1] *= _P
        counts += counted
        if node is not None:
            counted = counted[:, : self._nodes * self._first]
            parents += counted.reshape(2, self._nodes, self._first).sum(2)
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
    """Returns the log odds of each probability, float64 (_P,)."""
    return log_odds().astype(np.float64)


@cache
def _levels() -> np.ndarray:
    """Returns the coding level of each probability, uint8 (_P,)."""
    return np.clip((log_odds() + LIMIT) * LEVELS // (2 * LIMIT), 0, LEVELS - 1).astype(np.uint8)


@cache
def _errors() -> np.ndarray:
    """Returns the probability error at index level + LEVELS × decision, float64 (2 LEVELS,)."""
    p = probabilities()
    return np.concatenate([-p, 65536 - p]).astype(np.float64)
