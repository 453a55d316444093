"""Limits on the deviation from Keras that `scripts.verify` tolerates for each precision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from converters.parity.difference import Difference
from zoo.catalog.precisions import ROWS
from zoo.errors import UnknownNameError, ZooError


@dataclass(frozen=True)
class Limits:
    """Limits of a precision.

    Attributes:
        relative: Upper limit of `Difference.relative`.
        agreement: Lower limit of `Difference.agreement`, 0 to 1.
        sound_db: SQNR in dB that a correct layer reaches from exact inputs; used by
            `localize.layer_errors`.
    """

    relative: float
    agreement: float
    sound_db: float

    def broken(self, difference: Difference) -> tuple[str, ...]:
        """Returns a message for each violated limit."""
        reasons = []
        if not difference.relative <= self.relative:
            reasons.append(f"relative error {difference.relative:.3g}, limit {self.relative:g}")
        if not difference.agreement >= self.agreement:
            reasons.append(
                f"top-1 agrees on {100 * difference.agreement:.1f} % of {difference.images} "
                f"images, limit {100 * self.agreement:g} %"
            )
        return tuple(reasons)


LIMITS: dict[str, Limits] = {
    row.name: Limits(row.max_relative, row.min_agreement, row.sound_db) for row in ROWS
}


def changed(relative: Sequence[str], agreement: Sequence[str]) -> Mapping[str, Limits]:
    """Returns `LIMITS` with overrides from the command line.

    Args:
        relative: `PRECISION:LIMIT` strings that override `Limits.relative`.
        agreement: `PRECISION:LIMIT` strings that override `Limits.agreement`.

    Raises:
        ZooError: if a precision is unknown, or a limit is not a number or out of range.
    """
    limits = dict(LIMITS)
    for name, value in _pairs(relative, "--max_relative", float("inf")):
        limits[name] = replace(limits[name], relative=value)
    for name, value in _pairs(agreement, "--min_agreement", 1.0):
        limits[name] = replace(limits[name], agreement=value)
    return limits


def _pairs(texts: Sequence[str], flag: str, largest: float) -> list[tuple[str, float]]:
    pairs = []
    for text in texts:
        name, _, number = text.partition(":")
        if name not in LIMITS:
            raise UnknownNameError(f"precision in {flag}", name, LIMITS)
        try:
            value = float(number)
        except ValueError:
            value = float("nan")
        if not 0 <= value <= largest:
            raise ZooError(
                f"{text!r} is not a limit",
                where=flag,
                expected=f"PRECISION:NUMBER with a number from 0 to {largest:g}",
                remedy=f"use for example {flag}=int8:0.5",
            )
        pairs.append((name, value))
    return pairs
