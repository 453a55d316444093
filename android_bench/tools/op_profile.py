"""Parses the operator profile of benchmark_model: time per operator type and the slowest nodes.

TFLite's tool (`--enable_op_profiling=true`) prints it on stdout after `Operator-wise Profiling Info
for Regular Benchmark Runs:`, LiteRT's (`--use_profiler=true`) on stderr without that line. Both use
StatsCalculator (tensorflow/core/util/stats_calculator.cc) with the tables `Run Order`, `Top by
Computation Time`, `Number of nodes executed: N` and `Summary by node type`. For a delegate that
times its own operators the tables are repeated after `Delegate internal:`
(tflite/profiling/profile_summary_formatter.cc). Timing each operator slows inference, so the tools'
parsers return no latency for profiled runs.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from zoo.errors import one_line

_MAX_LINES = 200_000
_MAX_ROWS = 20_000
_MAX_MS = 3.6e6
_START = "Operator-wise Profiling Info for Regular Benchmark Runs:"
_BEFORE = "Profiling Info for Benchmark Initialization:"
_INTERNAL = "Delegate internal:"
_TITLE = re.compile(r"={10,} ([A-Z][\w ]{1,40}) ={10,}")
_EXECUTED = re.compile(r"Number of nodes executed: ([0-9]{1,6})")
_NUMBER = r"(-?[0-9]{1,12}(?:\.[0-9]{1,12})?(?:e[+-]?[0-9]{1,2})?)"
# Names may contain the CSV separator and are not quoted, so columns are located by their numbers.
_CSV_TYPE = re.compile(
    rf"(.{{1,300}}), ([0-9]{{1,6}}), {_NUMBER}, {_NUMBER}%, {_NUMBER}%, {_NUMBER}, ([0-9]{{1,9}})"
)
_CSV_NODE = re.compile(
    rf"(.{{1,300}}?)(?:, {_NUMBER})?, {_NUMBER}, {_NUMBER}, {_NUMBER}%, {_NUMBER}%, {_NUMBER}, "
    rf"([0-9]{{1,9}}), (.{{0,300}})"
)
_Row = TypeVar("_Row")


@dataclass(frozen=True)
class NodeType:
    """All nodes of one type: an operator such as `CONV_2D`, or a delegate.

    Attributes:
        type: Type name printed by the tool.
        count: Number of nodes.
        avg_ms: Mean time per inference of all these nodes together, in ms.
        percent: Share of the time of all nodes.
    """

    type: str
    count: int
    avg_ms: float
    percent: float


@dataclass(frozen=True)
class SlowNode:
    """One node of the graph.

    Attributes:
        type: Type name, as in `NodeType`.
        name: Names of its outputs, and its number.
        avg_ms: Mean time per call in ms.
        calls: Calls per inference; more than one if a delegate gives several nodes the same name.
        percent: Share of all its calls in the time of all nodes.
    """

    type: str
    name: str
    avg_ms: float
    calls: int
    percent: float


@dataclass(frozen=True)
class OperatorTable:
    """Profile of a graph or of the inside of a delegate.

    Attributes:
        types: Node types, slowest first.
        slowest: The slowest nodes; the tool prints about 10.
    """

    types: tuple[NodeType, ...]
    slowest: tuple[SlowNode, ...]

    @property
    def total_ms(self) -> float:
        """Mean time per inference of all nodes in ms; profiling makes it longer than usual."""
        return sum(row.avg_ms for row in self.types)


@dataclass(frozen=True)
class OpProfile:
    """A profiled run.

    Attributes:
        graph: Profile of the graph's nodes; a delegate's partition is one node.
        delegate: Profile inside the delegate's nodes; None if the delegate does not report it.
    """

    graph: OperatorTable
    delegate: OperatorTable | None = None


def parse_profile(text: str) -> OpProfile | None:
    """Parses the profile in the tool's output or its profile file; never raises.

    Only the first subgraph is read. Returns None if the profile is missing or incomplete.
    """
    lines = [line.rstrip("\r") for line in text.split("\n", _MAX_LINES)[:_MAX_LINES]]
    starts = [number for number, line in enumerate(lines) if line.endswith(_START)]
    # Without the start line, these may be the tables of the initialization, not of operators.
    if len(starts) > 1 or (not starts and any(line.endswith(_BEFORE) for line in lines)):
        return None
    lines = lines[starts[0] + 1 :] if starts else lines
    inside = [number for number, line in enumerate(lines) if line.strip() == _INTERNAL]
    if len(inside) > 1:
        return None
    graph = _table(lines[: inside[0]] if inside else lines)
    delegate = _table(lines[inside[0] + 1 :]) if inside else None
    if graph is None or (inside and delegate is None):
        return None
    return OpProfile(graph, delegate)


def _table(lines: Sequence[str]) -> OperatorTable | None:
    titles: dict[str, int] = {}
    for number, line in enumerate(lines):
        if (title := _TITLE.fullmatch(line)) is not None:
            titles.setdefault(title[1], number)
    if "Summary by node type" not in titles or "Top by Computation Time" not in titles:
        return None
    summary_at, top_at = titles["Summary by node type"], titles["Top by Computation Time"]
    executed = _EXECUTED.fullmatch(lines[summary_at - 1]) if summary_at else None
    types = _rows(lines[summary_at + 1 :], _node_type)
    slowest = _rows(lines[top_at + 1 :], _slow_node)
    if executed is None or types is None or slowest is None:
        return None
    # A mismatch means missing rows or rows of another table.
    if sum(row.count for row in types) != int(executed[1]) or len(slowest) > int(executed[1]):
        return None
    names = {row.type for row in types}
    if len(names) < len(types) or {node.type for node in slowest} - names:
        return None
    table = OperatorTable(tuple(types), tuple(slowest))
    total_ms = table.total_ms
    # A percentage that does not match its time means a truncated number.
    if any(abs(row.percent * total_ms - 100 * row.avg_ms) > 0.05 * total_ms for row in types):
        return None
    return table if total_ms > 0 else None


def _rows(
    lines: Sequence[str], read: Callable[[list[str] | None, str, list[str]], _Row | None]
) -> list[_Row] | None:
    """Parses the rows after a header up to a blank line; None if a row is invalid or missing."""
    header = [name.strip().lower() for name in lines[0].split("\t")] if lines else []
    tabbed = len(header) > 1
    rows: list[_Row] = []
    for line in _body(lines):
        if line is None or len(rows) >= _MAX_ROWS:
            return None
        cells = [cell.strip() for cell in line.split("\t")] if tabbed else None
        if cells is not None and len(cells) != len(header):
            return None
        row = read(cells, line, header)
        if row is None:
            return None
        rows.append(row)
    return rows or None


def _body(lines: Sequence[str]) -> Iterator[str | None]:
    for line in lines[1:]:
        if not line:
            return
        yield line
    yield None  # no blank line: the table is truncated


def _node_type(cells: list[str] | None, line: str, header: list[str]) -> NodeType | None:
    if cells is None:
        match = _CSV_TYPE.fullmatch(line)
        values = match.group(1, 2, 3, 4) if match else None
    else:
        values = _pick(cells, header, "[node type]", "[count]", "[avg ms]", "[avg %]")
    if values is None or not values[0] or not re.fullmatch(r"[0-9]{1,6}", values[1]):
        return None
    avg_ms, percent = _number(values[2], _MAX_MS), _number(values[3].removesuffix("%"), 100.01)
    if avg_ms is None or percent is None or int(values[1]) < 1:
        return None
    return NodeType(one_line(values[0], 120), int(values[1]), avg_ms, percent)


def _slow_node(cells: list[str] | None, line: str, header: list[str]) -> SlowNode | None:
    if cells is None:
        match = _CSV_NODE.fullmatch(line)
        values = match.group(1, 9, 4, 8, 5) if match else None
    else:
        values = _pick(cells, header, "[node type]", "[name]", "[avg ms]", "[times called]", "[%]")
    if values is None or not values[0] or not re.fullmatch(r"[0-9]{1,9}", values[3]):
        return None
    avg_ms, percent = _number(values[2], _MAX_MS), _number(values[4].removesuffix("%"), 100.01)
    if avg_ms is None or percent is None:
        return None
    kind, name = one_line(values[0], 120), one_line(values[1], 120)
    return SlowNode(kind, name, avg_ms, int(values[3]), percent)


def _pick(cells: list[str], header: list[str], *names: str) -> tuple[str | Any, ...] | None:
    if any(header.count(name) != 1 for name in names):
        return None
    return tuple(cells[header.index(name)] for name in names)


def _number(text: str, most: float) -> float | None:
    if not re.fullmatch(_NUMBER, text):
        return None
    value = float(text)
    return value if math.isfinite(value) and 0 <= value <= most else None
