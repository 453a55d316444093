"""An estimate of the time of one inference on a named chip: the roofline.

The larger of arithmetic (two operations a MAC, at the peak rate) and memory traffic (weights once,
activations written once and read by each operator that takes them, at the peak bandwidth).
Optimistic: no chip holds its peaks. On the Snapdragon 865's GPU measured times were 4 to 9 times
above.
"""

from __future__ import annotations

from dataclasses import dataclass

from converters.inspection import macs
from converters.inspection.arena import unpacked_constants
from converters.tflite.model import Graph, Model
from zoo.errors import UnknownNameError

ABOVE = "measured times are several times above (4 to 9 times on the Snapdragon 865's GPU)"


@dataclass(frozen=True)
class Chip:
    """Peak figures of a processor.

    Attributes:
        gflops: 10⁹ operations a second, two a MAC.
        gbps: memory bandwidth, 10⁹ bytes a second.
        int8_gops: where 8-bit arithmetic is faster, its rate, for fully quantized layers.
        source: where the figures are from.
    """

    gflops: float
    gbps: float
    source: str
    int8_gops: float | None = None


_MEMORY = "44 GB/s: LPDDR5, 2750 MHz × 2 × 8 bytes (Qualcomm's product brief)"
CHIPS = {
    # Of two figures the higher one: an optimistic estimate should be optimistic throughout.
    "snapdragon_865_gpu": Chip(
        1450,
        44,
        "1450 GFLOPS: the project's figure for the Adreno 650, where public lists of specifications"
        f" say 1228 at 587 MHz; {_MEMORY}",
    ),
    "snapdragon_865_cpu": Chip(
        45.4,
        44,
        "one Cortex-A77 at 2.84 GHz: two 128-bit FMLA a cycle, 4 MACs each; two SDOT, 16 each"
        f" (Arm's Cortex-A77 Software Optimization Guide); {_MEMORY}",
        int8_gops=181.8,
    ),
}


@dataclass(frozen=True)
class Estimate:
    """Times in microseconds, bytes moved, and where the chip's figures are from."""

    chip: str
    compute_us: float
    memory_us: float
    bytes: int
    source: str

    @property
    def us(self) -> float:
        """The larger of the two."""
        return max(self.compute_us, self.memory_us)

    @property
    def bound(self) -> str:
        """Which one that is."""
        return "compute" if self.compute_us >= self.memory_us else "memory"


def chip(name: str) -> Chip:
    """A row of the table.

    Raises:
        UnknownNameError: no such chip.
    """
    if name not in CHIPS:
        raise UnknownNameError("--chip", name, CHIPS)
    return CHIPS[name]


def estimate(model: Model, name: str) -> Estimate:
    """The estimate for one inference.

    Raises:
        UnknownNameError: no such chip.
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
    """Bytes that one run of a graph moves at least: each constant in use once, as stored."""
    used: set[int] = set()
    moved = 0
    unpacked = unpacked_constants(graph)  # weights too, which the stored ones stand for
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
