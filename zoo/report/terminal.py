"""Prints the report: tables fitted to the terminal width, one line per row when piped."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, TextIO

from zoo.errors import one_line
from zoo.report.rows import Report
from zoo.report.summary import (
    Failure,
    disagreements,
    failures,
    latency_meaning,
    scored_sets,
    stated_accuracies,
)
from zoo.report.table import Cell, Column, Group, headline

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

MOST_LISTED = 50
FAILED_LINE = 18
FAILED_IN_CELL = 34  # characters; the full reason is listed below the table


def print_report(report: Report, file: TextIO) -> None:
    """Writes the tables, then the failures, skipped lines and unusable inputs.

    Args:
        report: Current results.
        file: Text stream; its width and colors are detected if it is a terminal.
    """
    from rich.console import Console

    probe = Console(file=file, highlight=False)
    groups = headline(report)
    # Piped output is for grep and files: one line per row, whatever its length.
    console = probe if probe.is_terminal else Console(file=file, highlight=False, width=4000)
    for packed in _pack(console, groups):
        _print_table(console, packed)
    for line in notes(report):
        console.print(line, markup=False, soft_wrap=True)


def notes(report: Report) -> list[str]:
    """Returns the notes below the tables, one line each."""
    lines = []
    if sets := scored_sets(report):
        lines.append(f"Accuracy: {'; '.join(sets)}.")
    if sentence := stated_accuracies(report):
        lines.append(sentence)
    lines.append(f"Latency: {latency_meaning(report)}. 1 kB is 1000 bytes. –: not measured.")
    failed = failures(report)
    if failed:
        lines.append(f"Failed ({len(failed)}):")
        lines += _listed([_failure(f) for f in failed])
    if differing := disagreements(report):
        lines.append(f"Predictions that differ from the host's ({len(differing)}):")
        lines += _listed([f"  {line}" for line in differing])
    if report.stale:
        noun = "line" if report.stale == 1 else "lines"
        lines.append(f"Skipped {report.stale} stale result {noun}: the files have changed since.")
    if report.problems:
        lines.append(f"Unusable lines and files ({len(report.problems)}):")
        lines += _listed([f"  {problem}" for problem in report.problems])
    return lines


def _failure(failure: Failure) -> str:
    return f"  {failure.name}, {failure.place}: failed: {failure.reason}"


def _listed(lines: list[str]) -> list[str]:
    more = len(lines) - MOST_LISTED
    return lines[:MOST_LISTED] + ([f"  … and {more} more; see the page"] if more > 0 else [])


def _pack(console: Console, groups: Sequence[Group]) -> list[list[Group]]:
    """Splits the groups into tables that fit the width; each one starts with the model names."""
    name = Group("", groups[0].columns[:1])
    tables = [[groups[0]]]
    for group in groups[1:]:
        if _width(console, [*tables[-1], group]) <= console.width:
            tables[-1].append(group)
        else:
            tables.append([name, group])
    return tables


def _width(console: Console, groups: Sequence[Group]) -> int:
    unlimited = console.options.update(max_width=4000)
    return console.measure(_table(console, groups), options=unlimited).maximum


def _print_table(console: Console, groups: Sequence[Group]) -> None:
    labels = [group.label for group in groups if group.label]
    for number, label in enumerate(labels, start=1):
        mark = f"({number}) " if len(labels) > 1 else ""
        console.print(f"{mark}{label}", markup=False, soft_wrap=True)
    console.print(_table(console, groups))
    console.print()


def _table(console: Console, groups: Sequence[Group]) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    terminal = console.is_terminal
    table = Table(box=box.SIMPLE_HEAD if terminal else None, pad_edge=False, padding=(0, 1))
    columns: list[Column] = []
    several = sum(bool(group.label) for group in groups) > 1
    number = 0
    for group in groups:
        number += bool(group.label)
        for column in group.columns:
            mark = f"({number}) " if several and group.label else ""
            heading = "\n".join(part for part in (f"{mark}{column.label}", column.unit) if part)
            if not terminal:
                heading = heading.replace("\n", ", ")
            table.add_column(
                Text(heading),
                justify="right" if column.numeric else "left",
                # Only names may wrap; numbers and their headings stay on one line.
                no_wrap=not terminal or bool(columns),
                overflow="fold",
                vertical="top",
            )
            columns.append(column)
    for cells in zip(*(column.cells for column in columns), strict=True):
        table.add_row(
            *(
                Text(_shown(cell, terminal), style=_style(cell, column))
                for cell, column in zip(cells, columns, strict=True)
            )
        )
    return table


def _shown(cell: Cell, terminal: bool) -> str:
    if cell.kind != "failed":
        return cell.text
    short = one_line(cell.text, FAILED_IN_CELL)
    return "\n".join(textwrap.wrap(short, FAILED_LINE)) if terminal else short


def _style(cell: Cell, column: Column) -> str:
    if cell.kind == "failed":
        return "red"
    if cell.kind == "absent":
        return "dim"
    return "bold green" if column.best and cell.text == column.best else ""
