"""Every known line of benchmark_model, one case each: what is read of it, or why it is refused."""

from dataclasses import dataclass

import pytest

from android_bench.tools.tflite import parse, tool_flags
from tests.support.tool_samples import TFLITE, TFLITE_ERR
from zoo.schema.measurement import Latency

WARMUP = "INFO: Running benchmark for at least 1 iterations and at least 0.5 seconds but"
REGULAR = "INFO: Running benchmark for at least 1 iterations and at least 1 seconds but"
END = "terminate if exceeding 150 seconds."


def run_of(
    stats: str = "INFO: count=2 first=900 curr=1100 min=900 max=1100 avg=1000 std=100",
    timings: str = "INFO: Inference timings in us: Init: 12300, First inference: 20111, "
    "Warmup (avg): 15300.4, Inference (avg): 1000",
    before: str = "",
    after: str = "",
    warmup: str = "INFO: count=1 curr=20111",
) -> str:
    """A short run in the official form, with the line in question in its place."""
    return f"{before}\n{WARMUP} {END}\n{warmup}\n\n{REGULAR} {END}\n{stats}\n\n{timings}\n{after}\n"


def latency_of(text: str, delegate: str = "xnnpack") -> Latency:
    result = parse(text, "", 0, delegate)
    assert result.problems == ()
    assert result.latency is not None
    return result.latency


# Lines with figures: the line, and what must be read of it.


@dataclass(frozen=True)
class Figure:
    text: str
    figures: dict[str, float | None]


FIGURES = {
    "statistics": Figure(
        run_of(
            "INFO: count=66 first=15100 curr=15011 min=14890 max=15400 avg=15010.2 std=80 p5=14900 "
            "median=15005 p95=15160",
            "INFO: Inference timings in us: Init: 12300, First inference: 20111, "
            "Warmup (avg): 15300.4, Inference (avg): 15010.2",
        ),
        {
            "runs": 66, "min_us": 14890, "max_us": 15400, "avg_us": 15010.2, "std_us": 80,
            "p5_us": 14900, "median_us": 15005, "p95_us": 15160, "init_us": 12300,
            "first_us": 20111, "peak_memory_mb": None,
        },
    ),
    "without percentiles": Figure(run_of(), {"runs": 2, "avg_us": 1000, "median_us": None}),
    "one run": Figure(
        run_of(
            "INFO: count=1 curr=1223730",
            "INFO: Inference timings in us: Init: 5, First inference: 9, Warmup (avg): 9, "
            "Inference (avg): 1.22373e+06",
        ),
        {"runs": 1, "avg_us": 1223730, "min_us": 1223730, "max_us": 1223730, "std_us": 0},
    ),
    "all the same": Figure(
        run_of("INFO: count=5 curr=1000(all same)"), {"runs": 5, "avg_us": 1000, "std_us": 0}
    ),
    "six significant digits": Figure(
        run_of(
            "INFO: count=3 first=1223731 curr=1223732 min=1223731 max=1223734 "
            "avg=1.22373e+06 std=1",
            "INFO: Inference timings in us: Init: 5, First inference: 9, Warmup (avg): 9, "
            "Inference (avg): 1.22373e+06",
        ),
        {"runs": 3, "avg_us": 1223730, "min_us": 1223731, "max_us": 1223734},
    ),
    "very old timings": Figure(
        run_of(timings="Average inference timings in us: Warmup: 83235, Init: 38467, "
               "Inference: 1000"),
        {"init_us": 38467, "first_us": 20111, "avg_us": 1000},
    ),
    "no prefix, up to 2.12": Figure(run_of().replace("INFO: ", ""), {"avg_us": 1000}),
    "peak memory": Figure(
        run_of(after="INFO: Overall peak memory footprint (MB) via periodic monitoring: 21.3"),
        {"peak_memory_mb": 21.3},
    ),
    "memory, not its peak": Figure(
        run_of(
            after="INFO: Memory footprint delta from the start of the tool (MB): init=8.1 "
            "overall=12.4"
        ),
        {"peak_memory_mb": None},
    ),
    "size and start": Figure(
        run_of(
            before="INFO: The input model file size (MB): 4.96\n"
            "INFO: Initialized session in 12.3ms."
        ),
        {"init_us": 12300},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FIGURES)
def test_figures(name: str):
    latency = latency_of(FIGURES[name].text)
    for field, value in FIGURES[name].figures.items():
        assert getattr(latency, field) == value, field


# Lines on where it ran: (line on stdout, line on stderr, delegate) → level, kernels, or the reason.

APPLIED = "INFO: Explicitly applied {} delegate, and the model graph will be "
FULL = APPLIED + "completely executed by the delegate."
PARTLY = APPLIED + "partially executed by the delegate w/ 3 delegate kernels."
NOT = (
    "INFO: Though {} delegate is explicitly applied, the model graph will not be executed by the "
    "delegate."
)
QNN = "external:/data/local/tmp/libQnnTFLiteDelegate.so"
ACCELERATORS = [("gpu", "GPU"), ("nnapi", "NNAPI"), (QNN, "EXTERNAL")]


@pytest.mark.parametrize(("delegate", "name"), [*ACCELERATORS, ("xnnpack", "XNNPACK")])
def test_an_applied_delegate(delegate: str, name: str):
    full = parse(run_of(before=FULL.format(name)), "", 0, delegate)
    assert full.problems == () and full.placement.level == "full"
    part = parse(run_of(before=PARTLY.format(name)), "", 0, delegate)
    assert part.problems == ()
    assert (part.placement.level, part.placement.partitions) == ("partial", 3)
    nothing = parse(run_of(before=NOT.format(name)), "", 0, delegate)
    assert nothing.latency is None and "took none of the nodes" in nothing.problems[0]


@pytest.mark.parametrize(("delegate", "name"), ACCELERATORS)
def test_another_delegates_line_proves_nothing(delegate: str, name: str):
    other = {"GPU": "NNAPI", "NNAPI": "EXTERNAL", "EXTERNAL": "GPU"}[name]
    for line in ("", FULL.format("XNNPACK"), FULL.format(other), FULL.format(name)[:-30]):
        result = parse(run_of(before=line), "", 0, delegate)
        assert result.latency is None
        assert "the model may have run on the CPU" in result.problems[0]


@pytest.mark.parametrize(
    ("delegate", "line"),
    [
        ("gpu", "WARN: GPU acceleration is unsupported on this platform."),
        ("nnapi", "WARN: NNAPI acceleration is unsupported on this platform."),
        (QNN, "INFO: Unable to load external delegate from : /x.so (dlopen failed)"),
        ("gpu", "ERROR: Restored original execution plan after delegate application failure."),
    ],
)
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_fall_back_is_refused_whatever_else_is_said(delegate: str, line: str, stream: str):
    name = dict(ACCELERATORS)[delegate]
    out, err = (line, "") if stream == "stdout" else ("", line)
    result = parse(run_of(before=f"{FULL.format(name)}\n{out}"), err, 0, delegate)
    assert result.latency is None
    assert line.partition(": ")[2] in result.problems[0]


@pytest.mark.parametrize(
    ("line", "backend"),
    [
        ("INFO: Initialized OpenCL-based API.", "OpenCL"),
        (
            "INFO: Can not open OpenCL library on this device - dlopen failed\n"
            "INFO: Falling back to OpenGL\nINFO: Initialized OpenGL-based API.",
            "OpenGL",
        ),
    ],
)
def test_the_gpus_backend_is_noted(line: str, backend: str):
    result = parse(run_of(before=f"{line}\n{FULL.format('GPU')}"), "", 0, "gpu")
    assert result.problems == () and result.notes == {"gpu_backend": backend}


@pytest.mark.parametrize(
    "line",
    [
        "INFO: Created TensorFlow Lite XNNPACK delegate for CPU.",
        FULL.format("XNNPACK"),
        "VERBOSE: Replacing 1 out of 9 node(s) with delegate (TfLiteXNNPackDelegate) node, "
        "yielding 2 partitions for subgraph 0.",
    ],
)
def test_plain_kernels_must_be_plain(line: str):
    assert parse(run_of(), "", 0, "none").problems == ()
    for out, err in ((line, ""), ("", line)):
        result = parse(run_of(before=out), err, 0, "none")
        assert "although none was requested" in result.problems[0]
    assert parse(run_of(before=line), "", 0, "cpu").latency is None


REPLACING = "VERBOSE: Replacing {} node(s) with delegate ({}) node, yielding 1 partitions{}"


@pytest.mark.parametrize("end", ["", ".", " for the whole graph.", " for subgraph 0 (main)."])
def test_the_runtime_counts_nodes(end: str):
    line = REPLACING.format("20 out of 31", "TfLiteGpuDelegateV2", end)
    rest = REPLACING.format("9 out of 12", "TfLiteXNNPackDelegate", end)
    result = parse(run_of(before=PARTLY.format("GPU")), f"{line}\n{rest}\n", 0, "gpu")
    where = result.placement
    assert (where.level, where.nodes, where.delegated, where.partitions) == ("partial", 31, 20, 3)


@pytest.mark.parametrize(
    "line",
    [
        REPLACING.format("20 out of 31", "TfLiteGpuDelegateV2", "."),
        REPLACING.format("32 out of 31", "TfLiteGpuDelegateV2", "."),
    ],
)
def test_a_contradiction_proves_nothing(line: str):
    result = parse(run_of(before=FULL.format("GPU")), line, 0, "gpu")
    assert result.placement.level == "unknown" and result.latency is None


def test_xnnpack_takes_what_an_external_delegate_left():
    rest = REPLACING.format("9 out of 12", "TfLiteXNNPackDelegate", ".")
    assert parse(run_of(), rest, 0, QNN).latency is None
    line = REPLACING.format("20 out of 31", "TfLiteQnnDelegate", ".")
    result = parse(run_of(before=PARTLY.format("EXTERNAL")), f"{line}\n{rest}", 0, QNN)
    assert result.problems == () and result.placement.delegated == 20


def test_counts_that_are_of_something_else():
    for line in (
        REPLACING.format("20 out of 31", "TfLiteGpuDelegateV2", " for subgraph 1 (other)."),
        REPLACING.format("20", "TfLiteGpuDelegateV2", "."),
        "Replacing 20 out of 31 node(s) with delegate (TfLiteGpuDelegateV2",
    ):
        result = parse(run_of(before=FULL.format("GPU")), line, 0, "gpu")
        assert result.problems == () and result.placement.nodes is None


# Traps and errors


@pytest.mark.parametrize(
    "error",
    [
        "Failed to load model /data/local/tmp/m",
        "Failed to apply GPU delegate.",
        "Failed to apply NNAPI delegate.",
        "Failed to allocate tensors!",
        "Disallowed CPU fallback detected.",
        "Select TensorFlow op(s), included in the given model, is(are) not supported by this "
        "interpreter.",
        "Couldn't interpret value x for flag num_runs.",
    ],
)
def test_errors_are_the_reason(error: str):
    stderr = f"INFO: Initialized TensorFlow Lite runtime.\nERROR: {error}\n"
    result = parse("INFO: STARTING!\n", f"{stderr}ERROR: Benchmarking failed.\n", 1, "gpu")
    assert result.latency is None
    assert result.problems == (f"benchmark_model failed with exit code 1: ERROR: {error}",)


def test_statistics_of_failed_inferences():
    result = parse(TFLITE, f"{TFLITE_ERR}ERROR: Benchmarking failed.\n", 1, "gpu")
    assert result.latency is None and "Benchmarking failed" in result.problems[0]


def test_an_abort():
    result = parse(TFLITE, "FATAL: Cannot find the corresponding input_layer\n", 134, "gpu")
    assert "134 (SIGABRT): FATAL: Cannot find" in result.problems[0]


def test_an_unknown_flag_goes_on_and_is_refused():
    result = parse(f"WARN: Unconsumed cmdline flags: --num_thread=4\n{run_of()}", "", 0, "xnnpack")
    assert "does not know a flag" in result.problems[0]


def test_the_time_limit_ends_with_exit_0():
    text = run_of().replace(
        "at least 1 iterations and at least 1 s", "at least 50 iterations and s"
    )
    result = parse(text, "", 0, "xnnpack")
    assert "stopped at its time limit after 2 of 50 runs" in result.problems[0]


def test_a_profiled_run_gives_no_latency():
    table = f"{30 * '='} Run Order {30 * '='}"
    result = parse(run_of(after=table), "", 0, "xnnpack")
    assert result.latency is None and "profiled" in result.problems[0]


def test_statistics_without_the_blank_line_are_cut():
    many = "INFO: count=9 first=900 curr=900 min=900 max=20000 avg=1000 std=100 p5=900 median=950 "
    text = run_of(f"{many}p95=15160")
    assert latency_of(text).p95_us == 15160
    for broken in ("p95=1516\n0", "p95=1516\nWARN: hot"):
        result = parse(text.replace("p95=15160", broken), "", 0, "xnnpack")
        assert result.latency is None and "no valid statistics" in result.problems[0]


def test_peak_memory_that_is_cut_is_left_out():
    line = "INFO: Overall peak memory footprint (MB) via periodic monitoring: 21.3"
    assert latency_of(run_of(after=line.replace("21.3", "2\n1.3"))).peak_memory_mb is None
    assert latency_of(run_of(after=line).rstrip("\n")).peak_memory_mb is None


def test_the_sample_is_whole():
    result = parse(TFLITE, TFLITE_ERR, 0, "gpu")
    assert result.problems == ()
    assert result.placement.model_dump() == {
        "level": "full", "nodes": 31, "delegated": 31, "partitions": 1, "left": None,
        "refused": None, "accelerator": None,
    }  # fmt: skip


# Flags


@pytest.mark.parametrize(
    ("delegate", "flags"),
    [
        ("none", {"--use_xnnpack=false"}),
        ("cpu", {"--use_xnnpack=false"}),
        ("xnnpack", {"--use_xnnpack=true"}),
        ("gpu", {"--use_gpu=true"}),
        ("nnapi", {"--use_nnapi=true", "--disable_nnapi_cpu=true"}),
        ("external:/x/lib.so", {"--external_delegate_path=/x/lib.so"}),
        (
            "external:/x/lib.so?backend_type:htp;log_level:1;",
            {
                "--external_delegate_path=/x/lib.so",
                "--external_delegate_options=backend_type:htp;log_level:1",
            },
        ),
    ],
)
def test_delegates_flags(delegate: str, flags: set[str]):
    every = {"--use_xnnpack", "--use_gpu", "--use_nnapi", "--disable_nnapi_cpu",
             "--external_delegate_path", "--external_delegate_options"}  # fmt: skip
    found = {flag for flag in tool_flags("/m", delegate, 1) if flag.partition("=")[0] in every}
    assert found == flags


def test_flags_on_demand():
    plain = tool_flags("/m", "gpu", 1)
    more = tool_flags("/m", "gpu", 1, profile=True, runtime_info="/data/local/tmp/i.pb")
    assert set(more) - set(plain) == {
        "--enable_op_profiling=true",
        "--export_model_runtime_info=true",
        "--model_runtime_info_output_file=/data/local/tmp/i.pb",
    }
