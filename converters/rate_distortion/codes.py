"""Chooses integer codes for the weights of a layer, trading output error against size.

The cost of a layer is  ½ · importance · Σ (w − s·q)ᵀ C (w − s·q) + λ · Σ bits(q)  over its
filters, where C is the covariance of the inputs and bits(q) comes from the histogram of the layer's
codes. A first pass fixes one weight after another and compensates its error in the following
weights (Frantar et al. 2023, "GPTQ", arXiv:2210.17323, where there is no rate term). Further sweeps
then choose each code again, with all other codes fixed, until few of them change. Zeros cost the
fewest bits, so quantization also prunes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from converters.rate_distortion.layer_statistics import Statistics
from zoo.stats import entropy_bits

LARGEST = 1023  # large, because a layer's few largest weights are many times its typical weight
_DAMPING = 0.01  # share of the mean variance, for inputs that the sample images do not cover
_SWEEPS = 3
_BLOCK = 64
_STEP_FACTOR = 1.2


@dataclass(frozen=True)
class Problem:
    """Quantization problem of one layer.

    Attributes:
        weights: float64 (groups, filters, k).
        metric: Damped second moments of the inputs, float64 (groups, k, k).
        price: λ divided by ½ · importance: the squared output error that one bit is worth.
    """

    weights: np.ndarray
    metric: np.ndarray
    price: float


@dataclass(frozen=True)
class Solution:
    """Codes of one layer.

    Attributes:
        codes: int64 (groups, filters, k).
        step: Quantization step; a weight is code × step.
        error: Squared output error.
        bits: Entropy of all codes, in bits.
    """

    codes: np.ndarray
    step: float
    error: float
    bits: float


def problem(
    weights: np.ndarray, statistics: Statistics, multiplier: float, biased: bool
) -> Problem:
    """Returns the quantization problem of a layer.

    Args:
        weights: (groups, filters, k).
        statistics: Statistics of the layer's inputs.
        multiplier: Lagrange multiplier λ, in nats per bit.
        biased: Whether the layer has a bias. The bias absorbs the mean error, so only the
            deviation from the mean counts.
    """
    mean = statistics.mean
    offset = 0.0 if biased else mean[:, :, np.newaxis] * mean[:, np.newaxis, :]
    metric = statistics.covariance + offset
    k = metric.shape[-1]
    damping = _DAMPING * max(float(np.trace(metric, axis1=1, axis2=2).mean()) / k, 1e-12)
    metric[:, range(k), range(k)] += damping
    importance = max(statistics.importance, 1e-12)
    return Problem(weights.astype(np.float64), metric, 2 * multiplier / importance)


def solve(task: Problem, step: float) -> Solution:
    """Returns low-cost codes at a given step; they never cost more than rounding to nearest."""
    return _refined(task, _draft(task, step))


def best(task: Problem, steps: Sequence[float], least: float) -> Solution:
    """Returns the solution at the step whose first pass costs least.

    A local search over steps starts from the cheapest of `steps`.

    Args:
        task: Problem of the layer.
        steps: Candidate starting steps. Several are needed to avoid local minima.
        least: Smallest step to try.
    """
    current = _cheapest(task, [_draft(task, step) for step in {max(s, least) for s in steps}])
    for factor in (_STEP_FACTOR, 1 / _STEP_FACTOR):
        improved = False
        while (step := max(current.step * factor, least)) != current.step:
            candidate = _draft(task, step)
            if _cost(task, candidate) >= _cost(task, current):
                break
            current, improved = candidate, True
        if improved:
            break
    return _refined(task, current)


def _draft(task: Problem, step: float) -> Solution:
    rounded = np.clip(np.rint(task.weights / step), -LARGEST, LARGEST).astype(np.int64)
    ordered = _in_order(task, step, _bits(rounded))
    # The histogram of few weights is unreliable, and plain rounding may cost less.
    return _cheapest(task, [_solution(task, step, codes) for codes in (ordered, rounded)])


def _refined(task: Problem, draft: Solution) -> Solution:
    codes, step = draft.codes.copy(), draft.step
    for _ in range(_SWEEPS):
        if _sweep(task, step, codes, _bits(codes)) < codes.size / 200:
            break
    return _cheapest(task, [_solution(task, step, codes), draft])


def _solution(task: Problem, step: float, codes: np.ndarray) -> Solution:
    return Solution(codes, step, _error(task, step, codes), entropy_bits(codes))


def _cheapest(task: Problem, solutions: Sequence[Solution]) -> Solution:
    return min(solutions, key=lambda solution: _cost(task, solution))


def _cost(task: Problem, solution: Solution) -> float:
    return solution.error + task.price * solution.bits


def _bits(codes: np.ndarray) -> np.ndarray:
    """Returns the bits of each code from -LARGEST to LARGEST; unused codes get a high, finite cost.

    Args:
        codes: Codes whose histogram is used; the signs are ignored.
    """
    counts = np.bincount(np.abs(codes).reshape(-1), minlength=LARGEST + 1) / 2.0
    counts[0] *= 2
    counts = np.concatenate([counts[:0:-1], counts])
    counts += 0.5 * np.exp(-np.abs(np.arange(-LARGEST, LARGEST + 1)) / 3) + 5 / len(counts)
    return -np.log2(counts / counts.sum())


def _pick(
    target: np.ndarray, step: float, curvature: np.ndarray, price: float, bits: np.ndarray
) -> np.ndarray:
    """Returns the cheapest code for each target: the nearest, its neighbor toward zero, or zero."""
    nearest = np.clip(np.rint(target / step), -LARGEST, LARGEST).astype(np.int64)
    smaller = nearest - np.sign(nearest)
    to_nearest, to_smaller = (
        curvature * (code * step - target) ** 2 + price * bits[code + LARGEST]
        for code in (nearest, smaller)
    )
    to_zero = curvature * target**2 + price * bits[LARGEST]
    chosen = np.where(to_smaller < to_nearest, smaller, nearest)
    return np.where(to_zero < np.minimum(to_nearest, to_smaller), 0, chosen)


def _in_order(task: Problem, step: float, bits: np.ndarray) -> np.ndarray:
    weights, metric, price = task.weights.copy(), task.metric, task.price
    codes = np.zeros(weights.shape, np.int64)
    k = weights.shape[-1]
    # Row i of the upper Cholesky factor of the inverse metric compensates an error at i.
    factor = np.swapaxes(np.linalg.cholesky(np.linalg.inv(metric)), -1, -2)
    for start in range(0, k, _BLOCK):
        end = min(start + _BLOCK, k)
        errors = np.zeros((*weights.shape[:2], end - start))
        for i in range(start, end):
            diagonal = factor[:, i, i][:, np.newaxis]
            target = weights[..., i]
            codes[..., i] = _pick(target, step, 1 / diagonal**2, price, bits)
            error = (target - step * codes[..., i]) / diagonal
            errors[..., i - start] = error
            weights[..., i + 1 : end] -= (
                error[..., np.newaxis] * factor[:, np.newaxis, i, i + 1 : end]
            )
        weights[..., end:] -= errors @ factor[:, start:end, end:]
    return codes


def _sweep(task: Problem, step: float, codes: np.ndarray, bits: np.ndarray) -> int:
    """Chooses each code again, in place, and returns the number of changed codes."""
    metric, changed = task.metric, 0
    pull = (task.weights - step * codes) @ metric
    for i in range(codes.shape[-1]):
        curvature = metric[:, i, i][:, np.newaxis]
        target = step * codes[..., i] + pull[..., i] / curvature
        chosen = _pick(target, step, curvature, task.price, bits)
        group, row = np.nonzero(chosen != codes[..., i])
        if len(group):
            delta = step * (chosen - codes[..., i])[group, row]
            pull[group, row] -= delta[:, np.newaxis] * metric[group, i]
            codes[group, row, i] = chosen[group, row]
            changed += len(group)
    return changed


def _error(task: Problem, step: float, codes: np.ndarray) -> float:
    difference = task.weights - step * codes
    return float(np.einsum("gfk,gfk->", difference @ task.metric, difference))
