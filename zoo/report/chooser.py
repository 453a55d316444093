"""Data for the interactive chooser of the page: every file with its costs, as JSON.

Files refer to shared lists (setups, delegates, commands) by index, which keeps thousands of result
lines small.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from zoo.catalog import MODELS
from zoo.data.names import RELATED, title
from zoo.report.charts.palette import OTHER_SHAPE, PRECISION_SHAPES, precision_colors
from zoo.report.inputs import Extras
from zoo.report.rows import Report, ReportRow
from zoo.report.summary import setup_labels
from zoo.report.wording import clean, command_of, delegate_label, nodes
from zoo.schema.artifact import Artifact
from zoo.schema.measurement import TrainRecord

MOST_COMMANDS = 12  # per file; the others are listed with its result lines
FLOAT_BYTES = 4  # per parameter, to estimate the size of a published network


def chooser(
    report: Report,
    links: Mapping[str, str],
    cards: Mapping[str, str],
    places: Sequence[str],
    extras: Extras,
) -> dict[str, Any]:
    """Returns the data that the script of the page reads.

    Args:
        report: Current results.
        links: SHA-256 of a file → relative URL of the `.tflite`, for existing files.
        cards: SHA-256 of a file → relative URL of its model card, for existing cards.
        places: HTML id of each row's details, in row order.
        extras: Roofline estimates, used for the MACs.
    """
    setups = list(report.setups)
    labels = setup_labels(report.setups)
    delegates = sorted({name for names in report.setups.values() for name in names})
    commands: dict[str, int] = {}
    files = []
    for row, place in zip(report.rows, places, strict=True):
        indices = [commands.setdefault(text, len(commands)) for text in _commands(row, report)]
        files.append(
            {
                **_file(row, extras),
                "link": links.get(row.sha256, ""),
                "card": cards.get(row.sha256, ""),
                "place": place,
                "commands": indices,
                "cases": [
                    _case(setups.index(setup), delegates.index(delegate), outcome)
                    for (setup, delegate), outcome in row.outcomes.items()
                ],
            }
        )
    colors = precision_colors(row.precision for row in report.rows)
    datasets = sorted({row.dataset for row in report.rows})
    return {
        "files": files,
        "datasets": {name: title(name) or "unknown" for name in datasets},
        "setups": [labels[setup] for setup in setups],
        "tried": [[delegates.index(name) for name in report.setups[setup]] for setup in setups],
        "delegates": [delegate_label(name) for name in delegates],
        "looks": {
            name: {"color": color, "shape": PRECISION_SHAPES.get(name, OTHER_SHAPE)}
            for name, color in colors.items()
        },
        "published": {name: table for name in datasets if (table := _published(name))},
        "commands": list(commands),
    }


def embedded(value: Any) -> str:
    """Returns JSON that is safe inside a <script> element: it cannot close the element."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _file(row: ReportRow, extras: Extras) -> dict[str, Any]:
    artifact, score = row.artifact, row.score
    estimate = extras.estimates.get(row.sha256)
    file: dict[str, Any] = {
        "name": row.name,
        "sha256": row.sha256,
        "dataset": row.dataset,
        "precision": row.precision,
        "size": row.size_bytes,
        "download": row.gzip_bytes,
        "model": clean(artifact.model) if artifact else "",
        "scheme": clean(", ".join(artifact.scheme)) if artifact and artifact.scheme else "",
        "parameters": artifact.parameters if artifact else None,
        "macs": estimate.macs if estimate else None,
    }
    if score and score.top1 is not None:
        from zoo.stats import wilson  # imported here: it loads NumPy

        low, high = wilson(score.top1, score.images)
        file |= {"top1": _percent(score.top1), "between": [_percent(low), _percent(high)]}
        file["images"] = score.images
        if score.record is None:
            file["stated"] = True
    elif score:
        file["failed"] = clean(score.failure, 300)
    return file


def _percent(share: float) -> float:
    return round(100 * share, 4)


def _case(setup: int, delegate: int, outcome: Any) -> dict[str, Any]:
    case: dict[str, Any] = {"setup": setup, "delegate": delegate}
    if outcome.latency_ms is None:
        return {**case, "failed": clean(outcome.failure, 300)}
    record = outcome.record
    case["ms"] = float(f"{outcome.latency_ms:.5g}")
    if text := nodes(record.placement):
        case["nodes"] = clean(text, 24)
    if record.energy is not None and record.energy.net_mj > 0:
        case["mj"] = float(f"{record.energy.net_mj:.4g}")
        case["mj_uncertainty"] = float(f"{record.energy.net_mj_uncertainty:.2g}")
    elif record.no_energy is not None:
        case["no_energy"] = clean(record.no_energy, 300)
    return case


def _commands(row: ReportRow, report: Report) -> list[str]:
    """Returns the commands that produced the file, then those that measured it."""
    artifact = row.artifact
    if artifact and artifact.released:
        first = [clean(command, 2000) for command in artifact.released.commands]
    else:
        first = [
            command_of(line)
            for line in report.training
            if artifact and _produced_by(artifact, line)
        ]
    commands = dict.fromkeys([*first, *(command_of(line) for line in row.results)])
    return list(commands)[:MOST_COMMANDS]


def _produced_by(artifact: Artifact, line: TrainRecord) -> bool:
    return artifact.parent_run == line.model or artifact.parent_run.startswith(f"{line.model}-")


def _published(dataset: str) -> dict[str, Any] | None:
    """Returns the authors' results on this dataset, or on the one that has the same images."""
    theirs = title(dataset) if dataset not in RELATED else RELATED[dataset]
    rows = [
        {
            "model": spec.name,
            "top1": result.top1,
            "source": result.source,
            "parameters": spec.parameters_total,
            "size": FLOAT_BYTES * spec.parameters_total,
        }
        for spec in MODELS.values()
        for result in spec.published
        if result.dataset == theirs
    ]
    same = dataset not in RELATED
    return {"dataset": theirs, "same": same, "rows": rows} if rows else None
