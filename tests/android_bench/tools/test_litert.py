"""LiteRT 2's tool: every known line, everything that must be refused, and spoilt output of both."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from android_bench.tools import tflite
from android_bench.tools.litert import litert_flags, parse_litert
from tests.support.tool_samples import (
    LITERT,
    LITERT_ERR,
    TFLITE,
    TFLITE_ERR,
    same_figures,
    sound,
    spoilt,
)
from zoo.errors import ZooError

XNNPACK = (
    "Replacing 62 out of 62 node(s) with delegate (TfLiteXNNPackDelegate) node, yielding 1 "
    "partitions"
)
ON_CPU = LITERT_ERR.replace("LITERT_CL", "TfLiteXNNPackDelegate")


def test_the_whole_form():
    result = parse_litert(LITERT, LITERT_ERR, 0, "gpu")
    assert result.problems == ()
    assert result.notes == {"gpu_backend": "OpenCL"}
    assert (result.placement.level, result.placement.nodes) == ("full", 62)
    latency = result.latency
    assert latency is not None
    assert latency.model_dump(exclude_none=True) == {
        "runs": 1054, "processes": 1, "init_us": 57570, "first_us": 2125, "avg_us": 947.132,
        "min_us": 91, "max_us": 11020, "std_us": 23, "median_us": 94, "p5_us": 91, "p95_us": 9910,
        "peak_memory_mb": 21.3,
    }  # fmt: skip


def test_the_first_published_form():
    """File names without a path, no percentiles, no peak memory."""
    out = re.sub(r" p5=\d+ median=\d+ p95=\d+", "", LITERT)
    err = LITERT_ERR.replace("./litert/tools/", "").replace(
        "Peak memory:          21.30 MB", "Peak memory usage not available. (peak_mem_mb <= 0)"
    )
    latency = parse_litert(out, err, 0, "gpu").latency
    assert latency is not None
    assert latency.median_us is None and latency.peak_memory_mb is None


def test_degenerate_statistics():
    out = re.sub(r"count=1054 .*", "count=1 curr=950", LITERT).replace("at least 50", "at least 1")
    err = LITERT_ERR.replace("1054 runs", "1 runs")
    latency = parse_litert(out, err, 0, "gpu").latency
    assert latency is not None
    assert (latency.runs, latency.min_us, latency.max_us, latency.std_us) == (1, 950, 950, 0)


def test_merged_streams():
    result = parse_litert(LITERT + LITERT_ERR, "", 0, "gpu")
    assert result.problems == () and result.latency is not None


# Where it ran


@pytest.mark.parametrize(
    "name", ["LITERT_CL", "LITERT_GL", "LITERT_WEBGPU", "ML_DRIFT_CL", "TfLiteGpuDelegateV2"]
)
def test_names_of_the_gpu(name: str):
    assert parse_litert(LITERT, LITERT_ERR.replace("LITERT_CL", name), 0, "gpu").problems == ()


def test_a_part_on_the_gpu():
    rest = XNNPACK.replace("62 out of 62", "10 out of 15")
    err = LITERT_ERR.replace("62 out of 62", "48 out of 62") + f"VERBOSE: {rest}\n"
    result = parse_litert(LITERT, err, 0, "gpu")
    assert result.problems == ()
    assert (result.placement.level, result.placement.delegated) == ("partial", 48)
    assert result.placement.partitions is None


@pytest.mark.parametrize(
    "stderr",
    [
        ON_CPU,
        LITERT_ERR.replace("LITERT_CL", "DispatchDelegate"),
        LITERT_ERR.replace("Replacing", "Replaced"),
        LITERT_ERR.replace("62 out of 62", "70 out of 62"),
        LITERT_ERR.replace("subgraph 0", "subgraph 1"),
        LITERT_ERR + "VERBOSE: Replacing 3 out of 62 node(s) with delegate (LITERT_CL) node, "
        "yielding 2 partitions\n",
        LITERT_ERR + "ERROR: Restored original execution plan after delegate application failure.",
    ],
)
def test_the_cpu_never_passes_for_the_gpu(stderr: str):
    result = parse_litert(LITERT, stderr, 0, "gpu")
    assert result.latency is None
    assert "the GPU" in result.problems[0] or "delegate" in result.problems[0]


@pytest.mark.parametrize(
    "line",
    [
        "WARNING: [gpu_registry.cc:131] GPU accelerator could not be loaded and registered.",
        "INFO: [litert/runtime/accelerators/auto_registration.cc:59] GPU accelerator could not be "
        "dynamically loaded and registered: ERROR: [x.cc:92]",
    ],
)
def test_a_missing_gpu_library_is_the_reason(line: str):
    result = parse_litert(LITERT, f"{line}\n{ON_CPU}", 0, "gpu")
    assert result.latency is None
    assert "the GPU was not used" in result.problems[0] and "could not be" in result.problems[0]
    # The same warning is no matter on the CPU.
    assert parse_litert(LITERT, f"{line}\n{ON_CPU}", 0, "xnnpack").problems == ()


def test_xnnpack():
    result = parse_litert(LITERT, ON_CPU, 0, "xnnpack")
    assert result.problems == () and result.placement.level == "full"
    silent = parse_litert(LITERT, LITERT_ERR.replace("Replacing", "x"), 0, "xnnpack")
    assert silent.latency is not None and silent.placement.level == "unknown"
    other = parse_litert(LITERT, LITERT_ERR, 0, "xnnpack")
    assert other.latency is None and "another delegate was used" in other.problems[0]


# What must be refused


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Model initialization: 57.57 ms", "Model initialization: nan ms"),
        ("Model initialization: 57.57 ms", "Model initialization: -5.00 ms"),
        ("Model initialization: 57.57 ms", "Model initialization: 57.5"),
        ("Inference (avg):      0.95 ms (1054 runs)", "Inference (avg):      0.97 ms (1054 runs)"),
        ("Inference (avg):      0.95 ms (1054 runs)", "Inference (avg):      0.95 ms (1053 runs)"),
        ("Inference (avg):      0.95 ms (1054 runs)", "No inference runs were performed."),
        ("90] Inference (avg):", "90] Inference"),
        ("benchmark_litert_model.h", "benchmark_other_model.h"),
    ],
)
def test_missing_or_contradicting_results_are_refused(old: str, new: str):
    assert old in LITERT_ERR
    assert parse_litert(LITERT, LITERT_ERR.replace(old, new), 0, "gpu").latency is None


def test_two_runs_in_one_output_are_refused():
    assert parse_litert(LITERT * 2, LITERT_ERR, 0, "gpu").latency is None
    other = LITERT_ERR.replace("57.57", "58.57")
    assert parse_litert(LITERT, LITERT_ERR + other, 0, "gpu").latency is None


def test_tflites_own_output_is_refused():
    result = parse_litert(TFLITE, TFLITE_ERR, 0, "gpu")
    assert result.latency is None and "contains no results" in result.problems[0]
    assert tflite.parse(LITERT, LITERT_ERR, 0, "gpu").latency is None


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (1, "[benchmark_litert_model.cc:164] Failed to load model."),
        (1, "[benchmark_litert_model.cc:181] Failed to compile model."),
        (134, "Requesting full delegation and CPU acceleration are incompatible."),
    ],
)
def test_a_failed_run(code: int, error: str):
    result = parse_litert(LITERT, f"{LITERT_ERR}ERROR: {error}\n", code, "gpu")
    assert result.latency is None
    assert error in result.problems[0] and f"exit code {code}" in result.problems[0]


def test_an_unknown_flag_and_a_profile():
    out = f"WARN: Unconsumed cmdline flags: --use_xnnpack=true\n{LITERT}"
    assert "--use_xnnpack" in parse_litert(out, LITERT_ERR, 0, "gpu").problems[0]
    profiled = f"{LITERT_ERR}\n{30 * '='} Summary by node type {30 * '='}\n"
    assert "profiled" in parse_litert(LITERT, profiled, 0, "gpu").problems[0]


# Any text, and spoilt text, of both lines

TOOLS = {
    "tflite": (tflite.parse, TFLITE, TFLITE_ERR),
    "litert": (parse_litert, LITERT, LITERT_ERR),
}
DELEGATES = ["none", "cpu", "xnnpack", "gpu", "nnapi", "external:/x.so"]
PIECES = st.sampled_from(
    [
        *TFLITE.splitlines(), *TFLITE_ERR.splitlines(), *LITERT.splitlines(),
        *LITERT_ERR.splitlines(), "", "count=", "e+06", "INFO: ", "\x00", "٣", " ms", "1054 runs",
        "INFO: [benchmark_litert_model.h:90] Inference (avg): 1e9 ms (1 runs)", XNNPACK,
        "count=1 curr=1000", "count=5 curr=1e+99", "INFO: Model initialization: 5.76 ms",
    ]
)  # fmt: skip


@pytest.mark.parametrize("line", TOOLS)
@settings(deadline=None)  # the machine may be busy
@given(data=st.data())
def test_spoilt_output_gives_the_true_figures_or_none(line: str, data: st.DataObject):
    parse, stdout, stderr = TOOLS[line]
    truth = parse(stdout, stderr, 0, "gpu").latency
    assert truth is not None
    out, err = data.draw(spoilt(stdout, stderr))
    result = parse(out, err, 0, "gpu")
    sound(result, 0, out + "\n" + err)
    if result.latency is not None:
        assert same_figures(result.latency, truth)
        assert result.placement.level == "full"


@pytest.mark.parametrize("line", TOOLS)
def test_cut_off_or_broken_anywhere(line: str):
    parse, stdout, stderr = TOOLS[line]
    truth = parse(stdout, stderr, 0, "gpu").latency
    assert truth is not None
    for at in range(len(stdout)):
        for out in (stdout[:at], stdout[:at] + "\n" + stdout[at:]):
            latency = parse(out, stderr, 0, "gpu").latency
            assert latency is None or same_figures(latency, truth), out[at - 20 : at + 20]
    for at in range(0, len(stderr)):
        for err in (stderr[:at], stderr[:at] + "\n" + stderr[at:]):
            latency = parse(stdout, err, 0, "gpu").latency
            assert latency is None or same_figures(latency, truth), err[at - 20 : at + 20]


@pytest.mark.parametrize("line", TOOLS)
@given(st.text(), st.text(), st.integers(0, 255), st.sampled_from(DELEGATES))
def test_any_text(line: str, stdout: str, stderr: str, code: int, delegate: str):
    sound(TOOLS[line][0](stdout, stderr, code, delegate), code, stdout + "\n" + stderr)


@pytest.mark.parametrize("line", TOOLS)
@given(
    st.lists(PIECES | st.text(max_size=20), max_size=40),
    st.lists(PIECES, max_size=25),
    st.integers(0, 1),
    st.sampled_from(DELEGATES),
)
def test_any_order_of_lines(
    line: str, stdout: list[str], stderr: list[str], code: int, delegate: str
):
    out, err = "\n".join(stdout), "\n".join(stderr)
    sound(TOOLS[line][0](out, err, code, delegate), code, out + "\n" + err)


# Flags


def test_flags():
    common = {"--use_npu=false", "--require_full_delegation=false", "--use_cpu=true"}
    gpu = litert_flags("/m", "gpu", 4, num_runs=7)
    assert gpu[0] == "--graph=/m" and {"--num_threads=4", "--num_runs=7"} <= set(gpu)
    assert common | {"--use_gpu=true"} <= set(gpu)
    assert common | {"--use_gpu=false"} <= set(litert_flags("/m", "xnnpack", 1))
    more = litert_flags("/m", "gpu", 4, num_runs=7, profile=True, runtime_info="/i.pb")
    assert set(more) - set(gpu) == {
        "--use_profiler=true",
        "--model_runtime_info_output_file=/i.pb",
    }
    assert not any("xnnpack" in flag or "external" in flag for flag in more)


@pytest.mark.parametrize("delegate", ["none", "cpu", "nnapi", "external:/x.so"])
def test_delegates_that_it_lacks(delegate: str):
    with pytest.raises(ZooError, match=r"LiteRT 2.*--tool=tflite"):
        litert_flags("/m", delegate, 1)
