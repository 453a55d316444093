"""Tables that compare networks on one question and one dataset. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from zoo.catalog.comparisons import QUESTIONS
from zoo.catalog.precisions import ROWS, USUAL
from zoo.data.names import title
from zoo.report.charts.panels import ChartPoint, Panel, x_axis, y_axis
from zoo.report.inputs import Extras
from zoo.report.rows import Report, ReportRow
from zoo.report.summary import kilobytes, setup_labels
from zoo.report.table import NOT_MEASURED
from zoo.report.wording import Setup, clean, delegate_label
from zoo.schema.recipe import Recipe

_NAMED = tuple(row.name for row in ROWS if row.labeled)


def comparisons(report: Report, places: Mapping[int, str], extras: Extras) -> list[dict[str, Any]]:
    """Builds a table and a chart per question and dataset with at least two of its networks.

    Args:
        report: Current results.
        places: `id(row)` → HTML id of the row's details.
        extras: Roofline estimates, used for the MACs.

    Returns:
        Dictionaries with the keys `title`, `unequal`, `timed`, `lines` and `panel`.
    """
    tables = []
    for dataset in dict.fromkeys(row.dataset for row in report.rows):
        for question, models in QUESTIONS.items():
            rows = _rows(report, dataset, models)
            if len({row.artifact.model for row in rows if row.artifact}) < 2:
                continue
            timed = _setup(report, rows)
            tables.append(
                {
                    "title": f"{question} ({title(dataset)})",
                    "unequal": _unequal(rows),
                    "timed": _where(report, timed),
                    "lines": [_line(row, places[id(row)], timed, extras) for row in rows],
                    "panel": _panel(rows, timed),
                }
            )
    return tables


def _rows(report: Report, dataset: str, models: Sequence[str]) -> list[ReportRow]:
    """Selects the uncompressed files of these networks, in the question's order."""
    rows = [
        (
            models.index(artifact.model),
            artifact.parent_run,
            USUAL.index(artifact.precision),
            number,
        )
        for number, row in enumerate(report.rows)
        if (artifact := row.artifact)
        and artifact.dataset == dataset
        and artifact.model in models
        and not artifact.scheme
        and artifact.precision in USUAL
    ]
    return [report.rows[number] for *_, number in sorted(rows)]


def _setup(report: Report, rows: Sequence[ReportRow]) -> tuple[Setup, str] | None:
    """Returns the setup and delegate with the most timed rows; the first one on a tie."""
    tried = [(setup, name) for setup, names in report.setups.items() for name in names]
    return max(tried, key=lambda where: sum(where in row.outcomes for row in rows), default=None)


def _where(report: Report, timed: tuple[Setup, str] | None) -> str:
    if timed is None:
        return ""
    return f"{setup_labels(report.setups)[timed[0]]}, {delegate_label(timed[1])}"


def _unequal(rows: Sequence[ReportRow]) -> str:
    """Lists the main training settings that differ between the rows; empty if none do."""
    recipes = [row.artifact.recipe for row in rows if row.artifact]
    words = []
    for name in ("epochs", "epoch_images", "seed", "width", "learning_rate", "image_size"):
        values = sorted({getattr(recipe, name) for recipe in recipes})
        if len(values) > 1:
            words.append(f"{name.replace('_', ' ')} {', '.join(f'{v:g}' for v in values)}")
    return "; ".join(words)


def _panel(rows: Sequence[ReportRow], timed: tuple[Setup, str] | None) -> Panel | None:
    """Plots accuracy against latency, or against size if fewer than two files were timed."""
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
                label=artifact.model if artifact.precision in _NAMED else "",
                precision=row.precision,
                delegate=timed[1] if timed and unit == "ms" else "file",
                tooltip=f"{row.name}: {100 * row.score.top1:.2f} % at {cost:.3g} {unit}",
            )
            for row, cost in costs
            if (artifact := row.artifact) and row.score and row.score.top1 is not None
        ]
        if len(points) > 1:
            x, y = x_axis([p.x for p in points]), y_axis([p.y for p in points])
            return Panel("", "", words, tuple(points), x, y)
    return None


def trained(recipe: Recipe) -> str:
    """Returns the epochs and the seed, for example `20, 1`."""
    return f"{recipe.epochs}, {recipe.seed}"


def _line(
    row: ReportRow, place: str, timed: tuple[Setup, str] | None, extras: Extras
) -> dict[str, Any]:
    artifact, score = row.artifact, row.score
    estimate = extras.estimates.get(row.sha256)
    line: dict[str, Any] = {
        "place": place,
        "model": clean(artifact.model) if artifact else row.name,
        "trained": trained(artifact.recipe) if artifact else "",
        "precision": row.precision,
        "parameters": f"{artifact.parameters:,}" if artifact else NOT_MEASURED,
        "macs": f"{estimate.macs / 1e6:,.1f}" if estimate else NOT_MEASURED,
        "size": kilobytes(row.size_bytes) if row.size_bytes else NOT_MEASURED,
        "failed": score.failure if score else "",
        "untimed": "",
        "accuracy": NOT_MEASURED,
        "between": NOT_MEASURED,
        "latency": NOT_MEASURED,
    }
    if score and score.top1 is not None:
        from zoo.stats import wilson  # imported here: it loads NumPy

        low, high = wilson(score.top1, score.images)
        line["accuracy"] = f"{100 * score.top1:.2f}"
        line["between"] = f"{100 * low:.2f} to {100 * high:.2f}"
    if timed and (outcome := row.outcomes.get(timed)):
        line["untimed"] = outcome.failure
        if outcome.latency_ms is not None:
            line["latency"] = f"{outcome.latency_ms:.3f}"
    return line
