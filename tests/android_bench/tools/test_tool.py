"""Which tool a file is, what it is asked, and the stand-ins' profile and runtime information."""

import shlex
import subprocess
from pathlib import Path

import pytest

from android_bench.tools import tool as tools
from android_bench.tools.delegates import Delegate, parse_delegate
from android_bench.tools.op_profile import parse_profile
from android_bench.tools.runtime_info import placement_of
from android_bench.tools.tool import LITERT, TFLITE, TOOLS, Tool, has_flag, tool_of
from tests.support.tiny_tflite import tiny_model
from tests.virtual_phone import stand_in_binary
from zoo.errors import ZooError

QNN = "external:/data/local/tmp/q/libQnnTFLiteDelegate.so"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `tflite` and `litert`, the stand-ins, and `tiny.tflite`."""
    folder = tmp_path_factory.mktemp("tools")
    stand_in_binary(folder, "tflite")
    stand_in_binary(folder, "litert", tool="litert")
    tiny_model(folder / "tiny.tflite")
    return folder


# Which one it is


def test_the_file_tells(folder: Path, tmp_path: Path):
    assert tool_of(folder / "tflite") is TFLITE
    assert tool_of(folder / "litert") is LITERT
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\nexec /data/local/tmp/benchmark_model $*\n")
    assert tool_of(script) is TFLITE
    assert has_flag(folder / "tflite", "model_runtime_info_output_file")
    assert not has_flag(script, "model_runtime_info_output_file")


@pytest.mark.parametrize("at", [0, 9, 10, 11, 31, 32, 33, 100])
def test_the_mark_is_found_across_blocks(tmp_path: Path, monkeypatch, at: int):
    monkeypatch.setattr(tools, "_BLOCK", 32)
    binary = tmp_path / "tool"
    binary.write_bytes(bytes(at) + b"benchmark_litert_model.h\0" + bytes(50))
    assert tool_of(binary) is LITERT
    binary.write_bytes(bytes(at) + b"benchmark_litert_model" + bytes(50))
    assert tool_of(binary) is TFLITE


def test_files_that_are_no_tool(tmp_path: Path, monkeypatch):
    with pytest.raises(ZooError, match="cannot read"):
        tool_of(tmp_path / "missing")
    with pytest.raises(ZooError, match="cannot read"):
        tool_of(tmp_path)
    monkeypatch.setattr(tools, "_MAX_BYTES", 10)
    large = tmp_path / "large"
    large.write_bytes(bytes(11))
    with pytest.raises(ZooError, match="too large"):
        tool_of(large)


def test_names():
    assert {line: tool.name for line, tool in TOOLS.items()} == {
        "tflite": "benchmark_model",
        "litert": "litert_benchmark_model",
    }


# Delegates


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("none", Delegate("none")),
        ("cpu", Delegate("none")),
        ("nnapi", Delegate("nnapi")),
        ("external:/x/l.so", Delegate("external", "/x/l.so")),
        ("external:/x/l.so?a:b,c", Delegate("external", "/x/l.so", "a:b,c")),
        ("external:/x/l.so?a:b;c:/d/e;", Delegate("external", "/x/l.so", "a:b;c:/d/e")),
    ],
)
def test_delegates(text: str, expected: Delegate):
    assert parse_delegate(text) == expected
    assert parse_delegate(str(expected)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "", "xnnpac", "GPU", "external", "external:", "external:lib.so", "external:/x/../l.so",
        "external:/x/l.so?", "external:/x/l.so?a", "external:/x/l.so?a:b:c", "external:/a b.so",
        "external:/x/l.so\n", "external:/x;reboot",
        "external:/x/l.so?a:$(id)", "external:/x/l.so?;a:b", "external:/x/l.so?" + "a:b;" * 257,
    ],
)  # fmt: skip
def test_delegates_that_are_refused(text: str):
    with pytest.raises(ZooError) as caught:
        parse_delegate(text)
    assert "\n" not in str(caught.value)


def test_every_flag_reaches_the_shell_as_one_word():
    flags = TFLITE.flags("/data/a b'c", f"{QNN}?backend_type:htp;x:y", 1)
    command = TFLITE.command("/data/local/tmp/tool", flags, QNN)
    words = shlex.split(command)
    assert words[0] == "env" and words[3] == "/data/local/tmp/tool"
    assert words[1:3] == [f"{name}_LIBRARY_PATH=/data/local/tmp/q" for name in ("LD", "ADSP")]
    assert words[4:] == flags and "--graph=/data/a b'c" in words


@pytest.mark.parametrize(
    ("tool", "delegate", "folder"),
    [
        (TFLITE, "gpu", None),
        (TFLITE, "none", None),
        (LITERT, "xnnpack", None),
        (LITERT, "gpu", "/data/local/tmp"),
    ],
)
def test_where_libraries_are_looked_for(tool: Tool, delegate: str, folder: str | None):
    words = shlex.split(tool.command("/t", ["--graph=/m"], delegate))
    assert words[-2:] == ["/t", "--graph=/m"]
    assert (words[:-2] == []) == (folder is None)
    assert folder is None or f"LD_LIBRARY_PATH={folder}" in words


# What the stand-ins print and write, through the flags that a phone gets


def run(folder: Path, line: str, delegate: str, **on_demand: object):
    tool = TOOLS[line]
    lengths = {"num_runs": 3, "min_secs": 0.01, "warmup_secs": 0.01}
    flags = tool.flags(str(folder / "tiny.tflite"), delegate, 1, **lengths, **on_demand)
    done = subprocess.run([folder / line, *flags], capture_output=True, text=True, check=False)
    return tool, done


@pytest.mark.parametrize("line", TOOLS)
def test_a_profile_on_demand(folder: Path, line: str):
    tool, done = run(folder, line, "xnnpack", profile=True)
    assert done.returncode == 0, done.stderr
    judged = tool.parse(done.stdout, done.stderr, 0, "xnnpack")
    assert judged.latency is None and "profiled" in judged.problems[0]
    profile = parse_profile(done.stdout) or parse_profile(done.stderr)
    assert profile is not None and profile.delegate is not None
    assert [one.type for one in profile.graph.types] == ["TfLiteXNNPackDelegate"]
    assert profile.delegate.slowest[0].name == "Delegate/Convolution (NHWC, F32) IGEMM:0"
    assert run(folder, line, "xnnpack")[1].stdout.count("Run Order") == 0


def test_a_profile_of_plain_kernels_and_as_csv(folder: Path, tmp_path: Path):
    tool, done = run(folder, "tflite", "none", profile=True)
    profile = parse_profile(done.stdout)
    assert profile is not None and profile.delegate is None
    names = {"CONV_2D", "FULLY_CONNECTED", "SOFTMAX"}
    assert {one.type for one in profile.graph.types} == names
    csv = tmp_path / "profile.csv"
    flags = tool.flags(str(folder / "tiny.tflite"), "none", 1, profile=True, num_runs=3)
    more = ["--op_profiling_output_mode=csv", f"--op_profiling_output_file={csv}"]
    subprocess.run([folder / "tflite", *flags, *more], capture_output=True, check=True)
    profile = parse_profile(csv.read_text())
    assert profile is not None and {one.type for one in profile.graph.types} == names


@pytest.mark.parametrize("line", TOOLS)
@pytest.mark.parametrize("delegate", ["xnnpack", "gpu"])
def test_runtime_information_on_demand(folder: Path, tmp_path: Path, line: str, delegate: str):
    path = tmp_path / "info.pb"
    tool, done = run(folder, line, delegate, runtime_info=str(path))
    info = placement_of(path.read_bytes(), parse_delegate(delegate))
    assert info.model_dump() == {
        "level": "full", "nodes": 3, "delegated": 3, "partitions": 1, "left": {},
        "refused": None, "accelerator": None,
    }  # fmt: skip
    judged = tool.parse(done.stdout, done.stderr, 0, delegate, info)
    assert judged.problems == () and judged.placement == info
    # Lines that say otherwise are a contradiction; silence is not.
    other = info.model_copy(update={"level": "partial"})
    assert tool.parse(done.stdout, done.stderr, 0, delegate, other).placement.level == "unknown"
    quiet = done.stderr.replace("Replacing", "x"), done.stdout.replace("Explicitly", "x")
    assert tool.parse(quiet[1], quiet[0], 0, delegate, info).placement == info
    nothing = placement_of(path.read_bytes(), Delegate("nnapi"))
    problems = tool.parse(quiet[1], quiet[0], 0, delegate, nothing).problems
    assert "took none of the nodes" in problems[0]


def test_plain_kernels_by_the_runtime_information(folder: Path, tmp_path: Path):
    path = tmp_path / "info.pb"
    tool, done = run(folder, "tflite", "none", runtime_info=str(path))
    info = placement_of(path.read_bytes(), Delegate("none"))
    assert info.left == {"CONV_2D": 1, "FULLY_CONNECTED": 1, "SOFTMAX": 1}
    judged = tool.parse(done.stdout, done.stderr, 0, "none", info)
    assert judged.problems == () and judged.placement == info
    used = info.model_copy(update={"level": "partial"})
    assert "although none was requested" in tool.parse(done.stdout, "", 0, "none", used).problems[0]


def test_litert_has_no_plain_kernels_and_no_flags_of_the_other(folder: Path):
    graph = f"--graph={folder / 'tiny.tflite'}"
    done = subprocess.run(
        [folder / "litert", graph, "--use_xnnpack=false", "--num_runs=1", "--min_secs=0"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0 and "Unconsumed cmdline flags: --use_xnnpack=false" in done.stdout
    assert LITERT.parse(done.stdout, done.stderr, 0, "xnnpack").latency is None
