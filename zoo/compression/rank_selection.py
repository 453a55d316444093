"""Which rank each layer gets: by the energy that is kept, or by the size of all together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_HALVINGS = 60


@dataclass(frozen=True, eq=False)
class Spectrum:
    """A kernel as a matrix.

    Attributes:
        values: its singular values, the largest first.
        weights: how many weights it has.
        each: how many weights one rank costs, rows + columns.
    """

    values: np.ndarray
    weights: int
    each: int

    @property
    def largest(self) -> int:
        """The largest rank that saves weights; 0 where none does."""
        return min((self.weights - 1) // self.each, self.values.size)

    def lost(self) -> np.ndarray:
        """Share of the energy, the sum of squares, that ranks 0, 1, … `largest` leave out."""
        energy = np.square(self.values, dtype=np.float64)
        total = energy.sum()
        kept = np.concatenate([[0.0], np.cumsum(energy)])[: self.largest + 1]
        return np.maximum(0.0, 1 - kept / total) if total > 0 else np.zeros(self.largest + 1)


def by_energy(spectrum: Spectrum, share: float) -> int:
    """The least rank, from 1, that keeps this share of the energy; 0 where none saves weights."""
    enough = np.flatnonzero(spectrum.lost()[1:] <= 1 - share)
    return int(enough[0]) + 1 if enough.size else 0


def by_size(spectra: dict[str, Spectrum], share: float) -> dict[str, int]:
    """The ranks with which all layers together have at most this share of their weights.

    The product of the shares of energy that the layers keep is made large (Zhang et al. 2015,
    section 2.4), by a price for a weight: each layer takes the rank, or stays whole, at which the
    price of its weights and the negative logarithm of its share sum to the least. The price is the
    lowest at which all fits. Each layer keeps at least rank 1, so that a very small share may be
    out of reach.

    Returns:
        layer → rank, 0 where it stays whole.
    """
    wanted = share * sum(spectrum.weights for spectrum in spectra.values())
    losses = {name: spectrum.lost() for name, spectrum in spectra.items()}

    def at(price: float) -> dict[str, int]:
        ranks = {}
        for name, spectrum in spectra.items():
            numbers = np.arange(1, spectrum.largest + 1)
            costs = -np.log1p(-losses[name][1:]) + price * spectrum.each * numbers
            best = int(np.argmin(costs))
            whole = price * spectrum.weights <= costs[best]
            ranks[name] = 0 if whole else int(numbers[best])
        return ranks

    def size(ranks: dict[str, int]) -> int:
        return sum(
            spectra[n].each * rank if rank else spectra[n].weights for n, rank in ranks.items()
        )

    low, high = -40.0, 10.0  # the price's decimal logarithm
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if size(at(10**middle)) <= wanted else (middle, high)
    return at(10**high)
