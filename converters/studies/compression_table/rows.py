"""Rows of the table, and the table in Markdown. No TensorFlow."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Sequence

import numpy as np

from converters.packing.pack import packed_size
from converters.studies.compression_table.published import ALEXNET_BYTES, PUBLISHED
from zoo.schema.base import Strict
from zoo.stats import paired


class Size(Strict):
    """Bytes of one file: as it is, in a zip (deflate), and in the download container."""

    flatbuffer: int
    zip: int
    container: int


class ImageAccuracy(Strict):
    """Shares of pictures, 0 to 1, and the paired difference of top-1 from the float network's."""

    pictures: int
    top1: float
    top5: float | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    note: str = ""


class CompressionRow(Strict):
    """One network compressed in one way.

    Attributes:
        part: heading of the table that it belongs to.
        name: of the row; one of `PUBLISHED` where the paper has it.
        how: ours, in a few words.
        size: of the file; None where nothing was built.
        computed: bytes by arithmetic, where nothing was built.
        base: bytes that the ratio is of; None for AlexNet's.
        accuracies: the first is the row's; others have notes.
        reason: why there is no row.
    """

    part: str
    name: str
    how: str = ""
    size: Size | None = None
    computed: float | None = None
    base: int | None = None
    accuracies: tuple[ImageAccuracy, ...] = ()
    reason: str | None = None


def size_of(content: bytes) -> Size:
    """The three sizes of a flatbuffer."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as file:
        file.writestr("model.tflite", content)
    return Size(flatbuffer=len(content), zip=len(packed.getvalue()), container=packed_size(content))


def against(right: np.ndarray, reference: np.ndarray, note: str = "") -> ImageAccuracy:
    """An accuracy beside the float network's on the same images, as `zoo.stats.paired`."""
    difference, low, high = paired(right, reference)
    return ImageAccuracy(
        pictures=len(right),
        top1=float(right.mean()),
        difference=difference,
        low=low,
        high=high,
        note=note,
    )


def markdown(rows: Sequence[CompressionRow]) -> str:
    """A table for each part, in the rows' order."""
    parts = dict.fromkeys(row.part for row in rows)
    return "\n\n".join(
        f"## {part}\n\n" + _table([row for row in rows if row.part == part]) for part in parts
    )


def _table(rows: Iterable[CompressionRow]) -> str:
    lines = [
        "| | published: MB (× smaller than AlexNet), top-1 / top-5 | .tflite MB | zip MB | "
        "**container MB** | × smaller | top-1 / top-5 % | top-1 against float, paired,"
        " 95 % | how |",
        "|---|---|---:|---:|---:|---:|---|---|---|",
    ]
    for row in rows:
        if row.reason is not None:
            reason = row.reason.replace("|", r"\|")  # an error's parts are divided by it
            lines.append(f"| {row.name} | {_published(row.name)} | | | | | | | {reason} |")
            continue
        if row.size is not None:
            sizes = [_mb(row.size.flatbuffer), _mb(row.size.zip), f"**{_mb(row.size.container)}**"]
            ratio = _ratio(row, row.size.container)
        else:
            sizes, ratio = ["", "", ""], ""
            if row.computed is not None:
                sizes[2] = f"({_mb(row.computed)})"
                ratio = _ratio(row, row.computed)
        first = "<br>".join(_shares(accuracy) for accuracy in row.accuracies)
        paired = "<br>".join(_paired(accuracy) for accuracy in row.accuracies)
        cells = [row.name, _published(row.name), *sizes, ratio, first, paired, row.how]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _ratio(row: CompressionRow, size: float) -> str:
    ratio = (row.base or ALEXNET_BYTES) / size
    return f"{ratio:.0f}" if ratio >= 100 else f"{ratio:.3g}"


def _published(name: str) -> str:
    row = PUBLISHED.get(name)
    if row is None:
        return ""
    ratio = PUBLISHED["AlexNet"].size_mb / row.size_mb
    return f"{row.size_mb:g} ({ratio:.0f}×), {row.top1} / {row.top5}"


def _mb(size: float) -> str:
    return f"{size / 1e6:.3f}" if size < 1e7 else f"{size / 1e6:.1f}"


def _shares(accuracy: ImageAccuracy) -> str:
    top5 = "" if accuracy.top5 is None else f" / {100 * accuracy.top5:.1f}"
    note = f" ({accuracy.note})" if accuracy.note else ""
    return (
        f"{100 * accuracy.top1:.2f}{top5}{note}"
        if top5 == ""
        else (f"{100 * accuracy.top1:.1f}{top5}{note}")
    )


def _paired(accuracy: ImageAccuracy) -> str:
    if accuracy.difference is None or accuracy.low is None or accuracy.high is None:
        return ""
    low, high = 100 * accuracy.low, 100 * accuracy.high
    return f"{100 * accuracy.difference:+.2f} ({low:+.2f} to {high:+.2f})"
