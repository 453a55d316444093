"""Rows of the compression table and their Markdown. No TensorFlow."""

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
    """Size of one file in bytes: plain, as a ZIP (deflate), and as a download container."""

    flatbuffer: int
    zip: int
    container: int


class ImageAccuracy(Strict):
    """Accuracy on a set of images and its paired difference from the float network.

    Attributes:
        pictures: Number of images.
        top1: Top-1 accuracy, 0 to 1.
        top5: Top-5 accuracy, 0 to 1.
        difference: Top-1 minus that of the float network on the same images.
        low: Lower bound of the 95 % confidence interval of `difference`.
        high: Upper bound of the interval.
        note: Which images were used, if not all.
    """

    pictures: int
    top1: float
    top5: float | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    note: str = ""


class CompressionRow(Strict):
    """One network compressed with one method.

    Attributes:
        part: Heading of the table that the row belongs to.
        name: Name of the row; a key of `PUBLISHED` if the paper has the row.
        how: Short description of our method.
        size: Sizes of the file, None if no file was built.
        computed: Computed size in bytes if no file was built.
        base: Size in bytes that the compression ratio refers to. None means float32 AlexNet.
        accuracies: The first is that of the row; further ones have notes.
        reason: Why the row has no results.
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
    """Returns the three sizes of a flatbuffer."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as file:
        file.writestr("model.tflite", content)
    return Size(flatbuffer=len(content), zip=len(packed.getvalue()), container=packed_size(content))


def against(right: np.ndarray, reference: np.ndarray, note: str = "") -> ImageAccuracy:
    """Compares an accuracy with that of the float network on the same images.

    Args:
        right: Per image, whether the prediction is right, or its share of right crops, (images,).
        reference: The same for the float network.
        note: Which images were used, if not all.
    """
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
    """Returns one table per part, with rows and parts in the given order."""
    parts = dict.fromkeys(row.part for row in rows)
    return "\n\n".join(
        f"## {part}\n\n" + _table([row for row in rows if row.part == part]) for part in parts
    )


def _table(rows: Iterable[CompressionRow]) -> str:
    lines = [
        "| | published: MB (× smaller than AlexNet), top-1 / top-5 | .tflite MB | zip MB | "
        "**container MB** | × smaller | top-1 / top-5 % | top-1 minus float, paired, with 95 %"
        " confidence interval | method |",
        "|---|---|---:|---:|---:|---:|---|---|---|",
    ]
    for row in rows:
        if row.reason is not None:
            reason = row.reason.replace("|", r"\|")  # it separates the parts of an error
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
