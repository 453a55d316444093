"""Tables and charts of a study, from the training records of a release."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from zoo import charts
from zoo.catalog import model_spec
from zoo.catalog.precisions import BASE
from zoo.schema import correct
from zoo.schema.history import RunHistory
from zoo.schema.study import Question
from zoo.stats import paired, wilson
from zoo.sweeps.study.plan import Study, StudyRun
from zoo.sweeps.study.runner import PRECISIONS

_HEADER = (
    "| network | seeds | epochs | images seen | CPU h per run | parameters | validation % | "
    + " | ".join(f"test %, {precision}" for precision in PRECISIONS)
    + " | difference, points | published top-1, epochs |\n"
    "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---|\n"
)


@dataclass(frozen=True)
class Network:
    """The runs of one network of a question.

    Attributes:
        label: Its name, with its builder arguments.
        model: Its name in the catalog.
        seeds: All seeds that the study asks for.
        records: Records of the runs that are finished, in the order of the seeds.
    """

    label: str
    model: str
    seeds: tuple[int, ...]
    records: tuple[RunHistory, ...]


def networks(question: Question, study: Study, records: Mapping[str, RunHistory]) -> list[Network]:
    """Returns the networks of a question with their finished runs.

    Args:
        question: The question.
        study: Its study.
        records: Run name → record. Records of other settings than the study's are left out.
    """
    grouped: dict[str, list[StudyRun]] = {}
    for run in study.runs:
        if run.question is question:
            values = ", ".join(f"{k} {v}" for k, v in run.point.arguments.items())
            label = f"`{run.point.recipe.model}`" + (f" {values}" if values else "")
            grouped.setdefault(label, []).append(run)
    return [
        Network(
            label=label,
            model=runs[0].point.recipe.model,
            seeds=tuple(run.point.recipe.seed for run in runs),
            records=tuple(
                records[run.name]
                for run in runs
                if run.name in records and _same(run, records[run.name])
            ),
        )
        for label, runs in grouped.items()
    ]


def _same(run: StudyRun, record: RunHistory) -> bool:
    wanted, got = vars(run.point.recipe), vars(record.run.recipe)
    private = {"name", "data_dir", "teacher"}  # published without folders
    return all(got[name] == value for name, value in wanted.items() if name not in private)


def table(rows: Sequence[Network]) -> str:
    """Returns the table of a question in Markdown. Differences are to the first network."""
    return _HEADER + "".join(_row(row, rows[0]) for row in rows)


def _row(network: Network, first: Network) -> str:
    if not network.records:
        seeds = ", ".join(map(str, network.seeds))
        return f"| {network.label} | {seeds} | not trained yet |" + " |" * 8 + "\n"
    record = network.records[0]
    epochs = len(record.epochs)
    cells = (
        network.label,
        ", ".join(str(r.run.recipe.seed) for r in network.records)
        + ("" if len(network.records) == len(network.seeds) else f" of {len(network.seeds)}"),
        str(epochs),
        _images(record, epochs),
        _hours(network.records),
        f"{record.parameters:,}",
        _spread([r.run.validation_accuracy for r in network.records]),
        *(_test(network.records, precision) for precision in PRECISIONS),
        "" if network is first else _difference(network.records, first.records),
        _published(network.model),
    )
    return f"| {' | '.join(cells)} |\n"


def _images(record: RunHistory, epochs: int) -> str:
    trained_on = record.run.trained_on
    images = record.run.recipe.epoch_images or (trained_on.train_images if trained_on else None)
    return f"{images * epochs:,}" if images else "unknown"


def _hours(records: Sequence[RunHistory]) -> str:
    hours = []
    for record in records:
        seconds = [epoch.cpu_seconds for epoch in record.epochs]
        if None in seconds:
            return "unknown"
        hours.append(sum(value or 0.0 for value in seconds) / 3600)
    return f"{statistics.mean(hours):.1f}"


def _spread(shares: Sequence[float]) -> str:
    """Returns the mean in percent, with the standard deviation over seeds if there are several."""
    mean = f"{100 * statistics.mean(shares):.2f}"
    return mean if len(shares) == 1 else f"{mean} ± {100 * statistics.stdev(shares):.2f}"


def _test(records: Sequence[RunHistory], precision: str) -> str:
    scores = [record.scores[precision] for record in records if precision in record.scores]
    if not scores:
        return "not scored"
    if len(scores) > 1:
        return _spread([score.top1 for score in scores])
    low, high = wilson(scores[0].top1, scores[0].images)
    return f"{100 * scores[0].top1:.2f} ({100 * low:.1f}–{100 * high:.1f})"


def _difference(records: Sequence[RunHistory], first: Sequence[RunHistory]) -> str:
    ours, theirs = (_shares(group) for group in (records, first))
    if ours is None or theirs is None or len(ours) != len(theirs):
        return "not comparable"
    middle, low, high = (100 * value for value in paired(ours, theirs))
    return f"{middle:+.2f} ({low:+.1f} to {high:+.1f})"


def _shares(records: Sequence[RunHistory]) -> np.ndarray | None:
    """Returns the share of seeds that classify each test image correctly, in float32."""
    scores = [record.scores.get(BASE) for record in records]
    known = [correct.decode(score.correct, score.images) for score in scores if score]
    if not known or len(known) < len(scores) or len({len(right) for right in known}) > 1:
        return None
    return np.asarray(np.mean(known, axis=0))


def _published(model: str) -> str:
    figures = (
        f"{p.top1:g} {p.dataset}, {f'{p.epochs} epochs' if p.epochs else 'epochs not stated'}"
        for p in model_spec(model).published
    )
    return "; ".join(figures) or "none"


def chart(question: Question, rows: Sequence[Network]) -> str:
    """Draws validation accuracy against epochs as SVG, one line per run, one color per network."""
    values = [
        {
            "epoch": number,
            "accuracy": 100 * epoch.validation_accuracy,
            "network": row.label.replace("`", ""),
            "run": record.run.name,
        }
        for row in rows
        for record in row.records
        for number, epoch in enumerate(record.epochs, 1)
    ]
    names = [row.label.replace("`", "") for row in rows if row.records]
    # More networks than colors: the repeated colors are dashed.
    colors = [charts.COLORS[i % len(charts.COLORS)] for i in range(len(names))]
    legend = {"orient": "bottom", "columns": 2, "labelLimit": 0}
    dashes = [[1, 0] if i < len(charts.COLORS) else [4, 3] for i in range(len(names))]
    line = {
        "mark": {"type": "line", "strokeWidth": 1.5, "opacity": 0.8},
        "encoding": {
            "x": {"field": "epoch", "type": "quantitative", "title": "epoch"},
            "y": {
                "field": "accuracy",
                "type": "quantitative",
                "title": "validation accuracy, %",
                "scale": {"zero": False, "nice": True},
            },
            "color": {
                "field": "network",
                "type": "nominal",
                "title": None,
                "legend": legend,
                "scale": {"domain": names, "range": colors},
            },
            "strokeDash": {
                "field": "network",
                "type": "nominal",
                "title": None,
                "legend": legend,
                "scale": {"domain": names, "range": dashes},
            },
            "detail": {"field": "run"},
        },
    }
    title = question.title.partition(":")[0]  # the page has the rest
    return charts.svg(title, ["One line per run."], 520, 320, values, [line])
