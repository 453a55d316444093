"""LiteRT 2's benchmark_model: its flags and a strict parser of its output.

It uses TFLite's benchmark loop with its `count=` lines on stdout, but prints neither `Inference
timings in us` nor `Explicitly applied …`. Its results are on stderr, in milliseconds with two
decimals: `INFO: [benchmark_litert_model.h:84] Model initialization: 23760.09 ms`. The source is
litert/tools/benchmark_litert_model.{h,cc} of google-ai-edge/LiteRT.

The GPU accelerator is a separate library (for example libLiteRtGpuAccelerator.so, see
litert/runtime/accelerators/gpu_registry.cc). Without it the tool warns, runs on the CPU and exits
with 0. Only the runtime's `Replacing N out of M node(s) with delegate (LITERT_CL) node` and the
exported runtime information show where the nodes ran.
The output does not reveal that builds of 2025 ignored --num_threads and did not wait for the GPU to
finish each inference.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Unpack

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
from android_bench.tools.placement import agreed, misplacement, replaced
from android_bench.tools.stat_lines import MAX_MB, MAX_US
from android_bench.tools.tflite import Lengths
from zoo.errors import ZooError
from zoo.schema.measurement import Latency, Placement

MARK = "benchmark_litert_model."
_WHERE = r"\[[\w./\\-]{0,200}benchmark_litert_model\.h:[0-9]{1,5}\] "
_MS = r"([0-9]{1,9}\.[0-9]{2})"
_INIT = re.compile(rf"{_WHERE}Model initialization: {_MS} ms")
_MEAN = re.compile(rf"{_WHERE}Inference \(avg\): +{_MS} ms \(([0-9]{{1,9}}) runs\)")
_PEAK = re.compile(rf"{_WHERE}Peak memory: +{_MS} MB")
_BACKEND = re.compile(r"\bInitializ(?:ed|ing) (OpenCL|OpenGL|WebGPU|Vulkan)-based API\b")
_NO_GPU = re.compile(r"GPU accelerator could not be (?:\w+ )?loaded and registered")
_ROUNDED_US = 5.0  # rounding error of 0.01 ms steps


def litert_flags(
    graph: str,
    delegate: str,
    threads: int,
    *,
    profile: bool = False,
    runtime_info: str = "",
    **lengths: Unpack[Lengths],
) -> list[str]:
    """Returns the tool's arguments; the parameters are those of `tflite.tool_flags`.

    Raises:
        ZooError: if the delegate is not supported or a number is out of range.
    """
    flags = loop_flags(graph, threads, **lengths) + _delegate_flags(parse_delegate(delegate))
    if profile:
        flags.append("--use_profiler=true")
    if runtime_info:
        flags.append(f"--model_runtime_info_output_file={runtime_info}")
    return flags


def parse_litert(
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
    lines = split_lines(stdout)
    both = lines + split_lines(stderr)
    placement = agreed([*([] if info is None else [info]), *replaced(both, requested)])
    problems = refusals(both, stderr, exit_code)
    latency = _latency(lines, both)
    if exit_code == 0:
        problems += _no_accelerator(both, requested, placement) or misplacement(
            both, requested, placement
        )
        problems += [latency] if isinstance(latency, str) else []
    backend = next((m[1] for line in both if (m := _BACKEND.search(line))), None)
    notes = {"gpu_backend": backend} if backend else {}
    return result(None if isinstance(latency, str) else latency, placement, problems, notes)


def _delegate_flags(delegate: Delegate) -> list[str]:
    if delegate.kind not in ("xnnpack", "gpu"):
        raise ZooError(
            f"LiteRT 2's benchmark_model does not support the delegate {delegate}",
            expected="xnnpack or gpu",
            got=delegate,
            remedy="use TFLite's benchmark_model for it (--tool=tflite)",
        )
    # The defaults differ between versions. As in TFLite's tool, the CPU runs the nodes that the GPU
    # does not take.
    flags = ["--use_cpu=true", "--use_npu=false", "--require_full_delegation=false"]
    return [*flags, f"--use_gpu={'true' if delegate.kind == 'gpu' else 'false'}"]


def _no_accelerator(lines: Sequence[str], requested: Delegate, placement: Placement) -> list[str]:
    if requested.kind != "gpu" or placement.level in ("full", "partial"):
        return []
    for line in lines:
        if _NO_GPU.search(line):
            return [f"the GPU was not used; the model ran on the CPU: {line.strip()}"]
    return []


def _latency(lines: Sequence[str], both: Sequence[str]) -> Latency | str:
    loops = parse_loops(lines)
    if isinstance(loops, str):
        return loops
    inits = {float(m[1]) for line in both if (m := _INIT.fullmatch(line))}
    means = {(float(m[1]), int(m[2])) for line in both if (m := _MEAN.fullmatch(line))}
    if len(inits) != 1 or len(means) != 1:
        return "benchmark_model's output contains no results (truncated or garbled?)"
    regular, init_us, (mean_ms, runs) = loops.regular, 1000 * inits.pop(), means.pop()
    # The mean in the `count=` line has 6 significant digits.
    if (
        runs != regular.count
        or init_us > MAX_US
        or abs(1000 * mean_ms - regular.avg_us) > 1e-5 * regular.avg_us + _ROUNDED_US + 1e-3
    ):
        return (
            f"benchmark_model contradicts itself: {regular.count} runs of {regular.avg_us:g} µs, "
            f"and {runs} of {mean_ms} ms"
        )
    if loops.warmup is None:
        return "benchmark_model's output contains no warm-up statistics (truncated or garbled?)"
    peaks = {float(m[1]) for line in both if (m := _PEAK.fullmatch(line))}
    peak_mb = peaks.pop() if len(peaks) == 1 else None
    plausible = peak_mb is not None and 0 < peak_mb < MAX_MB
    return to_latency(regular, init_us, loops.warmup.first_us, peak_mb if plausible else None)
