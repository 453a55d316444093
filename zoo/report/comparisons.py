"""Networks beside each other that answer one question, on the same data. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from zoo.catalog.comparisons import QUESTIONS
from zoo.data.names import title
from zoo.report.charts.panels import ChartPoint, Panel, x_axis, y_axis
from zoo.report.inputs import Extras
from zoo.report.rows import Report, ReportRow
from zoo.report.summary import kilobytes, setup_labels
from zoo.report.table import NOT_MEASURED
from zoo.report.wording import Setup, clean, delegate_label
from zoo.schema.recipe import Recipe

PRECISIONS = ("float32", "float16", "dynamic_int8", "int8")
_NAMED = ("float16", "int8")  # in a picture; the others lie near these


def comparisons(report: Report, places: Mapping[int, str], extras: Extras) -> list[dict[str, Any]]:
    """A table and a picture a question and data set, where two of its networks or more are there.

    Args:
        report: what was measured.
        places: ids of the rows' details, by `id` of the row.
        extras: estimates, for the MACs.
    """
    found = []
    for dataset in dict.fromkeys(row.dataset for row in report.rows):
        for question, models in QUESTIONS.items():
            rows = _rows(report, dataset, models)
            if len({row.artifact.model for row in rows if row.artifact}) < 2:
                continue
            timed = _setup(report, rows)
            found.append(
                {
                    "title": f"{question} ({title(dataset)})",
                    "unequal": _unequal(rows),
                    "timed": _where(report, timed),
                    "lines": [_line(row, places[id(row)], timed, extras) for row in rows],
                    "panel": _panel(rows, timed),
                }
            )
    return found


def _rows(report: Report, dataset: str, models: Sequence[str]) -> list[ReportRow]:
    """The uncompressed files of those networks, in the question's order."""

    rows = [
        (models.index(made.model), made.parent_run, PRECISIONS.index(made.precision), number)
        for number, row in enumerate(report.rows)
        if (made := row.artifact)
        and made.dataset == dataset
        and made.model in models
        and not made.scheme
        and made.precision in PRECISIONS
    ]
    return [report.rows[number] for *_, number in sorted(rows)]


def _setup(report: Report, rows: Sequence[ReportRow]) -> tuple[Setup, str] | None:
    """Where most of them were timed; the first of equals."""
    tried = [(setup, name) for setup, names in report.setups.items() for name in names]
    return max(tried, key=lambda where: sum(where in row.outcomes for row in rows), default=None)


def _where(report: Report, timed: tuple[Setup, str] | None) -> str:
    if timed is None:
        return ""
    return f"{setup_labels(report.setups)[timed[0]]}, {delegate_label(timed[1])}"


def _unequal(rows: Sequence[ReportRow]) -> str:
    """In what the recipes differ that people look at first."""
    recipes = [row.artifact.recipe for row in rows if row.artifact]
    words = []
    for name in ("epochs", "epoch_images", "seed", "width", "learning_rate", "image_size"):
        values = sorted({getattr(recipe, name) for recipe in recipes})
        if len(values) > 1:
            words.append(f"{name.replace('_', ' ')} {', '.join(f'{v:g}' for v in values)}")
    return "; ".join(words)


def _panel(rows: Sequence[ReportRow], timed: tuple[Setup, str] | None) -> Panel | None:
    """Accuracy against latency; against size where fewer than two were timed."""
    by_time = [
        (row, outcome.latency_ms)
        for row in rows
        if timed and (outcome := row.outcomes.get(timed)) and outcome.latency_ms is not None
    ]
    by_size = [(row, row.size_bytes / 1000) for row in rows if row.size_bytes]
    for costs, unit, words in ((by_time, "ms", "Latency (ms)"), (by_size, "kB", "Size (kB)")):
        points = [
            ChartPoint(
                x=cost,
                y=100 * row.score.top1,
                label=made.model if made.precision in _NAMED else "",
                precision=row.precision,
                delegate=timed[1] if timed and unit == "ms" else "file",
                tooltip=f"{row.name}: {100 * row.score.top1:.2f} % at {cost:.3g} {unit}",
            )
            for row, cost in costs
            if (made := row.artifact) and row.score and row.score.top1 is not None
        ]
        if len(points) > 1:
            x, y = x_axis([p.x for p in points]), y_axis([p.y for p in points])
            return Panel("", "", words, tuple(points), x, y)
    return None


def trained(recipe: Recipe) -> str:
    """`20, 1`: epochs and seed."""
    return f"{recipe.epochs}, {recipe.seed}"


def _line(
    row: ReportRow, place: str, timed: tuple[Setup, str] | None, extras: Extras
) -> dict[str, Any]:
    made, score = row.artifact, row.score
    estimate = extras.estimates.get(row.sha256)
    line: dict[str, Any] = {
        "place": place,
        "model": clean(made.model) if made else row.name,
        "trained": trained(made.recipe) if made else "",
        "precision": row.precision,
        "parameters": f"{made.parameters:,}" if made else NOT_MEASURED,
        "macs": f"{estimate.macs / 1e6:,.1f}" if estimate else NOT_MEASURED,
        "size": kilobytes(row.size_bytes) if row.size_bytes else NOT_MEASURED,
        "failed": score.failure if score else "",
        "untimed": "",
        "accuracy": NOT_MEASURED,
        "between": NOT_MEASURED,
        "latency": NOT_MEASURED,
    }
    if score and score.top1 is not None:
        from zoo.stats import wilson  # NumPy: late

        low, high = wilson(score.top1, score.record.images)
        line["accuracy"] = f"{100 * score.top1:.2f}"
        line["between"] = f"{100 * low:.2f} to {100 * high:.2f}"
    if timed and (outcome := row.outcomes.get(timed)):
        line["untimed"] = outcome.failure
        if outcome.latency_ms is not None:
            line["latency"] = f"{outcome.latency_ms:.3f}"
    return line
