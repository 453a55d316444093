"""`python -m scripts.inspect` as a user runs it: bad files, JSON, exit codes."""

import json
import os

import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils

from tests.support.tflite_samples import foreign
from tests.support.tiny_tflite import tiny_model


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


def test_operators_that_litert_lacks_are_told_and_cost_one_line(command, good, tmp_path):
    model = flatbuffer_utils.read_model_from_bytearray(bytearray(good.read_bytes()))
    code, graph = model.operatorCodes[2], model.subgraphs[0]
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
    code.customCode = "FlexErf"
    graph.operators[2].builtinOptionsType, graph.operators[2].builtinOptions = 0, None
    flex = tmp_path / "flex.tflite"
    flex.write_bytes(bytes(flatbuffer_utils.convert_object_to_bytearray(model)))
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
    assert "not run (--norun)" in done.stdout
    assert "snapdragon_865_cpu" in done.stdout
