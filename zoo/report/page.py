"""Renders the report page: one self-contained HTML file, readable without JavaScript.

Its Content-Security-Policy allows a single script, by hash. All text from files is escaped; only
the SVG charts, which vl-convert wrote, are inserted unescaped.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from zoo.report import summary
from zoo.report.charts.panels import Panel
from zoo.report.chooser import chooser, embedded
from zoo.report.comparisons import comparisons
from zoo.report.estimates import roofline, scan_table
from zoo.report.inputs import Extras
from zoo.report.rows import Report, ReportRow
from zoo.report.table import headline
from zoo.report.wording import Line, agreement_of, clean, delegate_label, describe, failure_of
from zoo.schema.measurement import Agreement

TEMPLATES = Path(__file__).parent / "templates"
SCRIPTS = ("choose_plot.js", "choose.js")


def render(
    report: Report,
    figures: Sequence[dict[str, Any]],
    links: Mapping[str, str],
    cards: Mapping[str, str] | None = None,
    extras: Extras | None = None,
) -> str:
    """Returns the HTML of the page.

    Args:
        report: Current results.
        figures: Charts, each with `stem`, `title`, `subtitle`, `svgs`, `legend` and `beside`.
        links: SHA-256 of a file → relative URL of the `.tflite`, for files that exist.
        cards: SHA-256 of a file → relative URL of its model card, for cards that exist.
        extras: Roofline estimates and sensitivity scans.
    """
    import jinja2
    from markupsafe import Markup

    cards, extras = cards or {}, extras or Extras()
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["breakable"] = _breakable
    groups = headline(report)
    shown, more_commands = summary.commands(report)
    ids = _places(report.rows)
    places = {id(row): place for row, place in zip(report.rows, ids, strict=True)}
    code = script()
    roof = roofline(report, places, extras)
    return environment.get_template("report.html.j2").render(
        script=Markup(code),  # noqa: S704 - from this package
        script_hash=digest(code),
        data=Markup(embedded(chooser(report, links, cards, ids, extras))),  # noqa: S704 - escaped
        comparisons=[
            {**table, "svg": _panel_svg(table["panel"])}
            for table in comparisons(report, places, extras)
        ],
        roofline={**roof, "svg": _svg(roof["chart"])},
        scans=[scan_table(scan) for scan in extras.scans],
        report=report,
        groups=groups,
        columns=[column for group in groups for column in group.columns],
        figures=figures,
        links=links,
        cards=cards,
        span=summary.span(report),
        sets=summary.scored_sets(report),
        stated=summary.stated_accuracies(report),
        datasets=sorted({row.dataset for row in report.rows if row.dataset}),
        highlights=summary.highlights(report),
        failures=summary.failures(report),
        disagreements=summary.disagreements(report),
        latency_meaning=summary.latency_meaning(report),
        uncertainty=max(filter(None, map(summary.uncertainty_points, report.rows)), default=None),
        devices=summary.devices(report),
        versions=summary.versions(report),
        commands=shown,
        more_commands=more_commands,
        training=[(line, describe(line)) for line in report.training],
        details=[_details(row, places[id(row)], cards) for row in report.rows],
        clean=clean,
    )


def script() -> str:
    """Returns the JavaScript of the page, wrapped in its own scope."""
    parts = [(TEMPLATES / name).read_text(encoding="utf-8") for name in SCRIPTS]
    return '"use strict";\n{\n' + "\n".join(parts) + "}\n"


def digest(code: str) -> str:
    """Returns a script's hash in Content-Security-Policy form: `sha256-` and Base64."""
    return "sha256-" + base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()


def _places(rows: Sequence[ReportRow]) -> list[str]:
    """Returns an HTML id for each row's details; it depends only on the file's SHA-256."""
    ids: list[str] = []
    for row in rows:
        place = f"file-{row.sha256[:12]}"
        copies = sum(other.startswith(place) for other in ids)  # the same file under two names
        ids.append(f"{place}-{copies + 1}" if copies else place)
    return ids


def _svg(chart: Any) -> str:
    if chart is None:
        return ""
    from zoo.report.charts import render as report_charts

    return report_charts.page_svg(chart)


def _panel_svg(panel: Panel | None) -> str:
    """Returns the SVG of a chart with its legend; empty without a panel."""
    if panel is None:
        return ""
    from zoo.report.charts import render as report_charts

    return report_charts.panel_svg(panel)


def _breakable(text: str) -> Any:
    """Escapes the text and allows line breaks after `-`, `_` and `.`."""
    from markupsafe import Markup, escape

    return Markup("<wbr>").join(escape(part) for part in re.split(r"(?<=[-_.])", text))


def _details(row: ReportRow, place: str, cards: Mapping[str, str]) -> dict[str, Any]:
    facts: list[tuple[str, str]] = [("SHA-256", row.sha256)]
    if row.artifact is None:
        facts.append(("Manifest", "none (the file was measured without one)"))
    else:
        artifact = row.artifact
        facts += [
            ("Architecture", artifact.model),
            ("Compression", ", ".join(artifact.scheme) or "none"),
            ("Run", artifact.parent_run),
            ("Parameters", f"{artifact.parameters:,}, {100 * artifact.zeros:.1f} % zero"),
            ("Size", f"{artifact.bytes:,} bytes, {artifact.gzip_bytes:,} with gzip"),
            ("Operators", ", ".join(f"{n} × {op}" for op, n in artifact.operators.items())),
            *(("Input", f"{t.name} {t.dtype} {list(t.shape)}") for t in artifact.inputs),
            *(("Output", f"{t.name} {t.dtype} {list(t.shape)}") for t in artifact.outputs),
        ]
    facts += [
        (
            f"On {line.device.name}, {delegate_label(line.configuration.delegate)}",
            agreement_of(line),
        )
        for line in row.results
        if isinstance(line, Agreement) and not failure_of(line)
    ]
    return {
        "row": row,
        "place": place,
        "card": cards.get(row.sha256, "").rsplit("/", 1)[-1],
        "facts": [(clean(label), clean(text, 600)) for label, text in facts],
        "lines": _lines([describe(line) for line in row.results]),
    }


def _lines(lines: Sequence[Line]) -> list[tuple[Line, int]]:
    """Pairs each line with the row span of its command cell; 0 if a cell above covers it."""
    pairs: list[tuple[Line, int]] = []
    for _, group in groupby(lines, key=lambda line: line.command):
        same = list(group)
        pairs += [(line, 0 if number else len(same)) for number, line in enumerate(same)]
    return pairs
