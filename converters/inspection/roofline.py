"""Roofline estimate of the latency of one inference on a given chip.

The estimate is the larger of the arithmetic time (two operations per MAC at the peak rate) and the
memory time (weights read once, activations written once and read by each consumer, at the peak
bandwidth). It is optimistic, because no chip sustains its peaks: on the Snapdragon 865's GPU,
measured latencies were 4 to 9 times higher.
"""

from __future__ import annotations

from dataclasses import dataclass

from converters.inspection import macs
from converters.inspection.arena import unpacked_constants
from converters.inspection.chips import chip
from converters.tflite.model import Graph, Model

ABOVE = "measured latencies are several times higher (4 to 9 times on the Snapdragon 865's GPU)"


@dataclass(frozen=True)
class Estimate:
    """Roofline estimate of one inference; times in microseconds.

    Attributes:
        chip: Key of `chips.CHIPS`.
        compute_us: Arithmetic time.
        memory_us: Time to move `bytes` at the peak bandwidth.
        bytes: Memory traffic.
        source: Origin of the chip's figures.
    """

    chip: str
    compute_us: float
    memory_us: float
    bytes: int
    source: str

    @property
    def us(self) -> float:
        """Estimated latency: the larger of arithmetic and memory time."""
        return max(self.compute_us, self.memory_us)

    @property
    def bound(self) -> str:
        """`compute` or `memory`, whichever takes longer."""
        return "compute" if self.compute_us >= self.memory_us else "memory"


def estimate(model: Model, name: str) -> Estimate:
    """Estimates the latency of one inference on the chip `name`.

    Raises:
        UnknownNameError: if the chip is unknown.
    """
    peak = chip(name)
    seconds = 0.0
    for graph, operator in model.operators():
        image = graph.input(operator, 0)
        fast = peak.int8_gops if image is not None and image.type in ("INT8", "UINT8") else None
        seconds += 2 * macs.of_operator(graph, operator) / ((fast or peak.gflops) * 1e9)
    moved = sum(traffic(graph) for graph in model.graphs)
    return Estimate(name, 1e6 * seconds, 1e6 * moved / (peak.gbps * 1e9), moved, peak.source)


def traffic(graph: Graph) -> int:
    """Returns the minimum bytes moved by one run, reading each used constant once as stored."""
    used: set[int] = set()
    moved = 0
    unpacked = unpacked_constants(graph)  # already counted by their stored form
    for operator in graph.operators:
        for tensor in graph.input_tensors(operator):
            if tensor.constant:
                used.add(tensor.index)
            elif tensor.index not in unpacked:
                moved += tensor.bytes or 0
        for tensor in graph.output_tensors(operator):
            moved += 0 if tensor.index in unpacked else tensor.bytes or 0
    stored = (graph.tensors[index].data for index in used)
    return moved + sum(place[1] for place in stored if place is not None)
