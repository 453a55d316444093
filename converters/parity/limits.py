"""How far a precision may be from Keras before `scripts.verify` calls it wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from converters.parity.difference import Difference
from zoo.errors import UnknownNameError, ZooError


@dataclass(frozen=True)
class Limits:
    """What a precision must keep.

    Attributes:
        relative: `Difference.relative`, at most.
        agreement: `Difference.agreement`, at least; 0 to 1.
        sound_db: what a sound layer reaches from perfect inputs, for `localize.layer_errors`.
    """

    relative: float
    agreement: float
    sound_db: float

    def broken(self, found: Difference) -> tuple[str, ...]:
        """One sentence for each limit that is not kept."""
        reasons = []
        if not found.relative <= self.relative:
            reasons.append(f"relative error {found.relative:.3g}, limit {self.relative:g}")
        if not found.agreement >= self.agreement:
            reasons.append(
                f"top-1 agrees on {100 * found.agreement:.1f} % of {found.images} images, limit "
                f"{100 * self.agreement:g} %"
            )
        return tuple(reasons)


# Wide enough for a sound network with some tens of layers, far below what a broken layer causes,
# whose error is as large as the signal. A step of 8 bits over a tensor's whole range leaves some
# 30 to 40 dB a layer, half precision of the weights some 70, float32 some 130.
LIMITS: dict[str, Limits] = {
    "float32": Limits(relative=1e-4, agreement=0.995, sound_db=90),
    "float16": Limits(relative=1e-2, agreement=0.98, sound_db=50),
    "dynamic_int8": Limits(relative=0.2, agreement=0.9, sound_db=30),
    "int8": Limits(relative=0.3, agreement=0.85, sound_db=30),
    "int8_qat": Limits(relative=0.2, agreement=0.9, sound_db=30),
    "int16x8": Limits(relative=0.2, agreement=0.9, sound_db=30),
}


def changed(relative: Sequence[str], agreement: Sequence[str]) -> Mapping[str, Limits]:
    """`LIMITS` with changes.

    Args:
        relative: `PRECISION:LIMIT`, for `Limits.relative`.
        agreement: likewise, for `Limits.agreement`.

    Raises:
        ZooError: an unknown precision, or no number, or one that can't be a limit.
    """
    found = dict(LIMITS)
    for name, value in _pairs(relative, "--max_relative", float("inf")):
        found[name] = replace(found[name], relative=value)
    for name, value in _pairs(agreement, "--min_agreement", 1.0):
        found[name] = replace(found[name], agreement=value)
    return found


def _pairs(texts: Sequence[str], flag: str, largest: float) -> list[tuple[str, float]]:
    found = []
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
                expected=f"PRECISION:NUMBER, 0 to {largest:g}",
                remedy=f"write {flag}=int8:0.5, for example",
            )
        found.append((name, value))
    return found
