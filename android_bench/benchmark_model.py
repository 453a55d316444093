"""TFLite's official native benchmark: its flags, and a sceptical reader of what it prints.

The tool goes on after an unknown flag, falls back to the CPU without failing, prints statistics of
failed runs, and changed its lines over the years. A latency is returned only where every check
passed; else `problems` says why not. Streams: INFO and WARN are on stdout (with that prefix since
about 2.12), ERROR and FATAL on stderr.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from android_bench.benchmark_stats import Stats, memory_mb, parse_stats, parse_timings
from zoo.errors import UnknownNameError, ZooError, one_line
from zoo.types import Latency, Placement

# XNNPACK is applied unless it is switched off, so plain kernels need the flag too.
DELEGATES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "none": ("--use_xnnpack=false",),
        "xnnpack": ("--use_xnnpack=true",),
        "gpu": ("--use_gpu=true",),
    }
)
_DELEGATE_NAMES = {"xnnpack": "XNNPACK", "gpu": "GPU"}
_RUNNING = re.compile(r"Running benchmark for at least (\d{1,9}) iterations?\b")
_APPLIED = re.compile(r"Explicitly applied \w+ delegate|Created TensorFlow Lite XNNPACK delegate")
_PREFIX = re.compile(r"^(INFO|WARN|WARNING|ERROR|FATAL): ")
_MAX_LINES = 20_000


@dataclass(frozen=True)
class ToolResult:
    """What a run of the tool is worth.

    Attributes:
        latency: None unless every check passed.
        placement: where the graph ran, so far as the tool said.
        problems: why there is no latency; empty exactly where there is one.
        notes: further facts, such as the GPU backend.
    """

    latency: Latency | None
    placement: Placement
    problems: tuple[str, ...]
    notes: Mapping[str, str]


def tool_flags(
    graph: str,
    delegate: str,
    threads: int,
    *,
    num_runs: int = 50,
    min_secs: float = 1.0,
    max_secs: float = 150.0,
    warmup_runs: int = 1,
    warmup_secs: float = 0.5,
) -> list[str]:
    """The tool's arguments; it runs until both `num_runs` and `min_secs` are reached.

    Raises:
        ZooError: an unknown delegate, or a number out of range.
    """
    if delegate not in DELEGATES:
        raise UnknownNameError("delegate on a phone", delegate, DELEGATES)
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
        *DELEGATES[delegate],
        f"--num_runs={num_runs}",
        f"--min_secs={min_secs:g}",
        f"--max_secs={max_secs:g}",
        f"--warmup_runs={warmup_runs}",
        f"--warmup_min_secs={warmup_secs:g}",
        "--report_peak_memory_footprint=true",
    ]


def parse(stdout: str, stderr: str, exit_code: int, delegate: str) -> ToolResult:
    """Judges one run of the tool that was asked for `delegate`; never raises on any text."""
    lines = [_PREFIX.sub("", line.rstrip()) for line in stdout.split("\n")[:_MAX_LINES]]
    placement = _placement(lines, delegate)
    problems = _refusals(lines, stderr, exit_code)
    latency, doubts = _latency(lines)
    # A failure explains missing figures and delegates; the lack of them is no further news.
    if exit_code == 0:
        both = lines + stderr.split("\n")[:_MAX_LINES]
        problems += [*_misplacement(both, delegate, placement), *doubts]
    return ToolResult(
        latency=None if problems else latency,
        placement=placement,
        problems=tuple(dict.fromkeys(one_line(problem, 300) for problem in problems)),
        notes=_notes(lines),
    )


def _refusals(lines: list[str], stderr: str, exit_code: int) -> list[str]:
    """Reasons to believe no figure, whatever was printed."""
    problems = []
    if exit_code != 0:
        errors = [line for line in stderr.split("\n")[:_MAX_LINES] if line.strip()]
        marked = [line for line in errors if line.startswith(("ERROR", "FATAL"))]
        said = (marked or errors or [""])[0].strip()
        problems.append(
            f"benchmark_model failed with {_exit_name(exit_code)}"
            + (f": {one_line(said, 200)}" if said else "")
        )
    for line in lines:
        if "Unconsumed cmdline flags" in line:
            problems.append(f"benchmark_model does not know a flag: {line.strip()}")
    if "benchmark_litert_model." in stderr or any("benchmark_litert_model." in x for x in lines):
        problems.append("this is LiteRT 2's benchmark_model; TFLite's official one is expected")
    return problems


def _exit_name(code: int) -> str:
    if code == 126:
        return "exit code 126 (not executable here: made for another processor?)"
    if code == 127:
        return "exit code 127 (not found, or its loader is missing on this phone)"
    if 128 < code < 128 + 65:
        try:
            name = signal.Signals(code - 128).name
        except ValueError:
            name = f"signal {code - 128}"
        hint = ", out of memory?" if name == "SIGKILL" else ""
        return f"exit code {code} ({name}{hint})"
    return f"exit code {code}"


def _placement(lines: list[str], delegate: str) -> Placement:
    if delegate not in _DELEGATE_NAMES:
        return Placement(level="none")
    name = _DELEGATE_NAMES[delegate]
    said: set[Placement] = set()
    for line in lines:
        applied = re.fullmatch(
            rf"Explicitly applied {name} delegate, and the model graph will be (completely|"
            r"partially) executed by the delegate(?: w/ (\d{1,6}) delegate kernels?)?\.?",
            line,
        )
        if applied is not None:
            partitions = int(applied[2]) if applied[2] else None
            level: Literal["full", "partial"] = "full" if applied[1] == "completely" else "partial"
            said.add(Placement(level=level, partitions=partitions))
        elif line.startswith(f"Though {name} delegate is explicitly applied, the model graph will"):
            said.add(Placement(level="none", partitions=0))
    # Silence and contradictions are both no answer.
    return said.pop() if len(said) == 1 else Placement(level="unknown")


def _misplacement(lines: list[str], delegate: str, placement: Placement) -> list[str]:
    """Why the figures would not be the delegate's."""
    if delegate == "gpu":
        for line in lines:
            if "GPU acceleration is unsupported" in line:
                return [f"the GPU was not used, the model ran on the CPU: {line.strip()}"]
        if placement.level == "none":
            return ["the GPU took no part of the model, it ran on the CPU"]
        if placement.level == "unknown":
            return ["nothing says that the GPU was used; the model may have run on the CPU"]
    if delegate == "xnnpack" and placement.level == "none":
        return ["XNNPACK took no part of the model, it ran on plain kernels"]
    applied = [line for line in lines if _APPLIED.search(line)]
    if delegate == "none" and applied:
        return [f"a delegate was used though none was asked for: {applied[0]}"]
    return []


def _latency(lines: list[str]) -> tuple[Latency | None, list[str]]:
    starts = [(i, int(m[1])) for i, line in enumerate(lines) if (m := _RUNNING.match(line))]
    if len(starts) != 2:
        reason = "no regular run" if len(starts) < 2 else "more than one run"
        return None, [f"benchmark_model's output shows {reason} (cut off, or mixed up?)"]
    (warmup_at, _), (regular_at, asked) = starts
    warmup = parse_stats(lines[warmup_at + 1 : regular_at])
    regular = parse_stats(lines[regular_at + 1 :])
    if regular is None:
        return None, ["benchmark_model's output has no sane statistics (cut off, or mixed up?)"]
    if regular.count < asked:
        return None, [
            f"stopped at its time limit after {regular.count} of {asked} runs "
            f"(mean {regular.avg_us:g} µs): raise the time limit"
        ]
    timings = parse_timings(lines[regular_at + 1 :])
    if timings is None:
        return None, ["benchmark_model's output lacks the line of inference timings (cut off?)"]
    if abs(timings.avg_us - regular.avg_us) > 1e-3 * regular.avg_us + 1:
        return None, [
            f"benchmark_model contradicts itself: mean {regular.avg_us:g} and {timings.avg_us:g} µs"
        ]
    first_us = timings.first_us
    if first_us is None:  # very old builds: the first warm-up run was the first of all
        first_us = (warmup or regular).first_us
    return _to_latency(regular, timings.init_us, first_us, memory_mb(lines)), []


def _to_latency(stats: Stats, init_us: float, first_us: float, peak_mb: float | None) -> Latency:
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


def _notes(lines: list[str]) -> dict[str, str]:
    for line in lines:
        backend = re.fullmatch(r"Initialized (OpenCL|OpenGL)-based API\.", line)
        if backend is not None:
            return {"gpu_backend": backend[1]}
    return {}
