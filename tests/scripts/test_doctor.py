"""`zoo doctor`: what works here, what is missing, and what is broken."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.support.processes import HANG_S
from tests.virtual_phone import AdbServer, PhoneProfile, VirtualPhone
from zoo.io import cache

ENGINES = ("LiteRT", "tflite_runtime", "GPU engine", "NPU engine")
# Beginnings of the names in site-packages of what a plain installation lacks.
EXTRAS = (
    "tensorflow", "tf_keras", "keras", "onnx", "tflite_runtime", "sklearn", "scikit_learn",
)  # fmt: skip


@pytest.fixture
def plain(tmp_path):
    """Runs the command on a Python that has only what no extra brings."""
    site = tmp_path / "site"
    site.mkdir()
    for path in Path(pytest.__file__).parents[1].iterdir():
        if not path.name.startswith(EXTRAS):
            (site / path.name).symlink_to(path)

    def run(*flags):
        return subprocess.run(
            [str(Path(sys.base_prefix) / "bin" / "python3"), "-m", "scripts.doctor", *flags],
            cwd=ROOT,
            env={"HOME": str(tmp_path), "PATH": str(tmp_path), "PYTHONPATH": str(site)},
            capture_output=True,
            text=True,
            timeout=HANG_S,
        )

    return run


@pytest.fixture
def broken(tmp_path):
    """The environment of packages that are installed and can't be imported."""
    for name in ("tensorflow", "onnxruntime_qnn"):
        package = tmp_path / "broken" / name
        package.mkdir(parents=True)
        (package / "__init__.py").write_text(f"raise ImportError('{name} lacks a library')\n")
    return {"PYTHONPATH": str(tmp_path / "broken")}


def rows(done):
    return {row["name"]: row for row in json.loads(done.stdout)}


def test_everything_here(command, tmp_path):
    with AdbServer() as adb, VirtualPhone(PhoneProfile()) as phone:
        there = {**adb.env, "MODEL_ZOO_CACHE": str(cache.folder())}
        assert command("phone", "connect", phone.serial, **there).returncode == 0
        done = command("doctor", "--json", f"--output={tmp_path / 'new'}", **there)
    assert (done.returncode, done.stderr) == (0, "")
    found = rows(done)
    assert all(set(row) == {"name", "level", "found", "remedy"} for row in found.values())
    assert all(row["remedy"] for row in found.values() if row["level"] in ("missing", "problem"))
    assert list(found)[:5] == ["TensorFlow", *ENGINES]
    for name in ("TensorFlow", "LiteRT", "adb", "data: digits", "cache", "output"):
        assert found[name]["level"] == "ok", found[name]
    assert found["TensorFlow"]["found"].startswith("2.")
    assert found["LiteRT"]["found"].startswith("ai-edge-litert 2.")
    if (gpu := found["GPU engine"])["level"] == "ok":
        assert "computes in float" in gpu["found"]
        assert ("SwiftShader" in gpu["found"]) <= ("outputs count, times do not" in gpu["found"])
    if (npu := found["NPU engine"])["level"] == "ok":
        assert "emulated), computes in float16, a stand-in" in npu["found"]
    assert found["phones"]["level"] == "ok" and phone.serial in found["phones"]["found"]
    assert "zoo phone doctor" in found["phones"]["remedy"]
    assert f"{tmp_path / 'new'}, " in found["output"]["found"]
    assert not (tmp_path / "new").exists()


def test_what_is_missing_has_what_to_type(plain, tmp_path):
    (tmp_path / "file").touch()
    done = plain("--adb=/nowhere/adb", f"--output={tmp_path / 'file'}")
    assert done.returncode == 0, done.stderr
    found = {line[11:].split("  ")[0].strip(): line for line in done.stdout.splitlines()}
    for name, level, typed in (
        ("TensorFlow", "missing", "pip install 'mobile-model-zoo[train]', or run make setup"),
        ("LiteRT", "ok", "ai-edge-litert 2."),
        ("tflite_runtime", "missing", "pip install tflite-runtime (Python 3.11 only)"),
        ("NPU engine", "missing", "make setup-npu, or pip install 'mobile-model-zoo[npu]'"),
        ("ARM kernels", "missing", "docs/arm_kernels.md tells, and set MODEL_ZOO_ARM64"),
        ("adb", "missing", "pip install adbutils (it bundles adb), or pass --adb=PATH"),
        ("phones", "missing", "pip install adbutils"),
        ("chromium", "missing", "apt-get install chromium"),
        ("data: cifar10_jpeg", "missing", "--archive=cifar10_jpeg.tar.xz"),
        ("data: digits", "missing", "pip install 'mobile-model-zoo[digits]'"),
        ("data: cifar10", "missing", "pip install 'mobile-model-zoo[datasets]', or run make setup;"
         " then run zoo data --dataset=cifar10"),
        ("data: imagenet", "missing", "download ILSVRC2012_img_train.tar"),
        ("output", "problem", "pass another folder with --output"),
    ):  # fmt: skip
        assert found[name].split()[0].startswith(level) and typed in found[name], found[name]


def test_what_is_broken_costs_its_own_row(command, broken, tmp_path):
    adb = tmp_path / "adb"
    adb.write_text("#!/bin/sh\necho no such library >&2\nexit 127\n")
    adb.chmod(0o755)
    done = command("doctor", "--json", f"--adb={adb}", f"--output={tmp_path}", **broken)
    assert (done.returncode, done.stderr) == (1, "")
    found = rows(done)
    for name, why, typed in (
        ("TensorFlow", "TensorFlow can't be imported | got: tensorflow lacks a library",
         "pip install 'mobile-model-zoo[train]'"),
        ("adb", f"adb does not run | where: {adb} | got: no such library", "reinstall adb"),
    ):  # fmt: skip
        assert found[name]["level"] == "problem"
        assert why in found[name]["found"] and typed in found[name]["remedy"]
    assert found["NPU engine"]["level"] in ("problem", "missing")
    assert "make setup-npu" in found["NPU engine"]["remedy"]
    assert found["LiteRT"]["level"] == "ok"


def test_quick_starts_nothing(command, broken, tmp_path):
    adb = tmp_path / "adb"
    adb.write_text(f"#!/bin/sh\ntouch {tmp_path / 'started'}\n")
    adb.chmod(0o755)
    done = command("doctor", "--quick", "--json", f"--adb={adb}", f"--output={tmp_path}", **broken)
    assert (done.returncode, done.stderr) == (0, ""), "TensorFlow was not imported"
    found = rows(done)
    assert found["TensorFlow"]["found"].endswith(" is installed")
    assert found["LiteRT"]["found"].endswith(" is installed")
    assert found["adb"]["found"] == str(adb)
    assert found["phones"]["remedy"] == "run zoo phone list"
    assert not (tmp_path / "started").exists()
