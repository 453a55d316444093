"""TFLite's official native benchmark: its flags, and a skeptical reader of what it prints.

The tool goes on after an unknown flag, falls back to the CPU without failing, prints statistics of
failed runs, and changed its lines over the years. A latency is returned only where every check
passed; else `problems` says why not. Streams: INFO and WARN are on stdout (with that prefix since
about 2.12), ERROR and FATAL on stderr, and so is what the runtime itself says.
Its source is tflite/tools/benchmark/ of google-ai-edge/LiteRT (tensorflow/lite/ before).
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
    """How long a tool runs; defaults are the tool's own."""

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
    """The tool's arguments; it runs until both `num_runs` and `min_secs` are reached.

    Args:
        graph: the model, on the phone.
        delegate: as `delegates.parse_delegate` reads it.
        threads: of the CPU.
        profile: whether each operator is timed. That slows the run, so that it gives no latency.
        runtime_info: a file on the phone for what `runtime_info` reads; only for builds that know
            the flag (`tools.has_flag`).
        **lengths: of the run.

    Raises:
        ZooError: an unknown delegate, or a number out of range.
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
    """Judges one run of the tool that was asked for `delegate`; never raises on any text.

    `info` is what the exported runtime information said, where it was asked for.
    """
    asked = parse_delegate(delegate)
    lines, errors = split_lines(stdout), split_lines(stderr)
    both = lines + errors
    voices = [] if info is None else [info]
    voices += [*replaced(both, asked), *explicit(lines, asked)]
    placement = Placement(level="none") if asked.kind == "none" and not info else agreed(voices)
    problems = refusals(both, stderr, exit_code)
    if any("benchmark_litert_model." in line for line in both):
        problems.append("this is LiteRT 2's benchmark_model; TFLite's official one is expected")
    latency = _latency(lines)
    # A failure explains missing figures and delegates; the lack of them is no further news.
    if exit_code == 0:
        problems += misplacement(both, asked, placement)
        problems += [latency] if isinstance(latency, str) else []
    backend = next((m[1] for line in both if (m := _BACKEND.fullmatch(line))), None)
    notes = {"gpu_backend": backend} if backend else {}
    return result(None if isinstance(latency, str) else latency, placement, problems, notes)


def _delegate_flags(delegate: Delegate) -> list[str]:
    if delegate.kind == "gpu":
        return ["--use_gpu=true"]
    if delegate.kind == "nnapi":
        # Its own CPU kernels would pass for an accelerator; older builds left them in.
        return ["--use_nnapi=true", "--disable_nnapi_cpu=true"]
    if delegate.kind == "external":
        flags = [f"--external_delegate_path={delegate.path}"]
        return flags + [f"--external_delegate_options={o}" for o in [delegate.options] if o]
    # XNNPACK is applied unless it is switched off, so plain kernels need the flag too.
    return [f"--use_xnnpack={'true' if delegate.kind == 'xnnpack' else 'false'}"]


def _latency(lines: Sequence[str]) -> Latency | str:
    loops = parse_loops(lines)
    if isinstance(loops, str):
        return loops
    regular, timings = loops.regular, parse_timings(loops.rest)
    if timings is None:
        return "benchmark_model's output lacks the line of inference timings (cut off?)"
    if abs(timings.avg_us - regular.avg_us) > 1e-3 * regular.avg_us + 1:
        return (
            f"benchmark_model contradicts itself: mean {regular.avg_us:g} and {timings.avg_us:g} µs"
        )
    first_us = timings.first_us
    if first_us is None:  # very old builds: the first warm-up run was the first of all
        first_us = (loops.warmup or regular).first_us
    return to_latency(regular, timings.init_us, first_us, memory_mb(lines))
