"""Entropy coding of binary decisions, each at one of 128 fixed probabilities.

Uses constriction's coder for asymmetric numeral systems (ANS). ANS works as a stack: the last
encoded decision is decoded first, so the encoder collects all decisions and encodes them in reverse
at the end. The probabilities are multiples of 1/65,536, which float32 represents exactly. Decisions
of equal probability are coded in a single call for speed.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Protocol

import numpy as np

from zoo.errors import ZooError

LEVELS = 128
UNIT = 256  # fixed-point scale of the log odds ln(p / (1 - p))
LIMIT = 8 * UNIT  # log odds lie within -LIMIT and LIMIT - 1
_SHIFT = 5  # LIMIT * 2 >> _SHIFT is LEVELS
# exp(1/512) with 64 fractional bits. Tables are computed from it in integers, because the result of
# exp may differ between machines.
_STEP = 18482808078018285842
# The most predictable decision takes 1/2,100 bit, so a byte holds fewer decisions than this.
_DECISIONS_PER_BYTE = 20_000
_DECISIONS_FREE = 1_000_000  # for small containers that hold almost only zeros
_CALL = 2000  # overhead of coding a block, in decisions; bounds the number of tiny blocks
_FEW = 1000  # for fewer decisions, one call for all levels is faster than one per level


@cache
def _logistic() -> np.ndarray:
    """Returns 65,536 / (1 + exp(-x / 2 UNIT)) for x = -2 LIMIT to 2 LIMIT by 2, as int64."""
    power, powers = 1 << 64, []
    for _ in range(2 * LIMIT + 1):
        powers.append(power)
        power = power * _STEP >> 64
    upper = [(power << 16) // (power + (1 << 64)) for power in powers]
    return np.array([65536 - p for p in upper[:0:-1]] + upper, np.int64)


@cache
def probabilities() -> np.ndarray:
    """Returns the probability of a 1 at each level, in units of 1/65,536, int64 (LEVELS,)."""
    middles = 2 * ((np.arange(LEVELS) << _SHIFT) + (1 << (_SHIFT - 1)))
    return _logistic()[middles]


@cache
def log_odds() -> np.ndarray:
    """Returns the log odds of probability (i + 1/2) / 4096 times UNIT, int64 (4096,)."""
    return np.searchsorted(_logistic()[::2], 16 * np.arange(4096) + 8) - LIMIT


class Coder(Protocol):
    """Encoder or decoder: both return the decisions, but only an encoder is passed them."""

    def code(self, levels: np.ndarray, bits: np.ndarray | None) -> np.ndarray:
        """Codes decisions.

        Args:
            levels: Probability level of each decision, uint8 (n,), below LEVELS.
            bits: Decisions (n,), each 0 or 1, for an encoder; None for a decoder.

        Returns:
            The decisions, uint8 (n,).
        """
        ...

    def plane(self, histogram: np.ndarray, n: int, values: np.ndarray | None) -> np.ndarray:
        """Codes bytes that are independent of each other.

        Args:
            histogram: Expected frequency of each byte value, integers (256,) from 0 to 65,535, not
                all 0.
            n: Number of bytes.
            values: The bytes, uint8 (n,), for an encoder; None for a decoder.

        Returns:
            The bytes, uint8 (n,).
        """
        ...


class Encoder:
    """Collects decisions; `finish` turns them into bytes."""

    def __init__(self) -> None:
        self._parts: list[tuple[np.ndarray, Any, np.ndarray | None]] = []
        self.bits = 0.0  # estimated size of everything coded so far

    def code(self, levels: np.ndarray, bits: np.ndarray | None) -> np.ndarray:
        """See `Coder.code`."""
        if bits is None:
            raise ValueError("an encoder needs the decisions")
        bits = bits.astype(np.uint8)
        self.bits += float(_costs()[levels, bits].sum())
        if len(levels) < _FEW:
            self._parts.append((bits, None, levels))
        else:
            order = levels.argsort(kind="stable")
            self._parts.append((bits[order], None, levels[order]))
        return bits

    def plane(self, histogram: np.ndarray, n: int, values: np.ndarray | None) -> np.ndarray:
        """See `Coder.plane`."""
        if values is None:
            raise ValueError("an encoder needs the values")
        p = histogram / histogram.sum()
        self.bits -= float(np.log2(np.maximum(p, 2.0**-24)[values]).sum())
        self._parts.append((values, histogram, None))
        return values

    def finish(self) -> bytes:
        """Returns everything coded so far, a multiple of 4 bytes."""
        coder, family = _coder(), _family()
        p = (probabilities() / 65536).astype(np.float32)
        for symbols, histogram, levels in reversed(self._parts):
            if not len(symbols):
                continue
            if levels is None:
                coder.encode_reverse(symbols.astype(np.int32), _categorical(histogram))
            else:
                coder.encode_reverse(symbols.astype(np.int32), family, p[levels])
        words: np.ndarray = np.asarray(coder.get_compressed(), np.uint32).astype("<u4")
        return words.tobytes()


class Decoder:
    """Decodes the output of `Encoder.finish`.

    Args:
        data: Output of `Encoder.finish`; untrusted.

    Raises:
        ZooError: if `data` is invalid. The methods also raise it if they are asked for more
            decisions than `data` can hold.
    """

    def __init__(self, data: bytes):
        if len(data) % 4 or (data and not any(data[-4:])):
            raise ZooError("the container is damaged: its coded part is invalid")
        self._left = _DECISIONS_PER_BYTE * len(data) + _DECISIONS_FREE
        self._coder = _coder(np.frombuffer(data, "<u4").astype(np.uint32))
        self._p = (probabilities() / 65536).astype(np.float32)

    def code(self, levels: np.ndarray, bits: np.ndarray | None = None) -> np.ndarray:
        """See `Coder.code`."""
        self._spend(len(levels))
        if len(levels) < _FEW:
            decisions = self._decode(_family(), self._p.take(levels)) if len(levels) else ()
            return np.asarray(decisions, np.uint8)
        order = levels.argsort(kind="stable")
        decisions = np.empty(len(levels), np.uint8)
        models, parts = _models(), []
        for level, count in enumerate(np.bincount(levels).tolist()):
            if count:
                parts.append(self._decode(models[level], count))
        decisions[order] = np.concatenate(parts)
        return decisions

    def plane(self, histogram: np.ndarray, n: int, values: np.ndarray | None = None) -> np.ndarray:
        """See `Coder.plane`."""
        self._spend(n)
        decoded = self._decode(_categorical(histogram), n) if n else ()
        return np.asarray(decoded, np.uint8)

    def close(self) -> None:
        """Checks that all data was decoded."""
        if not self._coder.is_empty():
            raise ZooError("the container is damaged: its coded part has trailing data")

    def _decode(self, model: Any, argument: Any) -> Any:
        try:
            return self._coder.decode(model, argument)
        except BaseException as error:
            # A panic of the Rust library: a BaseException whose class can't be imported.
            if type(error).__name__ != "PanicException":
                raise
            raise ZooError("the container is damaged: its coded part is invalid") from error

    def _spend(self, decisions: int) -> None:
        self._left -= decisions + _CALL
        if self._left < 0:
            raise ZooError("the container is damaged: it claims more data than its bytes can hold")


@cache
def _costs() -> np.ndarray:
    """Returns the size of a 0 and a 1 at each level, in bits, float64 (LEVELS, 2)."""
    p = probabilities() / 65536
    return -np.log2(np.stack([1 - p, p], 1))


def _stream() -> Any:
    try:
        import constriction
    except ImportError as error:
        raise ZooError(
            "constriction can't be imported", got=error, remedy="pip install constriction==0.5.0"
        ) from error
    return constriction.stream


def _coder(*words: np.ndarray) -> Any:
    return _stream().stack.AnsCoder(*words)


@cache
def _family() -> Any:
    return _stream().model.Bernoulli(perfect=False)


@cache
def _models() -> list[Any]:
    bernoulli = _stream().model.Bernoulli
    return [bernoulli(float(np.float32(p / 65536)), perfect=False) for p in probabilities()]


def _categorical(histogram: np.ndarray) -> Any:
    if histogram.shape != (256,) or histogram.min() < 0 or not 0 < histogram.max() < 65536:
        raise ZooError("the container is damaged: it has an invalid histogram")
    return _stream().model.Categorical(histogram.astype(np.float32), perfect=False)
