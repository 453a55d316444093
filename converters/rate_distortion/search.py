"""From a float32 `.tflite` to one of as few coded bytes as wanted, or of as small an error."""

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

_FIRST_STEPS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)  # of the weights' standard deviation
_FIRST_MULTIPLIER = 2e-7  # nats a bit
_TRIES = 10
_CLOSE, _AIM = 0.985, 0.993  # of the wanted size
_SAME = 1e-3  # a smaller λ that makes so little difference is the end
_SLOPE = 8.0  # how much faster λ rises than the size falls, both as logarithms


@dataclass(frozen=True)
class Quantized:
    """A network on grids of its own.

    Attributes:
        content: the float32 flatbuffer whose weights are codes × step, biases corrected.
        layers: codes and step by the weights' tensor name; codes in the shape that the file has.
        multiplier: the Lagrange multiplier λ, nats a bit.
        nats: predicted divergence from the float network's probabilities, a mean over pictures.
        coded_bits: entropy of all codes, one histogram a layer.
    """

    content: bytes
    layers: dict[str, write.Grid]
    multiplier: float
    nats: float
    coded_bits: float


class Search:
    """Quantizes one network at several multipliers; the pictures are looked at once.

    Args:
        content: a float32 flatbuffer of one input and one output.
        images: (n, height, width, channels) as the network takes them; no labels.
        where: the file's name, for messages.
        seed: see `statistics.collect`.

    Raises:
        ZooError: what `Replay` and `collect` refuse.
    """

    def __init__(self, content: bytes, images: np.ndarray, where: object, seed: int = 1):
        self._replay = Replay(content, where)
        if not self._replay.layers:
            raise ZooError("a network without weights", where=where)
        self._content = content
        self._statistics = collect(self._replay, images, seed)
        self._found: dict[int, tuple[float, float]] = {}  # weight → (multiplier, step)
        self._last = _FIRST_MULTIPLIER

    def at(self, multiplier: float) -> Quantized:
        """The network of least error + multiplier × bits."""
        self._last = multiplier
        solutions = {}
        for layer in self._replay.layers:
            statistics = self._statistics[layer.weight]
            solution = self._solve(layer, statistics, multiplier)
            self._found[layer.weight] = (multiplier, solution.step)
            solutions[layer] = solution
        return self._result(solutions, multiplier)

    def to_size(self, wanted: int, measure: Callable[[bytes], int], log: Log) -> Quantized:
        """The network of least error whose measured size is at most `wanted` bytes.

        Args:
            wanted: bytes.
            measure: a flatbuffer's size as it is shipped.
            log: gets a line for each try.

        Raises:
            ZooError: no network is that small.
        """
        multiplier = self._last
        fits: Quantized | None = None
        large: tuple[float, float] | None = None  # logarithms of λ and of a size above the wanted
        small: tuple[float, float] | None = None  # likewise, of one that is not
        goal = math.log(_AIM * wanted)
        for _ in range(_TRIES):
            found = self.at(multiplier)
            size = measure(found.content)
            log(f"  {size:,} bytes at λ = {multiplier:.3g} nats/bit, {found.nats:.4f} nats")
            here = math.log(multiplier), math.log(size)
            if size <= wanted:
                same = small is not None and abs(here[1] - small[1]) < _SAME
                fits, small = found, here
                if size >= _CLOSE * wanted or same:
                    break
            else:
                large = here
            multiplier = math.exp(_next(here, goal, large, small))
        if fits is None:
            raise ZooError("the network can't be made that small", expected=f"{wanted} bytes")
        return fits

    def _solve(self, layer: WeightedLayer, statistics: Statistics, multiplier: float) -> Solution:
        weights = self._replay.matrix(layer)
        task = problem(weights, statistics, multiplier, biased=layer.bias >= 0)
        if layer.weight in self._found:
            last, step = self._found[layer.weight]
            steps = [step * (multiplier / last) ** 0.25]
        else:
            steps = [share * (float(weights.std()) or 1.0) for share in _FIRST_STEPS]
        # The largest weights count most: no step so small that their codes would be cut off.
        return best(task, steps, float(np.abs(weights).max()) / LARGEST)

    def _result(self, solutions: dict[WeightedLayer, Solution], multiplier: float) -> Quantized:
        grids, biases, nats = {}, {}, 0.0
        for layer, solution in solutions.items():
            statistics = self._statistics[layer.weight]
            codes = self._replay.stored(layer, solution.codes).astype(np.int16)
            grids[self._replay.graph.tensors[layer.weight].name] = write.Grid(codes, solution.step)
            if layer.bias >= 0:
                # What the codes change on average; the rest of the error is what was minimized.
                off = self._replay.matrix(layer) - solution.step * solution.codes
                shift = np.einsum("gfk,gk->gf", off, statistics.mean).reshape(-1)
                biases[layer.bias] = self._replay.constants[layer.bias] + shift
            nats += 0.5 * statistics.importance * solution.error
        bits = sum(solution.bits for solution in solutions.values())
        content = write.float32(self._content, self._replay, grids, biases)
        return Quantized(content, grids, multiplier, nats, bits)


def _next(
    here: tuple[float, float],
    goal: float,
    large: tuple[float, float] | None,
    small: tuple[float, float] | None,
) -> float:
    """The logarithm of the next λ: between the nearest on both sides, or beyond the only one."""
    if large is None or small is None:
        return here[0] + min(max(_SLOPE * (here[1] - goal), -4.0), 4.0)
    share = (large[1] - goal) / max(large[1] - small[1], 1e-9)
    return large[0] + min(max(share, 0.1), 0.9) * (small[0] - large[0])
