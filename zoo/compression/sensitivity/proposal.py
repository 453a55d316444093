"""Curves of loss against size, one a layer, and the choice that they propose. No TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from zoo.errors import ZooError


@dataclass(frozen=True)
class ScanPoint:
    """One layer changed, all others as they were trained.

    Attributes:
        layer: its name.
        level: where on the scan's scale: sparsity, bits, or the share of the full rank.
        value: what a plan says for it: sparsity, clusters or rank.
        bytes: of the layer's weights, coded.
        accuracy: of the network, 0 to 1.
        nats: divergence of its probabilities from the trained network's, a mean over pictures.
    """

    layer: str
    level: float
    value: float
    bytes: float
    accuracy: float
    nats: float


@dataclass(frozen=True)
class Proposal:
    """A point for each layer that is to be changed, and the bytes of all layers then."""

    points: Mapping[str, ScanPoint]
    bytes: float


def propose(whole: Mapping[str, float], points: Sequence[ScanPoint], target: float) -> Proposal:
    """The least sum of divergences whose bytes are at most the target.

    Layers are taken to add up, which holds for small changes. Steps along the lower convex hull of
    each layer's curve are taken in the order of bytes saved a nat.

    Args:
        whole: bytes of each layer unchanged.
        points: of the scan, any order.
        target: bytes of all layers.

    Raises:
        ZooError: no choice is that small.
    """
    steps: list[tuple[float, ScanPoint]] = []
    for layer, own in whole.items():
        steps += _hull(own, [point for point in points if point.layer == layer])
    total = sum(whole.values())
    chosen: dict[str, ScanPoint] = {}
    left = dict(whole)
    for _, point in sorted(steps, key=lambda step: -step[0]):
        if total <= target:
            break
        total += point.bytes - left[point.layer]
        left[point.layer] = point.bytes
        chosen[point.layer] = point
    if total > target:
        raise ZooError(
            "no choice among the scanned levels is that small",
            expected=f"at least {total:.0f} bytes",
            got=f"{target:.0f}",
        )
    return Proposal(chosen, total)


def _hull(whole: float, points: Sequence[ScanPoint]) -> list[tuple[float, ScanPoint]]:
    """(bytes saved a nat, point) along the lower convex hull from the unchanged layer on."""
    found: list[tuple[float, ScanPoint]] = []
    bytes_now, nats_now = whole, 0.0
    rest = [point for point in points if point.bytes < whole]
    while rest:
        # Differences of noise would give an infinite or a negative rate.
        rates = [(bytes_now - p.bytes) / max(p.nats - nats_now, 1e-9) for p in rest]
        rate, point = max(zip(rates, rest, strict=True), key=lambda pair: (pair[0], -pair[1].bytes))
        found.append((rate, point))
        bytes_now, nats_now = point.bytes, max(point.nats, nats_now)
        rest = [p for p in rest if p.bytes < bytes_now]
    return found
