"""Page inputs beyond result lines and manifests: roofline estimates and sensitivity scans.

The caller computes the estimates: they need `converters`, which this package must not import.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import Field

from zoo.errors import ZooError
from zoo.schema.base import Strict
from zoo.schema.json_files import read_model

SCANS = "sensitivity"  # subfolder of the output folder


@dataclass(frozen=True)
class Estimated:
    """Lower bound for one inference of a file on a chip, at the chip's peak rates.

    Attributes:
        macs: Multiply-accumulates per inference.
        bytes: Minimum memory traffic per inference.
        us: Time in microseconds.
        bound: What limits the time: `compute` or `memory`.
    """

    macs: int
    bytes: int
    us: float
    bound: str


@dataclass(frozen=True)
class EstimatedChip:
    """Peak rates of the chip that the estimates are for.

    Attributes:
        name: Display name.
        gflops: Peak arithmetic, 10⁹ operations per second; a MAC is two.
        gbps: Peak memory bandwidth, 10⁹ bytes per second.
        source: Source of the peak rates.
        above: Sentence on how far measured times exceed the estimate.
    """

    name: str
    gflops: float
    gbps: float
    source: str
    above: str


class PublishedPoint(Strict):
    """The network with one layer changed.

    Attributes:
        layer: Layer name.
        level: Level of the scan, for example a sparsity of 0.5.
        bytes: Coded bytes of the layer's weights.
        accuracy: Share of images classified correctly, 0 to 1.
        nats: Mean divergence of the class probabilities from the unchanged network's.
        value: Value for this layer in a compression plan.
    """

    layer: str = Field(max_length=200)
    level: float
    bytes: float
    accuracy: float
    nats: float
    value: float


class ScanChoice(Strict):
    """A level for each changed layer, and the network with all of them changed at once."""

    levels: dict[str, float]
    bytes: float
    accuracy: float
    nats: float


class PublishedScan(Strict):
    """A sensitivity scan as written by `scripts.sensitivity`."""

    run: str
    dataset: str
    images: int
    what: str
    accuracy: float
    whole: dict[str, float]
    points: tuple[PublishedPoint, ...]
    uniform_level: float
    uniform: ScanChoice
    proposed: ScanChoice
    values: dict[str, float]


@dataclass(frozen=True)
class Extras:
    """All additional page inputs.

    Attributes:
        chip: None if there are no estimates.
        estimates: SHA-256 of a `.tflite` → its estimate.
        scans: Sensitivity scans.
    """

    chip: EstimatedChip | None = None
    estimates: Mapping[str, Estimated] = field(default_factory=dict)
    scans: tuple[PublishedScan, ...] = ()


def scans(output: Path) -> tuple[list[PublishedScan], list[str]]:
    """Reads the scans in `OUTPUT/sensitivity`.

    Returns:
        The valid scans, and an error message for each unusable file.
    """
    valid, problems = [], []
    for path in sorted((output / SCANS).glob("*.json")):
        try:
            valid.append(read_model(path, PublishedScan, "the scan", "run zoo sensitivity again"))
        except ZooError as error:
            problems.append(str(error))
    return valid, problems
