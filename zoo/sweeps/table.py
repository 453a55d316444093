"""A sweep's points as a table in Markdown and CSV. No TensorFlow."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from zoo.schema.run import ModelConfig, Run
from zoo.stats import wilson
from zoo.sweeps.axes import Preset
from zoo.sweeps.sweep import SweepPoint


@dataclass(frozen=True)
class SweepRow:
    """A point and what came of it; None where nothing did, or nothing is known.

    Attributes:
        point: what was trained.
        parameters: trainable ones.
        macs: of one inference.
        accuracy: on the validation images, 0 to 1.
        interval: within which chance alone moves it, 95 %.
        top5: that the authors published for this point on ImageNet, in per cent: theirs.
        reason: why it failed.
    """

    point: SweepPoint
    parameters: int | None = None
    macs: int | None = None
    accuracy: float | None = None
    interval: tuple[float, float] | None = None
    top5: float | None = None
    reason: str = ""

    @property
    def size_mb(self) -> float | None:
        """Of the parameters in float32."""
        return None if self.parameters is None else 4 * self.parameters / 1e6


def rows(
    points: Sequence[tuple[SweepPoint, str]],
    output: Path,
    preset: Preset | None,
    count: Callable[[ModelConfig], tuple[int, int]],
) -> list[SweepRow]:
    """A row for every point.

    Args:
        points: with the reasons of those that failed.
        output: where their runs are.
        preset: whose published figures are put beside ours.
        count: trainable parameters and MACs of a network.
    """
    found = []
    for point, reason in points:
        top5 = preset.top5.get(point.values[preset.axis]) if preset else None
        run = point.finished(output)
        if run is None:
            found.append(SweepRow(point, top5=top5, reason=reason or "not trained"))
            continue
        parameters, macs = count(run.config)
        found.append(
            SweepRow(point, parameters, macs, run.validation_accuracy, _interval(run), top5)
        )
    return found


def _interval(run: Run) -> tuple[float, float] | None:
    # A run of an earlier version tells only what was asked for; 0 is a tenth.
    then = run.trained_on
    images = then.validation_images if then else run.recipe.validation_images
    return wilson(run.validation_accuracy, images) if images else None


def markdown(rows: Sequence[SweepRow], title: str, command: str, picture: str) -> str:
    """A page; `picture` is a file beside it, or empty."""
    axes = list(rows[0].point.values) if rows else []
    published = any(row.top5 is not None for row in rows)
    failed = any(row.reason for row in rows)
    head = [*axes, "parameters", "float32, MB", "MACs, M", "validation accuracy, % (95 % interval)"]
    rule = ["---:"] * len(head)
    if published:
        head.append("authors' top-5 on ImageNet, %")
        rule.append("---:")
    if failed:
        head.append("failed")
        rule.append("---")
    lines = [f"# {title}", "", f"Made by `{command}`.", ""]
    if picture:
        lines += [f"![accuracy of the points]({picture})", ""]
    lines += [f"| {' | '.join(head)} |", f"|{'|'.join(rule)}|"]
    for row in rows:
        cells = [*map(str, row.point.values.values()), *_numbers(row)]
        if published:
            cells.append("" if row.top5 is None else f"{row.top5:.1f}")
        if failed:
            cells.append(row.reason.replace("|", "\\|"))
        lines.append(f"| {' | '.join(cells)} |")
    if published:
        lines += ["", "The authors' figures are theirs, of their training on ImageNet: not ours."]
    return "\n".join([*lines, ""])


def _numbers(row: SweepRow) -> list[str]:
    if row.parameters is None or row.macs is None or row.accuracy is None:
        return [""] * 4
    low, high = row.interval or (0.0, 0.0)
    within = f" ({100 * low:.2f} – {100 * high:.2f})" if row.interval else ""
    return [
        f"{row.parameters:,}",
        f"{row.size_mb:.2f}",
        f"{row.macs / 1e6:.1f}",
        f"{100 * row.accuracy:.2f}{within}",
    ]


def as_csv(rows: Sequence[SweepRow]) -> str:
    """The same, a line a point; accuracies 0 to 1."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    axes = list(rows[0].point.values) if rows else []
    writer.writerow(
        ["run", *axes, "parameters", "macs", "validation_accuracy", "interval_low", "interval_high",
         "authors_imagenet_top5_percent", "failed"]
    )  # fmt: skip
    for row in rows:
        low, high = row.interval or (None, None)
        values: Mapping[str, object] = row.point.values
        writer.writerow(
            [row.point.name, *values.values(), row.parameters, row.macs, row.accuracy, low, high,
             row.top5, row.reason]
        )  # fmt: skip
    return stream.getvalue()
