"""Flags, output and failures that both benchmark_model tools have in common.

Both tools use the benchmark loop of tflite/tools/benchmark/benchmark_model.cc. It prints `Running
benchmark for at least …` and then one `count=` line, first for the warm-up and then for the regular
run.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from android_bench.tools.stat_lines import Stats, parse_stats
from zoo.errors import ZooError, one_line
from zoo.schema.measurement import Latency, Placement

MAX_LINES = 20_000
_RUNNING = re.compile(r"Running benchmark for at least (\d{1,9}) iterations?\b", re.ASCII)
_PREFIX = re.compile(r"^(VERBOSE|INFO|WARN|WARNING|ERROR|FATAL): ")
_CHATTER = ("VERBOSE: ", "INFO: ")
PROFILED = "the run was profiled, which slows inference, so its times are not valid latencies"
_PROFILED = re.compile(r"={10,} (Run Order|Summary by node type) ={10,}$")


@dataclass(frozen=True)
class ToolResult:
    """Parsed and checked output of one run of a tool.

    Attributes:
        latency: Latency; None unless every check passed.
        placement: Where the graph ran, as far as the output shows.
        problems: Reasons why there is no latency; empty if there is one.
        notes: Other values by name, for example the GPU backend.
    """

    latency: Latency | None
    placement: Placement
    problems: tuple[str, ...]
    notes: Mapping[str, str]


@dataclass(frozen=True)
class Loops:
    """The two loops of a run.

    Attributes:
        warmup: Statistics of the warm-up; None if missing or invalid.
        regular: Statistics of the regular run.
        rest: Lines after the start of the regular run.
    """

    warmup: Stats | None
    regular: Stats
    rest: Sequence[str]


def loop_flags(
    graph: str,
    threads: int,
    *,
    num_runs: int = 50,
    min_secs: float = 1.0,
    max_secs: float = 150.0,
    warmup_runs: int = 1,
    warmup_secs: float = 0.5,
) -> list[str]:
    """Returns the arguments that both tools take.

    Args:
        graph: Path of the model on the phone.
        threads: Number of CPU threads.
        num_runs: Minimum number of inferences.
        min_secs: Minimum duration of the regular run in seconds.
        max_secs: Maximum duration in seconds.
        warmup_runs: Minimum number of warm-up inferences.
        warmup_secs: Minimum duration of the warm-up in seconds.

    Raises:
        ZooError: if a number is out of range.
    """
    for name, value, least in (
        ("threads", threads, 1),
        ("num_runs", num_runs, 1),
        ("min_secs", min_secs, 0),
        ("max_secs", max_secs, min_secs),
        ("warmup_runs", warmup_runs, 1),
        ("warmup_secs", warmup_secs, 0),
    ):
        if not least <= value < 1e6:
            raise ZooError(f"{name} is out of range", expected=f"at least {least}", got=value)
    return [
        f"--graph={graph}",
        f"--num_threads={threads}",
        f"--num_runs={num_runs}",
        f"--min_secs={min_secs:g}",
        f"--max_secs={max_secs:g}",
        f"--warmup_runs={warmup_runs}",
        f"--warmup_min_secs={warmup_secs:g}",
        "--report_peak_memory_footprint=true",
    ]


def split_lines(text: str) -> list[str]:
    """Splits text into at most `MAX_LINES` lines without their log level prefix (`INFO: ` etc.)."""
    return [_PREFIX.sub("", line.rstrip()) for line in text.split("\n", MAX_LINES)[:MAX_LINES]]


def refusals(lines: Iterable[str], stderr: str, exit_code: int) -> list[str]:
    """Returns reasons to reject the output: a failed run, unknown flags or profiling.

    Args:
        lines: Lines of both streams from `split_lines`.
        stderr: Standard error; its first error explains a failure.
        exit_code: Exit code of the tool.
    """
    problems = []
    if exit_code != 0:
        errors = [line for line in stderr.split("\n", MAX_LINES)[:MAX_LINES] if line.strip()]
        errors = [line for line in errors if not line.startswith(_CHATTER)]
        marked = [line for line in errors if line.startswith(("ERROR", "FATAL"))]
        message = (marked or errors or [""])[0].strip()
        problems.append(
            f"benchmark_model failed with {_exit_name(exit_code)}"
            + (f": {one_line(message, 200)}" if message else "")
        )
    for line in lines:
        if "Unconsumed cmdline flags" in line:
            problems.append(f"benchmark_model does not know a flag: {line.strip()}")
        elif _PROFILED.search(line):
            problems.append(PROFILED)
    return problems


def parse_loops(lines: Sequence[str]) -> Loops | str:
    """Returns the statistics of both loops, or the reason why they are invalid."""
    starts = [(i, int(m[1])) for i, line in enumerate(lines) if (m := _RUNNING.match(line))]
    if len(starts) != 2:
        reason = "no regular run" if len(starts) < 2 else "more than one run"
        return f"benchmark_model's output contains {reason} (truncated or garbled?)"
    (warmup_at, _), (regular_at, requested) = starts
    rest = lines[regular_at + 1 :]
    regular = parse_stats(rest)
    if regular is None:
        return "benchmark_model's output contains no valid statistics (truncated or garbled?)"
    if regular.count < requested:
        return (
            f"stopped at its time limit after {regular.count} of {requested} runs "
            f"(mean {regular.avg_us:g} µs): raise the time limit"
        )
    return Loops(parse_stats(lines[warmup_at + 1 : regular_at]), regular, rest)


def to_latency(stats: Stats, init_us: float, first_us: float, peak_mb: float | None) -> Latency:
    """Converts the statistics of the regular loop to the latency of one process."""
    return Latency(
        runs=stats.count,
        processes=1,
        init_us=init_us,
        first_us=first_us,
        avg_us=stats.avg_us,
        min_us=stats.min_us,
        max_us=stats.max_us,
        std_us=stats.std_us,
        median_us=stats.median_us,
        p5_us=stats.p5_us,
        p95_us=stats.p95_us,
        peak_memory_mb=peak_mb,
    )


def result(
    latency: Latency | None, placement: Placement, problems: Iterable[str], notes: dict[str, str]
) -> ToolResult:
    """Returns a result that has the latency only if there are no problems."""
    clean = tuple(dict.fromkeys(one_line(problem, 300) for problem in problems))
    return ToolResult(None if clean else latency, placement, clean, notes)


def _exit_name(code: int) -> str:
    if code == 126:
        return "exit code 126 (not executable on this phone: built for another processor?)"
    if code == 127:
        return "exit code 127 (not found, or its dynamic loader is missing on this phone)"
    if 128 < code < 128 + 65:
        try:
            name = signal.Signals(code - 128).name
        except ValueError:
            name = f"signal {code - 128}"
        hint = ", out of memory?" if name == "SIGKILL" else ""
        return f"exit code {code} ({name}{hint})"
    return f"exit code {code}"
