"""`python -m scripts.inspect` as a user runs it: bad files, JSON, exit codes."""

import json
import os

import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils

from tests.conftest import ROOT
from tests.support.tflite_samples import foreign
from tests.support.tiny_tflite import tiny_model

WHOLE = ROOT / "release" / "artifacts" / "resnet20-fashion_mnist-int8.tflite"
PARTLY = ROOT / "release" / "artifacts" / "resnet20-fashion_mnist-dynamic_int8.tflite"


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("inspect") / "good.tflite")


def test_bad_files_cost_one_line_each_and_not_the_others(command, good, tmp_path):
    content = good.read_bytes()
    (tmp_path / "cut.tflite").write_bytes(content[: len(content) // 2])
    (tmp_path / "empty.tflite").touch()
    (tmp_path / "text.tflite").write_text("no flatbuffer at all\n")
    (tmp_path / "folder.tflite").mkdir()
    with (tmp_path / "huge.tflite").open("wb") as huge:
        os.truncate(huge.fileno(), 3 * 2**30)
    bad = ["cut", "empty", "text", "folder", "huge", "missing"]
    files = [str(tmp_path / f"{name}.tflite") for name in bad]
    done = command("inspect", *files[:3], str(good), *files[3:])
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert len(lines) == len(bad)
    for line, name in zip(lines, bad, strict=True):
        assert line.startswith("error: ")
        assert f"{name}.tflite" in line
    assert done.stdout.startswith(f"{good}  ")
    assert "full: all 3 nodes in 1 partition" in done.stdout


def with_custom(good, name, path):
    """Writes the model with a custom operator instead of its softmax."""
    model = flatbuffer_utils.read_model_from_bytearray(bytearray(good.read_bytes()))
    code, graph = model.operatorCodes[2], model.subgraphs[0]
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
    code.customCode = name
    graph.operators[2].builtinOptionsType, graph.operators[2].builtinOptions = 0, None
    path.write_bytes(bytes(flatbuffer_utils.convert_object_to_bytearray(model)))
    return path


def test_operators_that_litert_lacks_are_told_and_cost_one_line(command, good, tmp_path):
    flex = with_custom(good, "FlexErf", tmp_path / "flex.tflite")
    done = command("inspect", str(flex), str(good))
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "flex.tflite" in done.stderr
    report, other = done.stdout.split(f"{good}  ")
    assert "needs the Flex delegate" in report
    assert "FlexErf  a TensorFlow kernel" in report
    assert "full: all 3 nodes" in other


def test_json_is_one_array(command, good):
    done = command("inspect", "--json", "--tensors", str(good), str(foreign("okay_nabu")))
    assert done.returncode == 0, done.stderr
    tiny, nabu = json.loads(done.stdout)
    assert tiny["placement"]["level"] == "full"
    assert tiny["gpu"]["compatible"] is True
    # By MACs: 16·16·8·10 are more than 16·16·8·9.
    assert [op["name"] for op in tiny["operators"]] == ["FULLY_CONNECTED", "CONV_2D", "SOFTMAX"]
    assert nabu["runtime"]["version"] == "2.6.0"
    assert nabu["placement"]["left"]["CALL_ONCE"] == 1
    channels = next(row for row in nabu["tensors"] if len(row["scales"]) > 1)
    assert channels["shape"][channels["axis"]] == len(channels["scales"])


def test_full_delegation_can_be_required(command, good):
    assert command("inspect", "--require_full_delegation", str(good)).returncode == 0
    done = command("inspect", "--require_full_delegation", str(good), str(foreign("okay_nabu")))
    assert done.returncode == 1
    assert done.stderr.startswith("error: not fully delegated to XNNPACK | where: ")
    assert "okay_nabu.tflite" in done.stderr


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ([], "at least one file is required"),
        (["--chip=snapdragon_865_gp", "x.tflite"], "did you mean snapdragon_865_gpu"),
        (["--norun", "--require_full_delegation", "x.tflite"], "--norun"),
        (["--run=litert_gp", "x.tflite"], "did you mean litert_gpu"),
        (["--run=none,litert", "x.tflite"], "none can't be combined with engines"),
        (["--run=", "x.tflite"], "--run is empty"),
        (["--run=litert_npu", "--soc=SM8250", "x.tflite"], "unknown --soc 'SM8250'"),
    ],
)
def test_wrong_use_is_one_line(command, flags, told):
    done = command("inspect", *flags)
    assert done.returncode == 1
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


def test_norun_reads_only(command, good):
    done = command("inspect", "--norun", "--chip=snapdragon_865_cpu", str(good))
    assert done.returncode == 0
    assert "  XNNPACK     not run\n" in done.stdout
    assert "snapdragon_865_cpu" in done.stdout
    assert command("inspect", "--run=none", "--chip=snapdragon_865_cpu", str(good)).stdout == (
        done.stdout
    )


def test_the_gpu_engine_takes_a_released_file_whole(command, gpu):
    flags = ("--run=litert_gpu,litert", "--require_full_delegation", str(WHOLE))
    done = command("inspect", *flags)
    assert (done.returncode, done.stderr) == (0, "")
    assert "full: all 32 nodes in 1 partition" in done.stdout
    assert "litert_gpu  fully accelerated: all 32 operators\n" in done.stdout
    (found,) = json.loads(command("inspect", "--json", *flags).stdout)
    row, litert = found["engines"]
    assert (row["engine"], row["delegate"], row["problem"]) == ("litert_gpu", "gpu", None)
    assert row["version"].startswith("2.") and row["placement"]["refused"] == []
    device = row["placement"]["accelerator"]
    assert device["name"] and device["driver"] and device["computes_in"] in ("float16", "float32")
    assert f"on {device['name']} ({device['driver']}), computes in" in done.stdout
    assert ("outputs count, times do not" in done.stdout) == device["stand_in"]
    assert litert["placement"] == found["placement"]


def test_what_the_npu_leaves_is_told_in_its_words(command, npu):
    flags = ("--run=litert_npu", "--soc=SM8450")
    done = command("inspect", *flags, "--require_full_delegation", str(WHOLE), str(PARTLY))
    assert done.returncode == 1
    assert done.stderr.startswith("error: not fully delegated to litert_npu | where: ")
    assert done.stderr.count("\n") == 1 and "got: 13 of 32 nodes in 10 partition(s)" in done.stderr
    whole, partly = done.stdout.split(f"{PARTLY}  ")
    assert "  XNNPACK     not run\n" in whole
    assert "litert_npu  fully accelerated: all 32 operators in 1 partition\n" in whole
    assert "Hexagon v69 of SM8450 (QNN 2." in whole and "computes in integers" in whole
    assert "litert_npu  partial: 13 of 32 operators in 10 partitions\n" in partly
    assert "refused: Conv2d: Unsupported input/output datatypes" in partly
    assert "computes in float16, a stand-in" in partly


def test_an_engine_that_fails_costs_its_row(command, good, gpu, tmp_path):
    unknown = with_custom(good, "Mystery", tmp_path / "unknown.tflite")
    done = command("inspect", "--run=litert_gpu,litert", str(unknown), str(good))
    assert done.returncode == 1
    assert done.stderr.count("error: ") == done.stderr.count("\n") == 2
    report, other = done.stdout.split(f"{good}  ")
    assert "Mystery" in report and "fully accelerated" not in report
    assert "litert_gpu  fully accelerated" in other and "full: all 3 nodes" in other
