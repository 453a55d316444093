"""Reads an output folder and writes its report: `report/index.html` and the pictures beside it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from android_bench import report_facts as facts
from android_bench.report_data import Report, Row, build
from android_bench.report_lines import (
    agreement_of,
    clean,
    delegate_label,
    describe,
    failure_of,
)
from android_bench.report_panels import Panel, energy_panels, latency_panels, size_panels
from android_bench.report_sustained import curves, curves_chart
from android_bench.report_table import headline
from zoo.errors import ZooError
from zoo.files import sha256_of, write_bytes, write_text
from zoo.records import read_model, read_records
from zoo.types import Agreement, Artifact

BENCHMARK = "run `python -m scripts.benchmark` first, or name the right --output folder"
MOST_PROBLEMS = 200
TEMPLATES = Path(__file__).parent / "templates"


def load(output: Path) -> Report:
    """The report of `OUTPUT/results.jsonl` and the manifests in `OUTPUT/artifacts`.

    A line or manifest that can't be used costs only itself, and is told.

    Raises:
        ZooError: there is no result at all.
    """
    results = output / "results.jsonl"
    if not results.exists():
        raise ZooError("there are no results yet", where=results, remedy=BENCHMARK)
    records, problems = read_records(results)
    if not records:
        raise ZooError(
            "the results file holds no result line",
            where=results,
            got=problems[0] if problems else "an empty file",
            remedy=BENCHMARK,
        )
    artifacts = []
    for path in sorted((output / "artifacts").glob("*.json")):
        try:
            artifacts.append(_manifest(path))
        except ZooError as error:
            problems.append(str(error))
    if len(problems) > MOST_PROBLEMS:
        more = len(problems) - MOST_PROBLEMS
        problems = [*problems[:MOST_PROBLEMS], f"and {more} more such problems"]
    return build(records, artifacts, problems)


def _manifest(path: Path) -> Artifact:
    remedy = "write it again with `python -m scripts.convert`"
    artifact = read_model(path, Artifact, "the manifest", remedy)
    if artifact.name != path.stem:
        raise ZooError(
            "the manifest names another file",
            where=path,
            expected=path.stem,
            got=artifact.name,
            remedy=remedy,
        )
    model = path.with_suffix(".tflite")
    if model.is_file() and (found := sha256_of(model)) != artifact.sha256:
        raise ZooError(
            "the file is not the one that its manifest describes",
            where=model,
            expected=artifact.sha256,
            got=found,
            remedy=remedy,
        )
    return artifact


def write(report: Report, output: Path) -> Path:
    """Writes the pictures, then the page that goes with them.

    Returns:
        the page's path.

    Raises:
        ZooError: the packages of the `report` extra are missing.
    """
    folder = output / "report"
    subject = "; ".join(facts.scored_sets(report)) or "no test accuracies"
    try:
        figures = [
            _figure(
                folder,
                "accuracy_vs_size",
                "Test accuracy against file size",
                f"{subject}. Dashed: Pareto front. 1 kB is 1000 bytes.",
                size_panels(report),
            ),
            _figure(
                folder,
                "accuracy_vs_latency",
                "Test accuracy against latency",
                f"{subject}. Dashed: Pareto front. Each panel has its own time axis.",
                latency_panels(report),
            ),
            *_optional_figures(report, folder, subject),
        ]
        html = render(report, figures, _links(report, output))
    except ImportError as error:
        raise ZooError(
            "the page needs packages that are not installed",
            got=error,
            remedy="pip install 'mobile-model-zoo[report]'",
        ) from error
    page = folder / "index.html"
    write_text(page, html)
    return page


def _figure(
    folder: Path, stem: str, title: str, subtitle: str, panels: Sequence[Panel]
) -> dict[str, Any]:
    """A figure for the template; writes its files, or removes them if there is nothing to see."""
    figure = {"stem": stem, "title": title, "subtitle": subtitle, "svgs": [], "legend": []}
    if not panels:
        _remove_figure(folder, stem)
        return figure
    from android_bench import report_charts

    _keep_figure(folder, stem, report_charts.picture(panels, title, subtitle))
    return {
        **figure,
        "svgs": report_charts.panel_svgs(panels),
        "legend": list(report_charts.colours(panels).items()),
    }


def _optional_figures(report: Report, folder: Path, subject: str) -> list[dict[str, Any]]:
    """Those of what few folders have: energy and sustained runs."""
    figures = []
    if panels := energy_panels(report):
        title, stem = "Test accuracy against energy", "accuracy_vs_energy"
        subtitle = f"{subject}. Net energy of an inference. Dashed: Pareto front."
        figures.append(_figure(folder, stem, title, subtitle, panels))
    else:
        _remove_figure(folder, "accuracy_vs_energy")
    if not (found := curves(report)):
        _remove_figure(folder, "sustained")
        return figures
    from android_bench import report_charts

    title = "Sustained runs"
    subtitle = "Inference after inference; each point is the median of some seconds."
    charts = [curves_chart(shown) for shown in found]
    _keep_figure(folder, "sustained", report_charts.pages(charts, title, subtitle))
    words = [f"{shown.device}, {name}: {said}" for shown in found for name, said, _ in shown.runs]
    svgs = [report_charts.page_svg(chart) for chart in charts]
    figure = {"stem": "sustained", "title": title, "subtitle": subtitle, "legend": []}
    return [*figures, {**figure, "svgs": svgs, "words": words}]


def _keep_figure(folder: Path, stem: str, pictures: tuple[str, bytes]) -> None:
    svg, png = pictures
    write_text(folder / f"{stem}.svg", svg)
    write_bytes(folder / f"{stem}.png", png)


def _remove_figure(folder: Path, stem: str) -> None:
    for suffix in (".svg", ".png"):
        (folder / stem).with_suffix(suffix).unlink(missing_ok=True)


def _links(report: Report, output: Path) -> dict[str, str]:
    """From the page to each `.tflite` that lies in the artifacts folder, by SHA-256."""
    return {
        row.sha256: f"../artifacts/{quote(row.artifact.name, safe='')}.tflite"
        for row in report.rows
        if row.artifact and (output / "artifacts" / f"{row.artifact.name}.tflite").is_file()
    }


def render(report: Report, figures: Sequence[dict[str, Any]], links: dict[str, str]) -> str:
    """The page. Whatever comes from a file is escaped; only the charts' SVG is put in as it is."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["breakable"] = _breakable
    groups = headline(report)
    shown, more_commands = facts.commands(report)
    return environment.get_template("report.html.j2").render(
        report=report,
        groups=groups,
        columns=[column for group in groups for column in group.columns],
        figures=figures,
        links=links,
        span=facts.span(report),
        sets=facts.scored_sets(report),
        datasets=sorted({row.dataset for row in report.rows if row.dataset}),
        highlights=facts.highlights(report),
        failures=facts.failures(report),
        disagreements=facts.disagreements(report),
        latency_meaning=facts.latency_meaning(report),
        uncertainty=max(filter(None, map(facts.uncertainty_points, report.rows)), default=None),
        devices=facts.devices(report),
        versions=facts.versions(report),
        commands=shown,
        more_commands=more_commands,
        training=[(line, describe(line)) for line in report.training],
        details=[_details(row) for row in report.rows],
        clean=clean,
    )


def _breakable(text: str) -> Any:
    """The text, escaped, with leave to break lines after the separators of a name."""
    from markupsafe import Markup, escape

    return Markup("<wbr>").join(escape(part) for part in re.split(r"(?<=[-_.])", text))


def _details(row: Row) -> dict[str, Any]:
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
        "facts": [(clean(label), clean(text, 600)) for label, text in facts_of],
        "lines": [describe(line) for line in row.results],
    }
