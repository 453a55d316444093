"""TFLite's official native benchmark: its flags and a strict parser of its output.

The tool continues after an unknown flag, silently falls back to the CPU, prints statistics of
failed runs, and changed its output over the years. A latency is returned only if every check
passed; else `problems` lists the reasons. INFO and WARN lines are on stdout (with that prefix since
about 2.12), ERROR and FATAL lines and those of the runtime are on stderr. The source is
tflite/tools/benchmark/ of google-ai-edge/LiteRT (formerly tensorflow/lite/).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypedDict, Unpack

from android_bench.tools.delegates import Delegate, parse_delegate
from android_bench.tools.output import (
    ToolResult,
    loop_flags,
    parse_loops,
    refusals,
    result,
    split_lines,
    to_latency,
)
from android_bench.tools.placement import agreed, explicit, misplacement, replaced
from android_bench.tools.stat_lines import memory_mb, parse_timings
from zoo.schema.measurement import Latency, Placement

_BACKEND = re.compile(r"Initialized (OpenCL|OpenGL)-based API\.")


class Lengths(TypedDict, total=False):
    """Durations of a run, as in `output.loop_flags`; the defaults are those of the tool."""

    num_runs: int
    min_secs: float
    max_secs: float
    warmup_runs: int
    warmup_secs: float


def tool_flags(
    graph: str,
    delegate: str,
    threads: int,
    *,
    profile: bool = False,
    runtime_info: str = "",
    **lengths: Unpack[Lengths],
) -> list[str]:
    """Returns the tool's arguments; it runs until both `num_runs` and `min_secs` are reached.

    Args:
        graph: Path of the model on the phone.
        delegate: Delegate, as parsed by `delegates.parse_delegate`.
        threads: Number of CPU threads.
        profile: Whether to time each operator; profiled runs have no valid latency.
        runtime_info: Output file on the phone for the runtime information; empty for none. Only for
            builds that have the flag (`tool.has_flag`).
        **lengths: Durations of the run, see `Lengths`.

    Raises:
        ZooError: if the delegate is unknown or a number is out of range.
    """
    flags = loop_flags(graph, threads, **lengths) + _delegate_flags(parse_delegate(delegate))
    if profile:
        flags.append("--enable_op_profiling=true")
    if runtime_info:
        flags.append("--export_model_runtime_info=true")
        flags.append(f"--model_runtime_info_output_file={runtime_info}")
    return flags


def parse(
    stdout: str, stderr: str, exit_code: int, delegate: str, info: Placement | None = None
) -> ToolResult:
    """Parses and checks the output of one run; never raises, whatever the text.

    Args:
        stdout: Standard output.
        stderr: Standard error.
        exit_code: Exit code of the tool.
        delegate: Requested delegate.
        info: Placement from the exported runtime information; None if it was not exported.
    """
    requested = parse_delegate(delegate)
    lines, errors = split_lines(stdout), split_lines(stderr)
    both = lines + errors
    sources = [] if info is None else [info]
    sources += [*replaced(both, requested), *explicit(lines, requested)]
    unused = requested.kind == "none" and not info
    placement = Placement(level="none") if unused else agreed(sources)
    problems = refusals(both, stderr, exit_code)
    if any("benchmark_litert_model." in line for line in both):
        problems.append("the output is from LiteRT 2's benchmark_model instead of TFLite's")
    latency = _latency(lines)
    # A failed run has no results and no placement, so their absence is not reported as well.
    if exit_code == 0:
        problems += misplacement(both, requested, placement)
        problems += [latency] if isinstance(latency, str) else []
    backend = next((m[1] for line in both if (m := _BACKEND.fullmatch(line))), None)
    notes = {"gpu_backend": backend} if backend else {}
    return result(None if isinstance(latency, str) else latency, placement, problems, notes)


def _delegate_flags(delegate: Delegate) -> list[str]:
    if delegate.kind == "gpu":
        return ["--use_gpu=true"]
    if delegate.kind == "nnapi":
        # NNAPI's own CPU kernels would count as an accelerator; older builds leave them on.
        return ["--use_nnapi=true", "--disable_nnapi_cpu=true"]
    if delegate.kind == "external":
        flags = [f"--external_delegate_path={delegate.path}"]
        return flags + [f"--external_delegate_options={o}" for o in [delegate.options] if o]
    # XNNPACK is on by default, so plain kernels need the flag as well.
    return [f"--use_xnnpack={'true' if delegate.kind == 'xnnpack' else 'false'}"]


def _latency(lines: Sequence[str]) -> Latency | str:
    loops = parse_loops(lines)
    if isinstance(loops, str):
        return loops
    regular, timings = loops.regular, parse_timings(loops.rest)
    if timings is None:
        return "benchmark_model's output contains no inference timings (truncated?)"
    if abs(timings.avg_us - regular.avg_us) > 1e-3 * regular.avg_us + 1:
        return (
            f"benchmark_model contradicts itself: mean {regular.avg_us:g} and {timings.avg_us:g} µs"
        )
    first_us = timings.first_us
    if first_us is None:  # very old builds: the first warm-up run is the first inference
        first_us = (loops.warmup or regular).first_us
    return to_latency(regular, timings.init_us, first_us, memory_mb(lines))
