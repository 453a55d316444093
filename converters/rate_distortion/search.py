"""Quantizes a float32 `.tflite` to a given coded size or at a given price per bit."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from converters.rate_distortion import write
from converters.rate_distortion.codes import LARGEST, Solution, best, problem
from converters.rate_distortion.layer_statistics import Statistics, collect
from converters.rate_distortion.replay import Replay, WeightedLayer
from zoo.errors import ZooError
from zoo.io.log import Log

_FIRST_STEPS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)  # relative to the standard deviation of the weights
_FIRST_MULTIPLIER = 2e-7  # nats per bit
_TRIES = 10
_CLOSE, _AIM = 0.985, 0.993  # relative to the requested size
_SAME = 1e-3  # stop if a smaller λ changes the logarithm of the size by less than this
_SLOPE = 8.0  # change of log λ per change of log size


@dataclass(frozen=True)
class Quantized:
    """A quantized network.

    Attributes:
        content: Float32 flatbuffer whose weights are codes × step, with corrected biases.
        layers: Codes and step of each layer, by tensor name of the weights.
        multiplier: Lagrange multiplier λ, in nats per bit.
        nats: Predicted divergence from the float network's probabilities, in nats per image.
        coded_bits: Entropy of all codes in bits, with one histogram per layer.
    """

    content: bytes
    layers: dict[str, write.Grid]
    multiplier: float
    nats: float
    coded_bits: float


class Search:
    """Quantizes one network at several multipliers; the layer statistics are collected once.

    Args:
        content: Float32 flatbuffer with one input and one output.
        images: Normalized images, float32 (n, height, width, channels).
        where: File name shown in error messages.
        seed: Seed for the layer statistics, see `layer_statistics.collect`.

    Raises:
        ZooError: if the network has no weights, or `Replay` or `collect` does not support it.
    """

    def __init__(self, content: bytes, images: np.ndarray, where: object, seed: int = 1):
        self._replay = Replay(content, where)
        if not self._replay.layers:
            raise ZooError("the network has no weights", where=where)
        self._content = content
        self._statistics = collect(self._replay, images, seed)
        self._found: dict[int, tuple[float, float]] = {}  # weight → (multiplier, step)
        self._last = _FIRST_MULTIPLIER

    def at(self, multiplier: float) -> Quantized:
        """Returns the network that minimizes error + multiplier × bits.

        Args:
            multiplier: Lagrange multiplier λ, in nats per bit.
        """
        self._last = multiplier
        solutions = {}
        for layer in self._replay.layers:
            statistics = self._statistics[layer.weight]
            solution = self._solve(layer, statistics, multiplier)
            self._found[layer.weight] = (multiplier, solution.step)
            solutions[layer] = solution
        return self._result(solutions, multiplier)

    def to_size(self, limit: int, measure: Callable[[bytes], int], log: Log) -> Quantized:
        """Returns the network with the smallest error whose size does not exceed a limit.

        Args:
            limit: Largest allowed size, in bytes.
            measure: Returns the shipped size of a flatbuffer, in bytes.
            log: Called with one line per attempt.

        Raises:
            ZooError: if no attempt is small enough.
        """
        multiplier = self._last
        fits: Quantized | None = None
        large: tuple[float, float] | None = None  # (log λ, log size) above the limit
        small: tuple[float, float] | None = None  # (log λ, log size) within the limit
        goal = math.log(_AIM * limit)
        for _ in range(_TRIES):
            quantized = self.at(multiplier)
            size = measure(quantized.content)
            log(f"  {size:,} bytes at λ = {multiplier:.3g} nats/bit, {quantized.nats:.4f} nats")
            point = math.log(multiplier), math.log(size)
            if size <= limit:
                same = small is not None and abs(point[1] - small[1]) < _SAME
                fits, small = quantized, point
                if size >= _CLOSE * limit or same:
                    break
            else:
                large = point
            multiplier = math.exp(_next(point, goal, large, small))
        if fits is None:
            raise ZooError(
                "the network cannot be compressed to the requested size",
                expected=f"at most {limit} bytes",
            )
        return fits

    def _solve(self, layer: WeightedLayer, statistics: Statistics, multiplier: float) -> Solution:
        weights = self._replay.matrix(layer)
        task = problem(weights, statistics, multiplier, biased=layer.bias >= 0)
        if layer.weight in self._found:
            last, step = self._found[layer.weight]
            steps = [step * (multiplier / last) ** 0.25]
        else:
            steps = [share * (float(weights.std()) or 1.0) for share in _FIRST_STEPS]
        # The largest weights matter most, so the step never gets so small that their codes are
        # clipped.
        return best(task, steps, float(np.abs(weights).max()) / LARGEST)

    def _result(self, solutions: dict[WeightedLayer, Solution], multiplier: float) -> Quantized:
        grids, biases, nats = {}, {}, 0.0
        for layer, solution in solutions.items():
            statistics = self._statistics[layer.weight]
            codes = self._replay.stored(layer, solution.codes).astype(np.int16)
            grids[self._replay.graph.tensors[layer.weight].name] = write.Grid(codes, solution.step)
            if layer.bias >= 0:
                # Corrects the mean error of the output. The quantization minimized the remainder.
                difference = self._replay.matrix(layer) - solution.step * solution.codes
                shift = np.einsum("gfk,gk->gf", difference, statistics.mean).reshape(-1)
                biases[layer.bias] = self._replay.constants[layer.bias] + shift
            nats += 0.5 * statistics.importance * solution.error
        bits = sum(solution.bits for solution in solutions.values())
        content = write.float32(self._content, self._replay, grids, biases)
        return Quantized(content, grids, multiplier, nats, bits)


def _next(
    point: tuple[float, float],
    goal: float,
    large: tuple[float, float] | None,
    small: tuple[float, float] | None,
) -> float:
    """Returns log λ for the next attempt: interpolated between both sides, else extrapolated."""
    if large is None or small is None:
        return point[0] + min(max(_SLOPE * (point[1] - goal), -4.0), 4.0)
    share = (large[1] - goal) / max(large[1] - small[1], 1e-9)
    return large[0] + min(max(share, 0.1), 0.9) * (small[0] - large[0])
