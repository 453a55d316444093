"""Rank selection: per layer by retained energy, or for all layers together by size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_HALVINGS = 60


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Singular values of a kernel in matrix form.

    Attributes:
        values: Singular values, largest first.
        weights: Number of weights in the kernel.
        each: Weights per unit of rank: rows + columns.
    """

    values: np.ndarray
    weights: int
    each: int

    @property
    def largest(self) -> int:
        """Largest rank that saves weights; 0 if there is none."""
        return min((self.weights - 1) // self.each, self.values.size)

    def lost(self) -> np.ndarray:
        """Returns the share of energy (sum of squares) lost at ranks 0, 1, …, `largest`."""
        energy = np.square(self.values, dtype=np.float64)
        total = energy.sum()
        retained = np.concatenate([[0.0], np.cumsum(energy)])[: self.largest + 1]
        return np.maximum(0.0, 1 - retained / total) if total > 0 else np.zeros(self.largest + 1)


def by_energy(spectrum: Spectrum, share: float) -> int:
    """Returns the smallest rank that retains this share of the energy.

    Args:
        spectrum: Singular values of the kernel.
        share: Share of the energy to retain, 0 to 1.

    Returns:
        The rank, at least 1; 0 if no such rank saves weights.
    """
    sufficient = np.flatnonzero(spectrum.lost()[1:] <= 1 - share)
    return int(sufficient[0]) + 1 if sufficient.size else 0


def by_size(spectra: dict[str, Spectrum], share: float) -> dict[str, int]:
    """Returns ranks at which all layers together have at most this share of their weights.

    Maximizes the product of the layers' retained energy shares (Zhang et al. 2015, section 2.4) by
    means of a price per weight: each layer takes the rank, or stays unsplit, that minimizes the
    price of its weights minus the logarithm of its retained energy. The price is the lowest at
    which the layers fit. Every split layer has at least rank 1, so a very small share may be
    unreachable.

    Args:
        spectra: Layer name → singular values of its kernel.
        share: Share of all weights to keep, 0 to 1.

    Returns:
        Layer name → rank; 0 for a layer that stays unsplit.
    """
    budget = share * sum(spectrum.weights for spectrum in spectra.values())
    losses = {name: spectrum.lost() for name, spectrum in spectra.items()}

    def ranks_at(price: float) -> dict[str, int]:
        ranks = {}
        for name, spectrum in spectra.items():
            candidates = np.arange(1, spectrum.largest + 1)
            costs = -np.log1p(-losses[name][1:]) + price * spectrum.each * candidates
            best = int(np.argmin(costs))
            unsplit = price * spectrum.weights <= costs[best]
            ranks[name] = 0 if unsplit else int(candidates[best])
        return ranks

    def size(ranks: dict[str, int]) -> int:
        return sum(
            spectra[n].each * rank if rank else spectra[n].weights for n, rank in ranks.items()
        )

    low, high = -40.0, 10.0  # base-10 logarithm of the price
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if size(ranks_at(10**middle)) <= budget else (middle, high)
    return ranks_at(10**high)
