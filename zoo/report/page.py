"""The page itself: one file that loads nothing, readable without its script.

Its policy allows one script, by its hash. Whatever comes from a file is escaped; only the charts'
SVG, made by vl-convert, is put in as it is.
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
    """The page.

    Args:
        report: what was measured.
        figures: the pictures, each with its title, words and SVGs.
        links: from the page to the `.tflite`, by SHA-256, where it is there.
        cards: likewise to the model card.
        extras: estimates and scans.
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
        script=Markup(code),  # noqa: S704 - ours
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
    """The page's script, in a scope of its own."""
    parts = [(TEMPLATES / name).read_text(encoding="utf-8") for name in SCRIPTS]
    return '"use strict";\n{\n' + "\n".join(parts) + "}\n"


def digest(code: str) -> str:
    """A script's hash as a Content-Security-Policy names it."""
    return "sha256-" + base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()


def _places(rows: Sequence[ReportRow]) -> list[str]:
    """An id for each row's details that stays the same as long as the file does."""
    found: list[str] = []
    for row in rows:
        place = f"file-{row.sha256[:12]}"
        same = sum(other.startswith(place) for other in found)  # a file under two names
        found.append(f"{place}-{same + 1}" if same else place)
    return found


def _svg(chart: Any) -> str:
    if chart is None:
        return ""
    from zoo.report.charts import render as report_charts

    return report_charts.page_svg(chart)


def _panel_svg(panel: Panel | None) -> str:
    """A picture of its own, with its legend."""
    if panel is None:
        return ""
    from zoo.report.charts import render as report_charts

    return report_charts.panel_svg(panel)


def _breakable(text: str) -> Any:
    """The text, escaped, with leave to break lines after the separators of a name."""
    from markupsafe import Markup, escape

    return Markup("<wbr>").join(escape(part) for part in re.split(r"(?<=[-_.])", text))


def _details(row: ReportRow, place: str, cards: Mapping[str, str]) -> dict[str, Any]:
    facts_of: list[tuple[str, str]] = [("SHA-256", row.sha256)]
    if row.artifact is None:
        facts_of.append(("Manifest", "none: the file was measured without one"))
    else:
        artifact = row.artifact
        facts_of += [
            ("Architecture", artifact.model),
            ("Compression", ", ".join(artifact.scheme) or "none"),
            ("Run", artifact.parent_run),
            ("Parameters", f"{artifact.parameters:,}, {100 * artifact.zeros:.1f} % of them zero"),
            ("Size", f"{artifact.bytes:,} bytes, {artifact.gzip_bytes:,} with gzip"),
            ("Operators", ", ".join(f"{n} × {op}" for op, n in artifact.operators.items())),
            *(("Input", f"{t.name} {t.dtype} {list(t.shape)}") for t in artifact.inputs),
            *(("Output", f"{t.name} {t.dtype} {list(t.shape)}") for t in artifact.outputs),
        ]
    facts_of += [
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
        "facts": [(clean(label), clean(text, 600)) for label, text in facts_of],
        "lines": _lines([describe(line) for line in row.results]),
    }


def _lines(told: Sequence[Line]) -> list[tuple[Line, int]]:
    """Each line with how many from it on share its command; 0 where one above tells it."""
    found: list[tuple[Line, int]] = []
    for _, together in groupby(told, key=lambda line: line.command):
        lines = list(together)
        found += [(line, 0 if number else len(lines)) for number, line in enumerate(lines)]
    return found
