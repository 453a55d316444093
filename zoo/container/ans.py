"""Arithmetic coding of binary decisions, each at one of 128 fixed probabilities.

The coder itself is constriction's (asymmetric numeral systems, a stack: what was encoded last is
decoded first, so the encoder keeps all decisions and encodes them backwards at the end). The
probabilities are whole 65,536ths, which a float32 holds exactly, and decisions of one probability
are coded in one call, which is what makes it fast.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Protocol

import numpy as np

from zoo.errors import ZooError

LEVELS = 128
UNIT = 256  # of the log odds ln(p / (1 - p)), in whole numbers
LIMIT = 8 * UNIT  # log odds lie within -LIMIT and LIMIT - 1
_SHIFT = 5  # LIMIT * 2 >> _SHIFT is LEVELS
# exp(1/512) with 64 binary places: tables are made of it by multiplying integers, since what exp
# returns may differ from machine to machine.
_STEP = 18482808078018285842
# The surest decision takes 1/2,100 bit, so that a byte holds fewer than this many.
_DECISIONS_PER_BYTE = 20_000
_DECISIONS_FREE = 1_000_000  # for small containers of little else than zeros
_CALL = 2000  # what coding a block takes besides, in decisions, so that tiny blocks are bounded too
_FEW = 1000  # decisions, for which a call for each level takes longer than one for all


@cache
def _logistic() -> np.ndarray:
    """int64 (2 LIMIT + 1,): 65,536 / (1 + exp(-x / 2 UNIT)) for x = -2 LIMIT to 2 LIMIT by 2."""
    power, powers = 1 << 64, []
    for _ in range(2 * LIMIT + 1):
        powers.append(power)
        power = power * _STEP >> 64
    upper = [(power << 16) // (power + (1 << 64)) for power in powers]
    return np.array([65536 - p for p in upper[:0:-1]] + upper, np.int64)


@cache
def probabilities() -> np.ndarray:
    """int64 (LEVELS,): the probability of a 1 at each level, in 65,536ths."""
    middles = 2 * ((np.arange(LEVELS) << _SHIFT) + (1 << (_SHIFT - 1)))
    return _logistic()[middles]


@cache
def log_odds() -> np.ndarray:
    """int64 (4096,): the log odds of the probability (i + 1/2) / 4096."""
    return np.searchsorted(_logistic()[::2], 16 * np.arange(4096) + 8) - LIMIT


class Coder(Protocol):
    """What a model codes with: an encoder is given decisions, a decoder finds them."""

    def code(self, levels: np.ndarray, bits: np.ndarray | None) -> np.ndarray:
        """Codes decisions.

        Args:
            levels: uint8 (n,), below LEVELS.
            bits: (n,) 0 or 1 for an encoder, None for a decoder.

        Returns:
            uint8 (n,), the decisions.
        """
        ...

    def plane(self, histogram: np.ndarray, n: int, values: np.ndarray | None) -> np.ndarray:
        """Codes bytes that don't depend on each other.

        Args:
            histogram: (256,) integers, 0 to 65,535, not all 0; how often each value is expected.
            n: how many bytes.
            values: uint8 (n,) for an encoder, None for a decoder.

        Returns:
            uint8 (n,).
        """
        ...


class Encoder:
    """Collects decisions; `finish` turns them into bytes."""

    def __init__(self) -> None:
        self._parts: list[tuple[np.ndarray, Any, np.ndarray | None]] = []
        self.bits = 0.0  # that all takes so far

    def code(self, levels: np.ndarray, bits: np.ndarray | None) -> np.ndarray:
        """As `Coder.code`."""
        if bits is None:
            raise ValueError("an encoder is told the decisions")
        bits = bits.astype(np.uint8)
        self.bits += float(_costs()[levels, bits].sum())
        if len(levels) < _FEW:
            self._parts.append((bits, None, levels))
        else:
            order = levels.argsort(kind="stable")
            self._parts.append((bits[order], None, levels[order]))
        return bits

    def plane(self, histogram: np.ndarray, n: int, values: np.ndarray | None) -> np.ndarray:
        """As `Coder.plane`."""
        if values is None:
            raise ValueError("an encoder is told the values")
        p = histogram / histogram.sum()
        self.bits -= float(np.log2(np.maximum(p, 2.0**-24)[values]).sum())
        self._parts.append((values, histogram, None))
        return values

    def finish(self) -> bytes:
        """The coded decisions."""
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
    """Finds the decisions that an encoder was given.

    Args:
        data: what `Encoder.finish` returned; may be anything.

    Raises:
        ZooError: `data` is no such thing, or more is asked of it than it can hold.
    """

    def __init__(self, data: bytes):
        if len(data) % 4 or (data and not any(data[-4:])):
            raise ZooError("the container is damaged: its coded part can't be right")
        self._left = _DECISIONS_PER_BYTE * len(data) + _DECISIONS_FREE
        self._coder = _coder(np.frombuffer(data, "<u4").astype(np.uint32))
        self._p = (probabilities() / 65536).astype(np.float32)

    def code(self, levels: np.ndarray, bits: np.ndarray | None = None) -> np.ndarray:
        """As `Coder.code`."""
        self._spend(len(levels))
        if len(levels) < _FEW:
            found = self._decode(_family(), self._p.take(levels)) if len(levels) else ()
            return np.asarray(found, np.uint8)
        order = levels.argsort(kind="stable")
        found = np.empty(len(levels), np.uint8)
        models, parts = _models(), []
        for each, count in enumerate(np.bincount(levels).tolist()):
            if count:
                parts.append(self._decode(models[each], count))
        found[order] = np.concatenate(parts)
        return found

    def plane(self, histogram: np.ndarray, n: int, values: np.ndarray | None = None) -> np.ndarray:
        """As `Coder.plane`."""
        self._spend(n)
        found = self._decode(_categorical(histogram), n) if n else ()
        return np.asarray(found, np.uint8)

    def close(self) -> None:
        """Checks that nothing is left over."""
        if not self._coder.is_empty():
            raise ZooError("the container is damaged: coded data is left over")

    def _decode(self, model: Any, what: Any) -> Any:
        try:
            return self._coder.decode(model, what)
        except BaseException as error:
            # A panic of the Rust library, which derives from BaseException, and can't be imported.
            if type(error).__name__ != "PanicException":
                raise
            raise ZooError("the container is damaged: its coded part can't be right") from error

    def _spend(self, decisions: int) -> None:
        self._left -= decisions + _CALL
        if self._left < 0:
            raise ZooError("the container is damaged: it claims more than its bytes can hold")


@cache
def _costs() -> np.ndarray:
    """float64 (LEVELS, 2): the bits that a 0 and a 1 take at each level."""
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
        raise ZooError("the container is damaged: a histogram that can't be right")
    return _stream().model.Categorical(histogram.astype(np.float32), perfect=False)
