"""What the page's chooser knows: every file with its costs, as plain data for its script.

Rows hold indices into shared lists (setups, delegates, commands), so that thousands stay small.
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

MOST_COMMANDS = 12  # of one file; the rest stands at its result lines
FLOAT_BYTES = 4  # of a parameter, where a published network's size is estimated


def chooser(
    report: Report,
    links: Mapping[str, str],
    cards: Mapping[str, str],
    places: Sequence[str],
    extras: Extras,
) -> dict[str, Any]:
    """All that the script reads.

    Args:
        report: what was measured.
        links: to the `.tflite`, by SHA-256, where there is one.
        cards: to the model card, likewise.
        places: the id of each row's details on the page, in the order of the rows.
        extras: estimates.
    """
    setups = list(report.setups)
    labels = setup_labels(report.setups)
    delegates = sorted({name for names in report.setups.values() for name in names})
    commands: dict[str, int] = {}
    files = []
    for row, place in zip(report.rows, places, strict=True):
        told = [commands.setdefault(line, len(commands)) for line in _commands(row, report)]
        files.append(
            {
                **_file(row, extras),
                "link": links.get(row.sha256, ""),
                "card": cards.get(row.sha256, ""),
                "place": place,
                "commands": told,
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
        "published": {name: found for name in datasets if (found := _published(name))},
        "commands": list(commands),
    }


def embedded(value: Any) -> str:
    """JSON that can stand in a <script> element: nothing in it can end the element."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _file(row: ReportRow, extras: Extras) -> dict[str, Any]:
    made, score = row.artifact, row.score
    estimate = extras.estimates.get(row.sha256)
    told: dict[str, Any] = {
        "name": row.name,
        "sha256": row.sha256,
        "dataset": row.dataset,
        "precision": row.precision,
        "size": row.size_bytes,
        "download": row.gzip_bytes,
        "model": clean(made.model) if made else "",
        "scheme": clean(", ".join(made.scheme)) if made and made.scheme else "",
        "parameters": made.parameters if made else None,
        "macs": estimate.macs if estimate else None,
    }
    if score and score.top1 is not None:
        from zoo.stats import wilson  # NumPy: late

        low, high = wilson(score.top1, score.record.images)
        told |= {"top1": _percent(score.top1), "between": [_percent(low), _percent(high)]}
        told["images"] = score.record.images
    elif score:
        told["failed"] = clean(score.failure, 300)
    return told


def _percent(share: float) -> float:
    return round(100 * share, 4)


def _case(setup: int, delegate: int, outcome: Any) -> dict[str, Any]:
    told: dict[str, Any] = {"setup": setup, "delegate": delegate}
    if outcome.latency_ms is None:
        return {**told, "failed": clean(outcome.failure, 300)}
    record = outcome.record
    told["ms"] = float(f"{outcome.latency_ms:.5g}")
    if text := nodes(record.placement):
        told["nodes"] = clean(text, 24)
    if record.energy is not None and record.energy.net_mj > 0:
        told["mj"] = float(f"{record.energy.net_mj:.4g}")
        told["mj_uncertainty"] = float(f"{record.energy.net_mj_uncertainty:.2g}")
    elif record.no_energy is not None:
        told["no_energy"] = clean(record.no_energy, 300)
    return told


def _commands(row: ReportRow, report: Report) -> list[str]:
    """What made and measured the file, in that order."""
    made = row.artifact
    if made and made.released:
        first = [clean(command, 2000) for command in made.released.commands]
    else:
        first = [command_of(line) for line in report.training if made and _made_by(made, line)]
    found = dict.fromkeys([*first, *(command_of(line) for line in row.results)])
    return list(found)[:MOST_COMMANDS]


def _made_by(made: Artifact, line: TrainRecord) -> bool:
    return made.parent_run == line.model or made.parent_run.startswith(f"{line.model}-")


def _published(dataset: str) -> dict[str, Any] | None:
    """The authors' figures on data of that name, or on the same pictures in other files."""
    theirs = title(dataset) if dataset not in RELATED else RELATED[dataset]
    rows = [
        {
            "model": spec.name,
            "top1": one.top1,
            "source": one.source,
            "parameters": spec.parameters_total,
            "size": FLOAT_BYTES * spec.parameters_total,
        }
        for spec in MODELS.values()
        for one in spec.published
        if one.dataset == theirs
    ]
    same = dataset not in RELATED
    return {"dataset": theirs, "same": same, "rows": rows} if rows else None
