"""Which operators take the time: the tables that benchmark_model prints of a profiled run.

TFLite's tool (`--enable_op_profiling=true`) prints them on stdout after `Operator-wise Profiling
Info for Regular Benchmark Runs:`, LiteRT's (`--use_profiler=true`) on stderr without that line.
Both come from StatsCalculator (tensorflow/core/util/stats_calculator.cc): `Run Order`, `Top by
Computation Time`, `Number of nodes executed: N` and `Summary by node type`. A delegate that times
its own operators gets the same tables once more, after `Delegate internal:`
(tflite/profiling/profile_summary_formatter.cc). Timing each operator slows the run, so that the
readers of the tools give no latency for it.
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
# Names may hold the CSV form's own separator, and nothing is quoted: the numbers tell the columns.
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
        type: as the tool calls it.
        count: of its nodes.
        avg_ms: of all of them together, in one inference.
        percent: of the time of all nodes.
    """

    type: str
    count: int
    avg_ms: float
    percent: float


@dataclass(frozen=True)
class SlowNode:
    """One node.

    Attributes:
        type: as in `NodeType`.
        name: of its outputs, and its number.
        avg_ms: of one call; a delegate may give several of its nodes one name.
        calls: in one inference.
        percent: of the time of all nodes, all its calls together.
    """

    type: str
    name: str
    avg_ms: float
    calls: int
    percent: float


@dataclass(frozen=True)
class OperatorTable:
    """Types from the most time to the least, and the slowest nodes; the tool names 10 or so."""

    types: tuple[NodeType, ...]
    slowest: tuple[SlowNode, ...]

    @property
    def total_ms(self) -> float:
        """Of all nodes in one inference of the profiled run, which is slower than others."""
        return sum(one.avg_ms for one in self.types)


@dataclass(frozen=True)
class OpProfile:
    """A profiled run: the graph's nodes and, if the delegate tells, what is inside its nodes."""

    graph: OperatorTable
    delegate: OperatorTable | None = None


def parse_profile(text: str) -> OpProfile | None:
    """The profile in a stream, or in the file that the tool wrote; None where it is not whole.

    Of several subgraphs the first is meant. Never raises.
    """
    lines = [line.rstrip("\r") for line in text.split("\n", _MAX_LINES)[:_MAX_LINES]]
    starts = [number for number, line in enumerate(lines) if line.endswith(_START)]
    # Without the first line the tables may be those of the start, which are no operators.
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
    # Rows are missing, or some are of another table.
    if sum(one.count for one in types) != int(executed[1]) or len(slowest) > int(executed[1]):
        return None
    names = {one.type for one in types}
    if len(names) < len(types) or {one.type for one in slowest} - names:
        return None
    table = OperatorTable(tuple(types), tuple(slowest))
    total_ms = table.total_ms
    # A share that its own time does not give is a number that was cut.
    if any(abs(one.percent * total_ms - 100 * one.avg_ms) > 0.05 * total_ms for one in types):
        return None
    return table if total_ms > 0 else None


def _rows(
    lines: Sequence[str], read: Callable[[list[str] | None, str, list[str]], _Row | None]
) -> list[_Row] | None:
    """The rows after a header, up to the blank line that ends the table."""
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
    yield None  # no blank line: the table is cut off


def _node_type(cells: list[str] | None, line: str, header: list[str]) -> NodeType | None:
    if cells is None:
        found = _CSV_TYPE.fullmatch(line)
        values = found.group(1, 2, 3, 4) if found else None
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
        found = _CSV_NODE.fullmatch(line)
        values = found.group(1, 9, 4, 8, 5) if found else None
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
