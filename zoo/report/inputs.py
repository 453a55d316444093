"""What the page shows beyond result lines and manifests, handed over as plain data.

Whoever writes the page computes it: estimates need `converters`, which this package can't import.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import Field

from zoo.errors import ZooError
from zoo.schema.base import Strict
from zoo.schema.json_files import read_model

SCANS = "sensitivity"  # the folder, under the output folder


@dataclass(frozen=True)
class Estimated:
    """One inference of a file on a chip, at the chip's peaks.

    Attributes:
        macs: multiply-accumulates.
        bytes: moved to and from memory, at least.
        us: time in microseconds; `bound` says by what: `compute` or `memory`.
    """

    macs: int
    bytes: int
    us: float
    bound: str


@dataclass(frozen=True)
class EstimatedChip:
    """The chip that is estimated: 10⁹ operations and bytes a second, and how far to trust it."""

    name: str
    gflops: float
    gbps: float
    source: str
    above: str


class ScanPoint(Strict):
    """One layer changed to one level."""

    layer: str = Field(max_length=200)
    level: float
    bytes: float
    accuracy: float
    nats: float
    value: float


class ScanChoice(Strict):
    """A level for some layers, and the network with all of them changed."""

    levels: dict[str, float]
    bytes: float
    accuracy: float
    nats: float


class PublishedScan(Strict):
    """A sensitivity scan as `scripts.sensitivity` leaves it: what each layer bears."""

    run: str
    dataset: str
    images: int
    what: str
    accuracy: float
    whole: dict[str, float]
    points: tuple[ScanPoint, ...]
    uniform_level: float
    uniform: ScanChoice
    proposed: ScanChoice
    values: dict[str, float]


@dataclass(frozen=True)
class Extras:
    """All of it.

    Attributes:
        chip: None where nothing was estimated.
        estimates: by SHA-256 of the file.
        scans: of the runs.
    """

    chip: EstimatedChip | None = None
    estimates: Mapping[str, Estimated] = field(default_factory=dict)
    scans: tuple[PublishedScan, ...] = ()


def scans(output: Path) -> tuple[list[PublishedScan], list[str]]:
    """The scans in `OUTPUT/sensitivity`, and a line for each that can't be used."""
    found, problems = [], []
    for path in sorted((output / SCANS).glob("*.json")):
        try:
            found.append(
                read_model(path, PublishedScan, "the scan", "run scripts.sensitivity again")
            )
        except ZooError as error:
            problems.append(str(error))
    return found, problems
