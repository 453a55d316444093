"""The reader of benchmark_model's output: every known form, and everything that must be refused."""

import math
import random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from android_bench.tools.tflite import parse, tool_flags
from zoo.errors import ZooError

NEW = """\
INFO: STARTING!
INFO: Log parameter values verbosely: [0]
INFO: Graph: [/data/local/tmp/mobile_model_zoo/files/ab]
INFO: Use xnnpack: [1]
INFO: Loaded model /data/local/tmp/mobile_model_zoo/files/ab
INFO: Created TensorFlow Lite XNNPACK delegate for CPU.
INFO: Explicitly applied XNNPACK delegate, and the model graph will be completely executed by the \
delegate.
INFO: The input model file size (MB): 4.96
INFO: Initialized session in 12.3ms.
INFO: Running benchmark for at least 1 iterations and at least 0.5 seconds but terminate if \
exceeding 150 seconds.
INFO: count=33 first=20111 curr=15011 min=14890 max=20111 avg=15300.4 std=880 p5=14900 \
median=15005 p95=15160

INFO: Running benchmark for at least 50 iterations and at least 1 seconds but terminate if \
exceeding 150 seconds.
INFO: count=66 first=15100 curr=15011 min=14890 max=15400 avg=15010.2 std=80 p5=14900 median=15005 \
p95=15160

INFO: Inference timings in us: Init: 12300, First inference: 20111, Warmup (avg): 15300.4, \
Inference (avg): 15010.2
INFO: Note: as the benchmark tool itself affects memory footprint, the following is only APPROXIMATE
INFO: Memory footprint delta from the start of the tool (MB): init=8.1 overall=12.4
INFO: Overall peak memory footprint (MB) via periodic monitoring: 21.3
INFO: Memory status at the end of exeution:
"""
WARMUP = "Running benchmark for at least 1 iterations and at least 0.5 seconds"
REGULAR = "Running benchmark for at least 1 iterations and at least 1 seconds"
GPU_FULL = (
    "INFO: Explicitly applied GPU delegate, and the model graph will be completely executed by "
    "the delegate."
)


def short(regular: str, timings: str, warmup: str = "count=1 curr=20") -> str:
    return f"{WARMUP}\n{warmup}\n\n{REGULAR}\n{regular}\n\n{timings}\n"


def timings(avg: str, init: str = "5") -> str:
    return (
        f"Inference timings in us: Init: {init}, First inference: 20, Warmup (avg): 20, "
        f"Inference (avg): {avg}"
    )


def test_newest_form():
    result = parse(NEW, "", 0, "xnnpack")
    assert result.problems == ()
    assert result.placement.level == "full"
    latency = result.latency
    assert latency is not None
    assert (latency.runs, latency.processes) == (66, 1)
    assert (latency.init_us, latency.first_us, latency.avg_us) == (12300, 20111, 15010.2)
    assert (latency.min_us, latency.max_us, latency.std_us) == (14890, 15400, 80)
    assert (latency.p5_us, latency.median_us, latency.p95_us) == (14900, 15005, 15160)
    assert latency.peak_memory_mb == 21.3


def test_without_prefix_percentiles_and_memory():
    old = NEW.replace("INFO: ", "").replace(" p5=14900 median=15005 p95=15160", "")
    old = "\n".join(line for line in old.split("\n") if "emory" not in line)
    latency = parse(old, "", 0, "xnnpack").latency
    assert latency is not None
    assert latency.median_us is None and latency.peak_memory_mb is None
    assert latency.typical_us == 15010.2


def test_carriage_returns():
    assert parse(NEW.replace("\n", "\r\n"), "", 0, "xnnpack").latency is not None


@pytest.mark.parametrize(
    ("stats", "runs"), [("count=1 curr=1000", 1), ("count=5 curr=1000(all same)", 5)]
)
def test_degenerate_statistics(stats: str, runs: int):
    latency = parse(short(stats, timings("1000")), "", 0, "none").latency
    assert latency is not None
    assert latency.runs == runs
    assert latency.min_us == latency.max_us == latency.avg_us == 1000
    assert latency.std_us == 0


def test_six_significant_digits():
    stats = "count=3 first=1223731 curr=1223732 min=1223731 max=1223734 avg=1.22373e+06 std=1"
    latency = parse(short(stats, timings("1.22373e+06")), "", 0, "none").latency
    assert latency is not None
    assert latency.avg_us == 1223730


def test_very_old_builds_take_the_first_run_from_the_warm_up():
    old = short(
        "count=50 first=79000 curr=80000 min=79000 max=81000 avg=79760.9 std=400",
        "Average inference timings in us: Warmup: 83235, Init: 38467, Inference: 79760.9",
        warmup="count=1 curr=83235",
    )
    latency = parse(old, "", 0, "none").latency
    assert latency is not None
    assert (latency.init_us, latency.first_us, latency.avg_us) == (38467, 83235, 79760.9)


def test_the_warm_up_alone_is_no_result():
    upto = NEW[: NEW.index("INFO: Running benchmark for at least 50")]
    result = parse(upto, "", 0, "xnnpack")
    assert result.latency is None
    assert "no regular run" in result.problems[0]


def test_unknown_flag_is_refused():
    result = parse(f"WARN: Unconsumed cmdline flags: --num_thread=4\n{NEW}", "", 0, "xnnpack")
    assert result.latency is None
    assert "--num_thread=4" in result.problems[0]


def test_too_few_runs_are_refused():
    result = parse(NEW.replace("count=66", "count=12"), "", 0, "xnnpack")
    assert result.latency is None
    assert "after 12 of 50 runs" in result.problems[0]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (1, "code 1"),
        (126, "another processor"),
        (134, "SIGABRT"),
        (137, "SIGKILL"),
        (139, "SIGSEGV"),
    ],
)
def test_statistics_of_a_failed_run_are_refused(code: int, said: str):
    stderr = "odd\nERROR: Failed to invoke the interpreter\nERROR: Benchmarking failed.\n"
    result = parse(NEW, stderr, code, "xnnpack")
    assert result.latency is None
    assert said in result.problems[0]
    assert "Failed to invoke the interpreter" in result.problems[0]


def test_litert_2_tool_is_named():
    stderr = "INFO: [benchmark_litert_model.h:84] Model initialization: 23760.09 ms\n"
    result = parse("", stderr, 0, "none")
    assert any("LiteRT 2" in problem for problem in result.problems)


# Where it ran


def test_gpu_full_and_its_backend():
    text = f"INFO: Initialized OpenCL-based API.\n{GPU_FULL}\n{NEW}"
    result = parse(text, "", 0, "gpu")
    assert result.problems == ()
    assert result.placement.level == "full"
    assert result.notes == {"gpu_backend": "OpenCL"}


def test_gpu_partial():
    line = GPU_FULL.replace("completely", "partially").replace(
        "delegate.", "delegate w/ 3 delegate kernels."
    )
    result = parse(f"{line}\n{NEW}", "", 0, "gpu")
    assert result.latency is not None
    assert (result.placement.level, result.placement.partitions) == ("partial", 3)


@pytest.mark.parametrize(
    "line",
    [
        "WARN: GPU acceleration is unsupported on this platform.",
        f"{GPU_FULL}\nWARN: GPU acceleration is unsupported on this platform.",
        "INFO: Though GPU delegate is explicitly applied, the model graph will not be executed by "
        "the delegate.",
        "INFO: nothing about the GPU at all",
        f"{GPU_FULL}\n"
        + GPU_FULL.replace("completely", "partially").replace(
            "delegate.", "delegate w/ 3 delegate kernels."
        ),
    ],
)
def test_the_cpu_never_passes_for_the_gpu(line: str):
    result = parse(f"{line}\n{NEW}", "", 0, "gpu")
    assert result.latency is None
    assert "CPU" in result.problems[0]


def test_gpu_refused_says_why():
    result = parse("INFO: STARTING!\n", "ERROR: Failed to apply GPU delegate.\n", 1, "gpu")
    assert result.latency is None
    assert "Failed to apply GPU delegate" in " ".join(result.problems)


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_plain_kernels_must_be_plain(stream: str):
    line = "INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\n"
    text = short("count=1 curr=1000", timings("1000"))
    assert parse(text, "", 0, "none").latency is not None
    out, err = (line + text, "") if stream == "stdout" else (text, line)
    assert parse(out, err, 0, "none").latency is None


def test_xnnpack_that_took_nothing():
    line = (
        "INFO: Though XNNPACK delegate is explicitly applied, the model graph will not be "
        "executed by the delegate."
    )
    text = short("count=1 curr=1000", timings("1000"))
    assert parse(f"{line}\n{text}", "", 0, "xnnpack").latency is None
    silent = parse(text, "", 0, "xnnpack")
    assert silent.latency is not None and silent.placement.level == "unknown"


# Numbers that make no sense


@pytest.mark.parametrize(
    "stats",
    [
        "count=50 first=nan curr=1 min=1 max=1 avg=nan std=0",
        "count=50 first=1 curr=1 min=1 max=inf avg=1 std=0",
        "count=50 first=10 curr=10 min=-10 max=20 avg=10 std=0",
        "count=50 first=10 curr=10 min=5 max=20 avg=100 std=2",
        "count=50 first=10 curr=10 min=5 max=20 avg=10 std=200",
        "count=50 first=30 curr=10 min=5 max=20 avg=10 std=2",
        "count=50 first=10 curr=10 min=9e15 max=9e15 avg=9e15 std=2",
        "count=50 first=10 curr=10 min=5 max=20 avg=10 std=2 p5=9 median=8 p95=7",
        "count=50 first=10 curr=10 min=5 max=20 avg=10 std=2 p5=9",
        "count=50 first=10 curr=10 min=5 min=5 max=20 avg=10 std=2",
        "count=50 first=10 curr=10 min=5 max=20 avg=1e+-1 std=2",
        "count=0 first=10 curr=10 min=5 max=20 avg=10 std=2",
        "count=50 first=10 curr=10 min=5 max=20 avg=10 std=",
        "count=50 first=10 curr=10 min=5 WARN: throttled",
        "count=50 curr=10",
        "count=1 curr=0",
        "count=1 curr=5(all same)",
    ],
)
def test_senseless_statistics_are_refused(stats: str):
    result = parse(short(stats, timings("10")), "", 0, "none")
    assert result.latency is None
    assert result.problems


@pytest.mark.parametrize(
    "line", [timings("2000"), timings("nan"), timings("1000", init="-5"), timings("1000")[:40], ""]
)
def test_senseless_or_missing_timings_are_refused(line: str):
    assert parse(short("count=1 curr=1000", line), "", 0, "none").latency is None
    assert parse(short("count=1 curr=1000", timings("1000")), "", 0, "none").latency is not None


@pytest.mark.parametrize("peak", ["0", "-1", "nan", "1e30"])
def test_a_senseless_memory_footprint_is_left_out(peak: str):
    latency = parse(NEW.replace("21.3", peak), "", 0, "xnnpack").latency
    assert latency is not None and latency.peak_memory_mb is None


# Any text


def sound(text: str, stderr: str, code: int, delegate: str) -> None:
    result = parse(text, stderr, code, delegate)
    assert (result.latency is None) == bool(result.problems)
    for problem in result.problems:
        assert problem.isprintable() and len(problem) <= 300
    if result.latency is not None:
        assert code == 0
        numbers = [v for v in result.latency.model_dump().values() if v is not None]
        assert all(math.isfinite(v) and 0 <= v <= 3.6e9 for v in numbers)
        assert result.latency.avg_us > 0


WORDS = st.sampled_from(
    [*NEW.split("\n"), GPU_FULL, WARMUP, REGULAR, "count=1 curr=1000", timings("1000"),
     "count=", "count=9", "count=5 curr=1e+99", "e+06", "INFO: ", "\x00", "٣"]
)  # fmt: skip
DELEGATES = st.sampled_from(["none", "xnnpack", "gpu"])
CODES = st.integers(0, 255)


@given(st.text(), st.text(), CODES, DELEGATES)
def test_any_text(stdout: str, stderr: str, code: int, delegate: str):
    sound(stdout, stderr, code, delegate)


@given(st.lists(WORDS | st.text(max_size=20), max_size=30), st.booleans(), CODES, DELEGATES)
@example(NEW.split("\n"), True, 0, "xnnpack")
def test_any_order_of_lines(lines: list[str], newlines: bool, code: int, delegate: str):
    sound(("\n" if newlines else "").join(lines), "\n".join(lines), code, delegate)


@pytest.mark.parametrize("end", range(0, len(NEW), 7))
def test_cut_off_anywhere_gives_the_true_figure_or_none(end: int):
    sound(NEW[:end], "", 0, "xnnpack")
    latency = parse(NEW[:end], "", 0, "xnnpack").latency
    whole = NEW.index("Inference (avg)")
    if end < whole:
        assert latency is None
    elif latency is not None:
        assert latency.avg_us == 15010.2 and latency.median_us == 15005


@given(st.integers(0, 2**32), st.integers(1, 12), st.text(max_size=12))
def test_interleaved_text_gives_the_true_figures_or_none(seed: int, cuts: int, noise: str):
    rng = random.Random(seed)
    text = NEW
    for _ in range(cuts):
        at = rng.randrange(len(text))
        text = text[:at] + f"{noise}\n" * rng.randrange(2) + text[at:]
    sound(text, "", 0, "xnnpack")
    latency = parse(text, "", 0, "xnnpack").latency
    if latency is not None and not any(c.isdigit() or c in ".e=" for c in noise):
        assert (latency.runs, latency.min_us, latency.max_us) == (66, 14890, 15400)
        assert latency.avg_us == 15010.2


# Flags


def test_flags():
    flags = tool_flags("/data/m", "none", 4, num_runs=7, min_secs=0.25, max_secs=9)
    assert flags[0] == "--graph=/data/m"
    assert {"--num_threads=4", "--use_xnnpack=false", "--num_runs=7", "--min_secs=0.25"} <= set(
        flags
    )
    assert "--use_gpu=true" in tool_flags("/m", "gpu", 1)
    assert "--use_xnnpack=true" in tool_flags("/m", "xnnpack", 1)
    assert all(flag.startswith("--") and "=" in flag for flag in flags)


@pytest.mark.parametrize(
    "wrong", [{"threads": 0}, {"num_runs": 0}, {"min_secs": -1}, {"min_secs": 9, "max_secs": 5}]
)
def test_flags_out_of_range(wrong: dict[str, float]):
    with pytest.raises(ZooError):
        tool_flags("/m", "none", **{"threads": 1, **wrong})


def test_unknown_delegate():
    with pytest.raises(ZooError, match="xnnpack"):
        tool_flags("/m", "xnnpac", 1)
