"""Sample output of the TFLite and LiteRT benchmark_model, and ways to corrupt it."""

from __future__ import annotations

import re

from hypothesis import strategies as st

from android_bench.tools.output import ToolResult
from zoo.schema.measurement import Latency

TFLITE = """\
INFO: STARTING!
INFO: Log parameter values verbosely: [0]
INFO: Graph: [/data/local/tmp/m]
INFO: Loaded model /data/local/tmp/m
INFO: GPU delegate created.
INFO: Initialized OpenCL-based API.
INFO: Explicitly applied GPU delegate, and the model graph will be completely executed by the \
delegate.
INFO: The input model file size (MB): 4.96
INFO: Initialized session in 12.3ms.
INFO: Running benchmark for at least 1 iterations and at least 0.5 seconds but terminate if \
exceeding 150 seconds.
INFO: count=33 first=20111 curr=15011 min=14890 max=20111 avg=15300.4 std=880 p5=14900 \
median=15005 p95=15160

INFO: Running benchmark for at least 50 iterations and at least 1 seconds but terminate if \
exceeding 150 seconds.
INFO: count=66 first=1510 curr=15011 min=1489 max=25400 avg=15010.2 std=80 p5=1490 median=1505 \
p95=15160

INFO: Inference timings in us: Init: 12300, First inference: 20111, Warmup (avg): 15300.4, \
Inference (avg): 15010.2
INFO: Memory footprint delta from the start of the tool (MB): init=8.1 overall=12.4
INFO: Overall peak memory footprint (MB) via periodic monitoring: 21.3
INFO: Memory status at the end of exeution:
INFO: - VmRSS              : 20 MB
"""
TFLITE_ERR = """\
INFO: Initialized TensorFlow Lite runtime.
INFO: Created TensorFlow Lite delegate for GPU.
VERBOSE: Replacing 31 out of 31 node(s) with delegate (TfLiteGpuDelegateV2) node, yielding 1 \
partitions for subgraph 0.
INFO: Created 1 GPU delegate kernels.
"""
LITERT = """\
INFO: STARTING!
INFO: Log parameter values verbosely: [0]
INFO: Num threads: [4]
INFO: The input model file size (MB): 0.23
INFO: Initialized session in 57.571ms.
INFO: Running benchmark for at least 1 iterations and at least 0.5 seconds but terminate if \
exceeding 150 seconds.
INFO: count=526 first=2125 curr=969 min=910 max=2125 avg=949.861 std=68 p5=915 median=939 p95=990

INFO: Running benchmark for at least 50 iterations and at least 1 seconds but terminate if \
exceeding 150 seconds.
INFO: count=1054 first=1015 curr=942 min=91 max=11020 avg=947.132 std=23 p5=91 median=94 p95=9910

"""
LITERT_ERR = """\
INFO: [benchmark_litert_model.cc:163] Loading model from: /data/local/tmp/m
INFO: [environment.cc:30] Creating LiteRT environment with options
WARNING: [npu_registry.cc:34] NPU accelerator could not be loaded and registered: \
kLiteRtStatusErrorInvalidArgument.
INFO: [gpu_registry.cc:109] Dynamically loaded GPU accelerator(libLiteRtGpuAccelerator.so) registered.
INFO: [cpu_registry.cc:42] XNNPACK CPU accelerator registered.
VERBOSE: Replacing 62 out of 62 node(s) with delegate (LITERT_CL) node, yielding 1 partitions for \
subgraph 0 (main).
INFO: [delegate_opencl.cc:420] Initializing OpenCL-based API from graph.
INFO: [./litert/tools/benchmark_litert_model.h:82] 
========== BENCHMARK RESULTS ==========
INFO: [./litert/tools/benchmark_litert_model.h:84] Model initialization: 57.57 ms
INFO: [./litert/tools/benchmark_litert_model.h:86] Warmup (first):       2.12 ms
INFO: [./litert/tools/benchmark_litert_model.h:88] Warmup (avg):         0.95 ms (526 runs)
INFO: [./litert/tools/benchmark_litert_model.h:90] Inference (avg):      0.95 ms (1054 runs)
INFO: [./litert/tools/benchmark_litert_model.h:94] Inference (min):      0.09 ms
INFO: [./litert/tools/benchmark_litert_model.h:114] Init footprint:       4.06 MB
INFO: [./litert/tools/benchmark_litert_model.h:121] Peak memory:          21.30 MB
INFO: [./litert/tools/benchmark_litert_model.h:126] ======================================

"""  # noqa: E501, W291

_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?")


@st.composite
def spoilt(draw: st.DrawFn, stdout: str, stderr: str) -> tuple[str, str]:
    """Draws both streams with cuts, lines broken, merged and inserted, and perhaps mixed."""
    out, err = stdout, stderr
    strays = [*stderr.splitlines(keepends=True), "\n", "\n\n", "WARN: hot\n", "INFO: ", " ", "\r"]
    for _ in range(draw(st.integers(0, 4))):
        text = err if draw(st.booleans()) else out
        at = draw(st.integers(0, len(text)))
        end = text.find("\n", at)
        kind = draw(st.sampled_from(["cut", "break", "stray", "merge"]))
        if kind == "cut":
            new = text[:at]
        elif kind == "merge" and end >= 0:
            new = text[:end] + text[end + 1 :]
        elif kind == "stray":
            new = text[:at] + draw(st.sampled_from(strays)) + text[at:]
        else:
            new = text[:at] + "\n" + text[at:]
        out, err = (out, new) if text is err else (new, err)
    if draw(st.booleans()):
        return out + err, ""  # some phones merge the two streams
    return out, err


def same_figures(latency: Latency, truth: Latency) -> bool:
    """Returns whether all figures equal the truth; only the memory may be missing."""
    peak = (None, truth.peak_memory_mb)
    without = {"peak_memory_mb"}
    alike = latency.model_dump(exclude=without) == truth.model_dump(exclude=without)
    return alike and latency.peak_memory_mb in peak


def sound(result: ToolResult, code: int, text: str) -> None:
    """Checks what must hold for any output: problems or figures, and only figures in the text."""
    assert (result.latency is None) == bool(result.problems)
    for problem in result.problems:
        assert problem.isprintable() and len(problem) <= 300
    if result.latency is None:
        return
    assert code == 0 and result.latency.avg_us > 0
    numbers = {float(token) for token in _NUMBER.findall(text)}
    numbers |= {1000 * number for number in numbers} | {0.0, 1.0}
    for name, value in result.latency.model_dump().items():
        assert value is None or float(value) in numbers, name
        assert value is None or 0 <= value <= 3.6e9
