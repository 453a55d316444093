"""Level per layer chosen from curves of divergence against size. Does not import TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from zoo.errors import ZooError


@dataclass(frozen=True)
class ScanPoint:
    """Result of changing one layer while all other layers keep their trained weights.

    Attributes:
        layer: Layer name.
        level: Level on the scan's scale: sparsity, bits per weight, or share of the full rank.
        value: Value for a plan: sparsity, number of clusters, or rank.
        bytes: Coded size of the layer's weights, in bytes.
        accuracy: Accuracy of the network, 0 to 1.
        nats: KL divergence from the trained network's probabilities to this network's, in nats,
            averaged over the images.
    """

    layer: str
    level: float
    value: float
    bytes: float
    accuracy: float
    nats: float


@dataclass(frozen=True)
class Proposal:
    """Scan point of each layer to change, by layer name, and the resulting bytes of all layers."""

    points: Mapping[str, ScanPoint]
    bytes: float


def propose(whole: Mapping[str, float], points: Sequence[ScanPoint], target: float) -> Proposal:
    """Chooses a level per layer that minimizes the summed divergence within a size limit.

    Assumes that the divergences of single layers add up, which holds for small changes. Takes steps
    along the lower convex hull of each layer's curve in order of bytes saved per nat.

    Args:
        whole: Layer name → bytes of the unchanged layer.
        points: Points of the scan, in any order.
        target: Maximum total size of all layers, in bytes.

    Raises:
        ZooError: if no combination of levels is small enough.
    """
    steps: list[tuple[float, ScanPoint]] = []
    for layer, size in whole.items():
        steps += _hull(size, [point for point in points if point.layer == layer])
    total = sum(whole.values())
    chosen: dict[str, ScanPoint] = {}
    sizes = dict(whole)
    for _, point in sorted(steps, key=lambda step: -step[0]):
        if total <= target:
            break
        total += point.bytes - sizes[point.layer]
        sizes[point.layer] = point.bytes
        chosen[point.layer] = point
    if total > target:
        raise ZooError(
            "no combination of the scanned levels is small enough",
            expected=f"at least {total:.0f} bytes",
            got=f"{target:.0f}",
        )
    return Proposal(chosen, total)


def _hull(whole: float, points: Sequence[ScanPoint]) -> list[tuple[float, ScanPoint]]:
    """Returns (bytes saved per nat, point) along the lower convex hull from the unchanged layer."""
    hull: list[tuple[float, ScanPoint]] = []
    bytes_now, nats_now = whole, 0.0
    rest = [point for point in points if point.bytes < whole]
    while rest:
        # Noise can make the difference zero or negative; the floor keeps the rate finite.
        rates = [(bytes_now - p.bytes) / max(p.nats - nats_now, 1e-9) for p in rest]
        rate, point = max(zip(rates, rest, strict=True), key=lambda pair: (pair[0], -pair[1].bytes))
        hull.append((rate, point))
        bytes_now, nats_now = point.bytes, max(point.nats, nats_now)
        rest = [p for p in rest if p.bytes < bytes_now]
    return hull
