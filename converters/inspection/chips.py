"""Peak figures of processors, for roofline estimates."""

from __future__ import annotations

from dataclasses import dataclass

from zoo.errors import UnknownNameError


@dataclass(frozen=True)
class Chip:
    """Peak figures of a processor.

    Attributes:
        gflops: 10⁹ operations per second, two per MAC.
        gbps: Memory bandwidth in 10⁹ bytes per second.
        source: Origin of the figures.
        int8_gops: 10⁹ operations per second of layers with 8-bit inputs; None if not faster.
    """

    gflops: float
    gbps: float
    source: str
    int8_gops: float | None = None


_MEMORY = "44 GB/s: LPDDR5, 2750 MHz × 2 × 8 bytes (Qualcomm's product brief)"
CHIPS = {
    # The higher of the two figures keeps the estimate consistently optimistic.
    "snapdragon_865_gpu": Chip(
        1450,
        44,
        "1450 GFLOPS: an assumption for the Adreno 650; public specification lists say 1228 at 587"
        f" MHz; {_MEMORY}",
    ),
    "snapdragon_865_cpu": Chip(
        45.4,
        44,
        "one Cortex-A77 at 2.84 GHz: per cycle two 128-bit FMLA of 4 MACs or two SDOT of 16 MACs"
        f" (Arm's Cortex-A77 Software Optimization Guide); {_MEMORY}",
        int8_gops=181.8,
    ),
}


def chip(name: str) -> Chip:
    """Returns the figures of a chip in `CHIPS`.

    Raises:
        UnknownNameError: if the chip is unknown.
    """
    if name not in CHIPS:
        raise UnknownNameError("--chip", name, CHIPS)
    return CHIPS[name]
