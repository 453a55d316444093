"""Integer codes for a layer's weights, each chosen for what it costs and what it spoils.

The cost of a layer is  ½ · importance · Σ (w − s·q)ᵀ C (w − s·q) + λ · Σ bits(q)  over its
filters, with C the covariance of the inputs and bits(q) from the histogram of the layer's own
codes. A first pass fixes one weight after the other and lets those that follow make up for its
error (Frantar et al. 2023, "GPTQ", arXiv:2210.17323, there without a rate); then each code is
chosen anew, all others being fixed, until little changes. A zero costs the fewest bits, so that
this prunes as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from converters.rate_distortion.layer_statistics import Statistics
from zoo.stats import entropy_bits

LARGEST = 1023  # the few largest weights of a layer are many times its typical one
_DAMPING = 0.01  # of the mean variance: what the pictures did not show may still come
_SWEEPS = 3
_BLOCK = 64
_STEP_FACTOR = 1.2


@dataclass(frozen=True)
class Problem:
    """One layer's weights, (groups, filters, k), their metric, (groups, k, k), and its λ.

    `price` is λ over ½ · importance: squared output error that one bit is worth.
    """

    weights: np.ndarray
    metric: np.ndarray
    price: float


@dataclass(frozen=True)
class Solution:
    """Codes int64 (groups, filters, k), their step, squared output error and entropy in bits."""

    codes: np.ndarray
    step: float
    error: float
    bits: float


def problem(
    weights: np.ndarray, statistics: Statistics, multiplier: float, biased: bool
) -> Problem:
    """The layer's problem at a Lagrange multiplier λ in nats a bit.

    A layer with a bias has that take up the mean error, so that only the rest counts.
    """
    mean = statistics.mean
    own = 0.0 if biased else mean[:, :, np.newaxis] * mean[:, np.newaxis, :]
    metric = statistics.covariance + own
    k = metric.shape[-1]
    damping = _DAMPING * max(float(np.trace(metric, axis1=1, axis2=2).mean()) / k, 1e-12)
    metric[:, range(k), range(k)] += damping
    importance = max(statistics.importance, 1e-12)
    return Problem(weights.astype(np.float64), metric, 2 * multiplier / importance)


def solve(task: Problem, step: float) -> Solution:
    """Codes of little cost at that step: never more than that of rounding to the nearest."""
    return _settled(task, _drafted(task, step))


def best(task: Problem, steps: Sequence[float], least: float) -> Solution:
    """The solution at the step whose first pass costs least, found downhill from one of `steps`.

    Args:
        task: the layer's problem.
        steps: the cheapest of them is where to begin; the way down from one can end in a dip.
        least: no smaller one is tried.
    """
    here = _cheapest(task, [_drafted(task, step) for step in {max(s, least) for s in steps}])
    for factor in (_STEP_FACTOR, 1 / _STEP_FACTOR):
        moved = False
        while (step := max(here.step * factor, least)) != here.step:
            there = _drafted(task, step)
            if _cost(task, there) >= _cost(task, here):
                break
            here, moved = there, True
        if moved:
            break
    return _settled(task, here)


def _drafted(task: Problem, step: float) -> Solution:
    rounded = np.clip(np.rint(task.weights / step), -LARGEST, LARGEST).astype(np.int64)
    ordered = _in_order(task, step, _bits(rounded))
    # Of few weights the histogram says little, and rounding may be the cheaper.
    return _cheapest(task, [_solution(task, step, codes) for codes in (ordered, rounded)])


def _settled(task: Problem, draft: Solution) -> Solution:
    codes, step = draft.codes.copy(), draft.step
    for _ in range(_SWEEPS):
        if _sweep(task, step, codes, _bits(codes)) < codes.size / 200:
            break
    return _cheapest(task, [_solution(task, step, codes), draft])


def _solution(task: Problem, step: float, codes: np.ndarray) -> Solution:
    return Solution(codes, step, _error(task, step, codes), entropy_bits(codes))


def _cheapest(task: Problem, found: Sequence[Solution]) -> Solution:
    return min(found, key=lambda each: _cost(task, each))


def _cost(task: Problem, found: Solution) -> float:
    return found.error + task.price * found.bits


def _bits(codes: np.ndarray) -> np.ndarray:
    """Bits of each code from -LARGEST to LARGEST; unused ones are dear but not impossible."""
    counts = np.bincount(np.abs(codes).reshape(-1), minlength=LARGEST + 1) / 2.0
    counts[0] *= 2
    counts = np.concatenate([counts[:0:-1], counts])
    counts += 0.5 * np.exp(-np.abs(np.arange(-LARGEST, LARGEST + 1)) / 3) + 5 / len(counts)
    return -np.log2(counts / counts.sum())


def _pick(
    wanted: np.ndarray, step: float, curvature: np.ndarray, price: float, bits: np.ndarray
) -> np.ndarray:
    """For each real number the cheapest of: the nearest code, its neighbor towards zero, zero."""
    nearest = np.clip(np.rint(wanted / step), -LARGEST, LARGEST).astype(np.int64)
    smaller = nearest - np.sign(nearest)
    to_nearest, to_smaller = (
        curvature * (code * step - wanted) ** 2 + price * bits[code + LARGEST]
        for code in (nearest, smaller)
    )
    to_zero = curvature * wanted**2 + price * bits[LARGEST]
    chosen = np.where(to_smaller < to_nearest, smaller, nearest)
    return np.where(to_zero < np.minimum(to_nearest, to_smaller), 0, chosen)


def _in_order(task: Problem, step: float, bits: np.ndarray) -> np.ndarray:
    weights, metric, price = task.weights.copy(), task.metric, task.price
    codes = np.zeros(weights.shape, np.int64)
    k = weights.shape[-1]
    # Row i of the upper factor of the metric's inverse says how an error at i is made up for.
    factor = np.swapaxes(np.linalg.cholesky(np.linalg.inv(metric)), -1, -2)
    for start in range(0, k, _BLOCK):
        end = min(start + _BLOCK, k)
        errors = np.zeros((*weights.shape[:2], end - start))
        for i in range(start, end):
            diagonal = factor[:, i, i][:, np.newaxis]
            wanted = weights[..., i]
            codes[..., i] = _pick(wanted, step, 1 / diagonal**2, price, bits)
            error = (wanted - step * codes[..., i]) / diagonal
            errors[..., i - start] = error
            weights[..., i + 1 : end] -= (
                error[..., np.newaxis] * factor[:, np.newaxis, i, i + 1 : end]
            )
        weights[..., end:] -= errors @ factor[:, start:end, end:]
    return codes


def _sweep(task: Problem, step: float, codes: np.ndarray, bits: np.ndarray) -> int:
    """Chooses each code anew, in place; returns how many changed."""
    metric, changed = task.metric, 0
    pull = (task.weights - step * codes) @ metric
    for i in range(codes.shape[-1]):
        own = metric[:, i, i][:, np.newaxis]
        wanted = step * codes[..., i] + pull[..., i] / own
        chosen = _pick(wanted, step, own, task.price, bits)
        group, row = np.nonzero(chosen != codes[..., i])
        if len(group):
            moved = step * (chosen - codes[..., i])[group, row]
            pull[group, row] -= moved[:, np.newaxis] * metric[group, i]
            codes[group, row, i] = chosen[group, row]
            changed += len(group)
    return changed


def _error(task: Problem, step: float, codes: np.ndarray) -> float:
    difference = task.weights - step * codes
    return float(np.einsum("gfk,gfk->", difference @ task.metric, difference))
