"""`zoo compile` as a user types it."""

import json

import pytest

from tests.conftest import ROOT
from zoo.errors import ZooError
from zoo.io.files import sha256_of
from zoo.runtime import npu_emulator
from zoo.schema.compiled import CompiledModel

RELEASED = ROOT / "release" / "artifacts"
WHOLE = RELEASED / "resnet20-fashion_mnist-int8.tflite"
PARTLY = RELEASED / "resnet20-fashion_mnist-dynamic_int8.tflite"


@pytest.fixture(scope="module", autouse=True)
def extra():
    try:
        npu_emulator.check()
    except ZooError as error:
        pytest.skip(str(error))


def test_files_and_manifests_for_each_soc(command, tmp_path):
    done = command("compile", str(WHOLE), str(PARTLY), "--soc=SM8450,SM8650", f"--into={tmp_path}")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith(
        "resnet20-fashion_mnist-int8-SM8450: 32 of 32 operators on the NPU in 1 partition, "
    )
    assert lines[0].endswith("Snapdragon 8 Gen 1")
    assert "; of these 0.0 kB spilled, 0.0 kB filled" in lines[1]
    assert sum(line.startswith("  left to the CPU: 19 CONV_2D: Unsupported") for line in lines) == 2
    assert len(list(tmp_path.iterdir())) == 8
    for soc in ("SM8450", "SM8650"):
        told = (tmp_path / f"{PARTLY.stem}-{soc}.json").read_text()
        made = CompiledModel.model_validate_json(told)
        assert made.parent == PARTLY.stem and made.parent_sha256 == sha256_of(PARTLY)
        assert made.sha256 == sha256_of(tmp_path / f"{made.name}.tflite")
        assert not made.whole and made.partitions > 1
        assert len(made.left) == made.operators - made.on_npu == 19
        assert made.left[0].layer.startswith("stage1_block1_conv1")
        assert made.versions["qnn"].startswith("2.")
        assert made.command[-1] == f"--into={tmp_path}"


def test_what_fails_is_one_line_and_the_rest_is_compiled(command, tmp_path):
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(b"\x1c\0\0\0TFL3" + bytes(100))
    flags = (f"--into={tmp_path / 'out'}", "--json")
    done = command("compile", str(broken), str(WHOLE), *flags)
    assert done.returncode == 1
    assert done.stderr.startswith("error: damaged") and done.stderr.count("\n") == 1
    (made,) = json.loads(done.stdout)
    assert made["name"] == "resnet20-fashion_mnist-int8-SM8650"
    for wrong, why in (
        (("--soc=SM8250",), "unknown --soc 'SM8250'"),
        (("--soc=",), "--soc is empty"),
        ((), "at least one file is required"),
    ):
        done = command("compile", *([str(WHOLE)] if wrong else []), *wrong)
        assert done.returncode == 1 and why in done.stderr and done.stderr.count("\n") == 1
