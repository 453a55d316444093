"""The tables of a profiled run, in the official format.

LiteRT's interpreter does not time single operators, so the shares of the operators are made up. The
total is the measured time.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from .graph import XNNPACK, Graph


@dataclass(frozen=True)
class Row:
    kind: str
    name: str
    us: int


def profile(
    graph: Graph,
    delegate: str,
    kernels: tuple[tuple[int, ...], ...],
    times_us: list[int],
    csv: bool,
) -> list[str]:
    """Returns the lines after the heading, for the graph and for the operators inside XNNPACK."""
    mean = max(1, round(sum(times_us) / max(1, len(times_us))))
    taken = {node for kernel in kernels for node in kernel}
    names = [(delegate, f"[part]:{len(graph.nodes) + k}") for k in range(len(kernels))]
    names += [
        (n.name, f"[{n.name.lower()}]:{i}") for i, n in enumerate(graph.nodes) if i not in taken
    ]
    lines = _tables(_shared(names, mean), len(times_us), csv)
    if delegate == XNNPACK and kernels:
        inner = [("Convolution (NHWC, F32) IGEMM", "Delegate/Convolution (NHWC, F32) IGEMM:0")]
        inner += [("Softmax (NC, F32)", "Delegate/Softmax (NC, F32):1")]
        lines += ["Delegate internal: ", *_tables(_shared(inner, mean), len(times_us), csv)]
    return lines


def write_profile(lines: list[str], path: str) -> None:
    """Writes a profile to a file, or to stdout as one log message if `path` is empty."""
    text = "Operator-wise Profiling Info for Regular Benchmark Runs:\n" + "\n".join(lines) + "\n"
    if path:
        Path(path).write_text(text)
    else:
        sys.stdout.write(f"INFO: {text}\n")
        sys.stdout.flush()


def _shared(names: list[tuple[str, str]], total_us: int) -> list[Row]:
    weights = [len(names) - k for k in range(len(names))]
    return [
        Row(kind, name, total_us * weight // sum(weights))
        for (kind, name), weight in zip(names, weights, strict=True)
    ]


def _tables(rows: list[Row], runs: int, csv: bool) -> list[str]:
    total = sum(row.us for row in rows) or 1
    slow = sorted(rows, key=lambda row: -row.us)
    lines = [*_nodes("Run Order", rows, total, csv)]
    lines += [*_nodes("Top by Computation Time", slow[:10], total, csv)]
    lines += [f"Number of nodes executed: {len(rows)}", _title("Summary by node type")]
    if csv:
        lines.append("node type, count, avg_ms, avg %, cdf %, mem KB, times called")
    else:
        lines.append(
            f"\t{'[Node type]':>24}\t{'[count]':>9}\t{'[avg ms]':>10}\t{'[avg %]':>11}\t"
            f"{'[cdf %]':>11}\t{'[mem KB]':>10}\t{'[times called]':>10}"
        )
    kinds: dict[str, list[int]] = {}
    for row in rows:
        kinds.setdefault(row.kind, []).append(row.us)
    done = 0
    for kind, times in sorted(kinds.items(), key=lambda item: -sum(item[1])):
        done += sum(times)
        share, cdf, ms = 100 * sum(times) / total, 100 * done / total, sum(times) / 1000
        if csv:
            lines.append(f"{kind}, {len(times)}, {ms:g}, {share:g}%, {cdf:g}%, 0, {len(times)}")
        else:
            lines.append(
                f"\t{kind:>24}\t{len(times):>9}\t{ms:>10.3f}\t{share:>10.3f}%\t{cdf:>10.3f}%\t"
                f"{0:>10.3f}\t{len(times):>9}"
            )
    summary = f"Timings (microseconds): count={runs} curr={total}"
    return [*lines, "", summary, "Memory (bytes): count=0", f"{len(rows)} nodes observed", ""]


def _nodes(title: str, rows: list[Row], total: int, csv: bool) -> list[str]:
    lines = [_title(title)]
    if csv:
        lines.append("node type, first, avg_ms, %, cdf%, mem KB, times called, name")
    else:
        lines.append(
            f"\t{'[node type]':>24}\t{'[first]':>9}\t{'[avg ms]':>9}\t{'[%]':>8}\t{'[cdf%]':>8}\t"
            f"{'[mem KB]':>10}\t{'[times called]':>9}\t[Name]"
        )
    done = 0
    for row in rows:
        done += row.us
        share, cdf, ms = 100 * row.us / total, 100 * done / total, row.us / 1000
        if csv:
            lines.append(f"{row.kind}, {ms:g}, {ms:g}, {share:g}%, {cdf:g}%, 0, 1, {row.name}")
        else:
            lines.append(
                f"\t{row.kind:>24}\t{ms:>9.3f}\t{ms:>9.3f}\t{share:>7.3f}%\t{cdf:>7.3f}%\t"
                f"{0:>10.3f}\t{1:>9}\t{row.name}"
            )
    return [*lines, ""]


def _title(text: str) -> str:
    return f"============================== {text} =============================="
