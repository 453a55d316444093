"""Reads an output folder and writes its report: `report/index.html` and the charts next to it."""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from zoo.errors import ZooError
from zoo.io.files import sha256_of, write_bytes, write_text
from zoo.report import summary
from zoo.report.charts.panels import Panel, energy_panels, latency_panels, size_panels
from zoo.report.charts.sustained import curves, curves_chart
from zoo.report.inputs import Extras
from zoo.report.page import render
from zoo.report.rows import Report, build
from zoo.schema.artifact import Artifact
from zoo.schema.json_files import read_manifest, read_records
from zoo.schema.release import CONTAINER

BENCHMARK = "run `zoo benchmark` first, or pass the correct --output folder"
MOST_PROBLEMS = 200


def load(output: Path) -> Report:
    """Reads `OUTPUT/results.jsonl` and the manifests in `OUTPUT/artifacts`.

    Unusable lines and manifests are skipped and listed in the report's `problems`.

    Args:
        output: Output folder.

    Raises:
        ZooError: if there is not a single valid result line.
    """
    results = output / "results.jsonl"
    if not results.exists():
        raise ZooError("no results yet", where=results, remedy=BENCHMARK)
    records, problems = read_records(results)
    if not records:
        raise ZooError(
            "no valid result line in the results file",
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
        problems = [*problems[:MOST_PROBLEMS], f"and {more} more problems"]
    return build(records, artifacts, problems)


def _manifest(path: Path) -> Artifact:
    remedy = "write it again with `zoo convert`"
    artifact = read_manifest(path, Artifact, remedy)
    model = path.with_suffix(".tflite")
    if model.is_file() and (digest := sha256_of(model)) != artifact.sha256:
        raise ZooError(
            "the SHA-256 does not match the manifest",
            where=model,
            expected=artifact.sha256,
            got=digest,
            remedy=remedy,
        )
    return artifact


def write(report: Report, output: Path, extras: Extras | None = None) -> Path:
    """Writes the charts and the page to `OUTPUT/report`.

    Args:
        report: Current results.
        output: Output folder.
        extras: Roofline estimates and sensitivity scans.

    Returns:
        Path of the page.

    Raises:
        ZooError: if the packages of the `report` extra are missing.
    """
    need_packages()
    folder = output / "report"
    page = folder / "index.html"
    write_text(page, _page(report, output, page, folder, extras))
    return page


def write_page(report: Report, output: Path, page: Path, extras: Extras | None = None) -> None:
    """Writes only the page, to any path, with links relative to it.

    The page is reproducible: it does not contain the time of writing.

    Args:
        report: Current results.
        output: Output folder that the page links to.
        page: Path of the HTML file.
        extras: Roofline estimates and sensitivity scans.

    Raises:
        ZooError: if the packages of the `report` extra are missing.
    """
    need_packages()
    write_text(page, _page(report, output, page, None, extras))


def need_packages() -> None:
    """Checks that the packages of the `report` extra are installed.

    Raises:
        ZooError: if one of them cannot be imported.
    """
    try:
        importlib.import_module("jinja2")
        importlib.import_module("vl_convert")
    except ImportError as error:
        raise ZooError(
            "packages required for the page are not installed",
            got=error,
            remedy="pip install 'mobile-model-zoo[report]'",
        ) from error


def _page(
    report: Report, output: Path, page: Path, folder: Path | None, extras: Extras | None
) -> str:
    """Renders the page; also writes the charts to `folder` unless it is None."""
    subject = "; ".join(summary.scored_sets(report)) or "no test accuracies"
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
    links, cards = _links(report, output, page)
    return render(report, figures, links, cards, extras)


def _figure(
    folder: Path | None, stem: str, title: str, subtitle: str, panels: Sequence[Panel]
) -> dict[str, Any]:
    """Returns a figure for the template; writes its files, or removes them without panels."""
    beside = folder is not None
    figure = {"stem": stem, "title": title, "subtitle": subtitle, "beside": beside}
    figure |= {"svgs": [], "legend": []}
    if not panels:
        _remove_figure(folder, stem)
        return figure
    from zoo.report.charts import render as report_charts

    if folder is not None:
        _keep_figure(folder, stem, report_charts.figure(panels, title, subtitle))
    return {
        **figure,
        "svgs": report_charts.panel_svgs(panels),
        "legend": list(report_charts.colors(panels).items()),
    }


def _optional_figures(report: Report, folder: Path | None, subject: str) -> list[dict[str, Any]]:
    """Returns the figures for energy and sustained runs, if any were measured."""
    figures = []
    if panels := energy_panels(report):
        title, stem = "Test accuracy against energy", "accuracy_vs_energy"
        subtitle = f"{subject}. Net energy per inference. Dashed: Pareto front."
        figures.append(_figure(folder, stem, title, subtitle, panels))
    else:
        _remove_figure(folder, "accuracy_vs_energy")
    if not (groups := curves(report)):
        _remove_figure(folder, "sustained")
        return figures
    from zoo.report.charts import render as report_charts

    title = "Sustained runs"
    subtitle = "Back-to-back inferences; each point is the median over a few seconds."
    charts = [curves_chart(group) for group in groups]
    if folder is not None:
        _keep_figure(folder, "sustained", report_charts.pages(charts, title, subtitle))
    words = [f"{group.device}, {name}: {text}" for group in groups for name, text, _ in group.runs]
    svgs = [report_charts.page_svg(chart) for chart in charts]
    figure = {"stem": "sustained", "title": title, "subtitle": subtitle, "legend": []}
    beside = folder is not None
    return [*figures, {**figure, "svgs": svgs, "words": words, "beside": beside}]


def _keep_figure(folder: Path, stem: str, svg_png: tuple[str, bytes]) -> None:
    svg, png = svg_png
    write_text(folder / f"{stem}.svg", svg)
    write_bytes(folder / f"{stem}.png", png)


def _remove_figure(folder: Path | None, stem: str) -> None:
    if folder is None:
        return
    for suffix in (".svg", ".png"):
        (folder / stem).with_suffix(suffix).unlink(missing_ok=True)


def _links(report: Report, output: Path, page: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Returns the URLs of the existing model files and model cards, by SHA-256."""
    # Resolved, because symbolic links may lead to the page and the folder by different paths.
    to = Path(os.path.relpath(output.resolve(), page.resolve().parent)).as_posix()
    before = "" if to == "." else f"{to}/"
    there = {path.name for path in (output / "cards").glob("*.md")}
    files, cards = {}, {}
    for row in report.rows:
        if row.artifact is None:
            continue
        for name in (f"{row.artifact.name}.tflite", f"{row.artifact.name}.tflite{CONTAINER}"):
            if (output / "artifacts" / name).is_file():
                files[row.sha256] = f"{before}artifacts/{quote(name, safe='')}"
                break
        card = f"{row.artifact.parent_run.removesuffix('-qat')}.md"
        if card in there:
            cards[row.sha256] = f"{before}cards/{quote(card, safe='')}"
    return files, cards
