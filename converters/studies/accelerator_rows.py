"""Rows of `converters.studies.accelerators`. No TensorFlow."""

from __future__ import annotations

from collections.abc import Iterable

from zoo.schema.base import Sha256, Strict
from zoo.schema.compiled import CompiledModel
from zoo.schema.engine_check import WrongOperator
from zoo.schema.measurement import Placement

Key = tuple[str, str, str]  # SHA-256 of the file, delegate, versions


class OnImages(Strict):
    """Outputs of an engine against those of LiteRT's XNNPACK on the same images.

    Attributes:
        images: Number of images.
        sqnr_db: Lowest signal-to-noise ratio in dB; None if equal or not finite.
        largest: Largest difference of a dequantized output; None if not finite.
        agreement: Share of images with the same top-1 class.
        first: First operator whose output departs, if the outputs do.
        reasons: Empty if the outputs do not depart.
    """

    images: int
    sqnr_db: float | None = None
    largest: float | None = None
    agreement: float
    first: WrongOperator | None = None
    reasons: tuple[str, ...] = ()


class AcceleratorRow(Strict):
    """Result for one file on one engine.

    Attributes:
        model: Catalog name.
        precision: Precision of the file.
        sha256: SHA-256 of the file.
        delegate: Delegate of the engine: `gpu`, or `npu:` and the SoC.
        versions: Version of each package that takes part.
        limit_s: Time limit of the compiler and of each call of the engine, in seconds.
        placement: Where the operators ran; None if nothing ran.
        compiled: Manifest of the file that was compiled for the SoC.
        on_images: What the engine computes; None if it computed nothing.
        reason: Why the engine failed; None if it did not, or if it was not asked to compute.
    """

    model: str
    precision: str
    sha256: Sha256
    delegate: str
    versions: dict[str, str]
    limit_s: float
    placement: Placement | None = None
    compiled: CompiledModel | None = None
    on_images: OnImages | None = None
    reason: str | None = None

    @staticmethod
    def versions_key(versions: dict[str, str]) -> str:
        """Returns versions as one word, for `Key`."""
        return " ".join(f"{package}={number}" for package, number in sorted(versions.items()))

    @property
    def key(self) -> Key:
        """What the row is found by."""
        return self.sha256, self.delegate, self.versions_key(self.versions)

    def settles(self, limit_s: float) -> bool:
        """Whether nothing else is to be expected within a time limit."""
        return self.reason is None or self.limit_s >= limit_s


def by_file(rows: Iterable[AcceleratorRow]) -> dict[tuple[str, str], AcceleratorRow]:
    """Returns the last row for each SHA-256 and delegate, of whichever version."""
    return {(row.sha256, row.delegate): row for row in rows}


def line(row: AcceleratorRow) -> str:
    """Returns a row as one line of text."""
    words = []
    if row.compiled is not None:
        made = row.compiled
        words.append(
            f"{made.on_npu} of {made.operators} operators in {made.partitions} partitions, "
            f"compiled in {made.seconds:.0f} s"
        )
    elif row.placement is not None:
        words.append(f"{row.placement.delegated} of {row.placement.nodes} operators")
    if row.on_images is not None:
        words.append(decibels(row.on_images))
        words += row.on_images.reasons
    if row.reason is not None:
        words.append(row.reason)
    return f"{row.model} {row.precision} on {row.delegate}: {'; '.join(words)}"


def decibels(found: OnImages) -> str:
    """Returns the signal-to-noise ratio in words."""
    if found.sqnr_db is not None:
        return f"{found.sqnr_db:.0f} dB"
    return "equal" if found.largest == 0 else "not finite"
