"""The results table, with the same cells for the terminal and the page. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from zoo.report.rows import Report, ReportRow
from zoo.report.summary import kilobytes, setup_labels
from zoo.report.wording import Setup, clean, delegate_label, failure_of, nodes
from zoo.schema.engine_check import EngineCheck

NOT_MEASURED = "–"


@dataclass(frozen=True)
class Cell:
    """One cell; `number` is the value behind `text`, so that a column can set its decimals."""

    text: str
    kind: Literal["text", "number", "failed", "absent"] = "text"
    number: float | None = None


ABSENT = Cell(NOT_MEASURED, "absent")


@dataclass(frozen=True)
class Column:
    """One column with a cell per row; `best` is the text of its best number, or empty."""

    label: str
    unit: str
    numeric: bool
    cells: tuple[Cell, ...]
    best: str = ""


@dataclass(frozen=True)
class Group:
    """Columns of one setup under its label, or the file's properties under an empty label."""

    label: str
    columns: tuple[Column, ...]


def headline(report: Report) -> tuple[Group, ...]:
    """Returns the column groups of the table; every column has a cell per row of the report."""
    rows = report.rows
    facts = [_column("Model", "", rows, lambda row: Cell(row.name), numeric=False)]
    if len({row.dataset for row in rows}) > 1:
        facts.append(_column("Dataset", "", rows, _dataset, numeric=False))
    facts += [
        _column("Precision", "", rows, lambda row: Cell(row.precision), numeric=False),
        _best(_column("Size", "kB", rows, lambda row: _size(row.size_bytes)), min),
        _best(_column("gzip", "kB", rows, lambda row: _size(row.gzip_bytes)), min),
        _best(_column("Accuracy", "%, test", rows, _accuracy), max),
    ]
    labels = setup_labels(report.setups)
    groups = [Group("", tuple(facts))]
    for setup, delegates in report.setups.items():
        groups.append(Group(labels[setup], tuple(_setup_columns(rows, setup, delegates))))
    if engines := _engine_columns(rows):
        groups.append(Group("Same top-1 class as on this computer's XNNPACK", tuple(engines)))
    return tuple(groups)


def _setup_columns(
    rows: Sequence[ReportRow], setup: Setup, delegates: Sequence[str]
) -> list[Column]:
    columns = []
    for delegate in delegates:

        def latency(row: ReportRow, delegate: str = delegate) -> Cell:
            return _latency(row, setup, delegate)

        def delegated(row: ReportRow, delegate: str = delegate) -> Cell:
            outcome = row.outcomes.get((setup, delegate))
            text = nodes(outcome.record.placement) if outcome else ""
            return Cell(clean(text, 24), "number") if text else ABSENT

        def energy(row: ReportRow, delegate: str = delegate) -> Cell:
            return _energy(row, setup, delegate)

        label = delegate_label(delegate)
        columns.append(_best(_same_decimals(_column(label, "ms", rows, latency)), min))
        placed = _column(label, "nodes", rows, delegated)
        if delegate != "none" and any(cell.kind == "number" for cell in placed.cells):
            columns.append(placed)
        metered = _best(_same_decimals(_column(label, "mJ", rows, energy)), min)
        if any(cell.kind != "absent" for cell in metered.cells):
            columns.append(metered)
    if {"xnnpack", "none"} <= set(delegates):
        columns.append(_column("XNNPACK", "speedup", rows, lambda row: _speed_up(row, setup)))
    return columns


def _engine_columns(rows: Sequence[ReportRow]) -> list[Column]:
    """Returns a column for each engine that a file was compared on with the CPU."""
    names = {
        (line.configuration.runtime, line.configuration.delegate)
        for row in rows
        for line in row.results
        if isinstance(line, EngineCheck)
    }
    columns = []
    for name in sorted(names):

        def agreement(row: ReportRow, name: tuple[str, str] = name) -> Cell:
            return _agreement(row, *name)

        runtime, delegate = name
        label = f"{clean(runtime, 40)}, {delegate_label(delegate)}"
        columns.append(_column(label, "%", rows, agreement))
    return columns


def _agreement(row: ReportRow, runtime: str, delegate: str) -> Cell:
    for line in row.results:
        if not isinstance(line, EngineCheck):
            continue
        ran = line.configuration
        if (ran.runtime, ran.delegate) != (runtime, delegate):
            continue
        reason = failure_of(line) or "; ".join(line.reasons)
        if reason or line.agreement is None:
            return _failed(clean(reason, 200))
        # An interpreter without its delegate still runs every operator.
        partly = line.placement and line.placement.accelerator and line.placement.level != "full"
        percent = 100 * line.agreement
        return Cell(f"{percent:.1f}{' in part' if partly else ''}", "number", percent)
    return ABSENT


def _column(
    label: str,
    unit: str,
    rows: Sequence[ReportRow],
    cell: Callable[[ReportRow], Cell],
    numeric: bool = True,
) -> Column:
    return Column(label, unit, numeric, tuple(cell(row) for row in rows))


def _dataset(row: ReportRow) -> Cell:
    return Cell(row.dataset) if row.dataset else ABSENT


def _size(size_bytes: int | None) -> Cell:
    return ABSENT if size_bytes is None else Cell(kilobytes(size_bytes), "number", size_bytes)


def _accuracy(row: ReportRow) -> Cell:
    if row.score is None:
        return ABSENT
    if row.score.top1 is None:
        return _failed(row.score.failure)
    return Cell(f"{100 * row.score.top1:.2f}", "number", 100 * row.score.top1)


def _latency(row: ReportRow, setup: Setup, delegate: str) -> Cell:
    outcome = row.outcomes.get((setup, delegate))
    if outcome is None:
        return ABSENT
    if outcome.latency_ms is None:
        return _failed(outcome.failure)
    return Cell(f"{outcome.latency_ms:.3f}", "number", outcome.latency_ms)


def _energy(row: ReportRow, setup: Setup, delegate: str) -> Cell:
    outcome = row.outcomes.get((setup, delegate))
    if outcome is None or outcome.latency_ms is None:
        return ABSENT
    record = outcome.record
    if record.energy is None:
        return ABSENT if record.no_energy is None else Cell(f"none: {record.no_energy}", "failed")
    return Cell(f"{record.energy.net_mj:.3f}", "number", record.energy.net_mj)


def _speed_up(row: ReportRow, setup: Setup) -> Cell:
    fast, slow = (row.outcomes.get((setup, delegate)) for delegate in ("xnnpack", "none"))
    if fast is None or slow is None or fast.latency_ms is None or slow.latency_ms is None:
        return ABSENT
    ratio = slow.latency_ms / fast.latency_ms
    return Cell(f"{ratio:.2f}×" if ratio < 1000 else f"{ratio:.3g}×", "number", ratio)


def _failed(reason: str) -> Cell:
    return Cell(f"failed: {reason}", "failed")


def _same_decimals(column: Column) -> Column:
    """Gives all cells the decimals that show three digits of the smallest number, at most three."""
    numbers = [cell.number for cell in column.cells if cell.number]
    if not numbers:
        return column
    decimals = min(3, max(0, 2 - math.floor(math.log10(min(numbers)))))
    cells = tuple(
        replace(cell, text=f"{cell.number:,.{decimals}f}") if cell.number else cell
        for cell in column.cells
    )
    return replace(column, cells=cells)


def _best(column: Column, choose: Callable[[list[float]], float]) -> Column:
    """Marks the best number if the column has at least two different ones."""
    numbers = [cell.number for cell in column.cells if cell.number is not None]
    if len(set(numbers)) < 2:
        return column
    best = choose(numbers)
    return replace(column, best=next(c.text for c in column.cells if c.number == best))
