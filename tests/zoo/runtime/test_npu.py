"""Qualcomm's compiler for the NPU and its emulator: values, what is left to the CPU, failures."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import ROOT
from tests.support import processes
from tests.support.processes import HANG_S
from tests.support.tiny_tflite import tiny_int8_model, tiny_model
from zoo.errors import UnknownNameError, ZooError
from zoo.runtime import npu_compiler, npu_emulator
from zoo.runtime.sandbox import Sandbox

RELEASED = ROOT / "release" / "artifacts"
RANDOM = np.random.default_rng(3)


def test_integers_are_within_a_step_of_the_processors(npu, tmp_path):
    path = tiny_int8_model(tmp_path / "tiny.tflite", flatten=True)
    images = RANDOM.standard_normal((4, 8, 8, 1)).astype(np.float32)
    with Sandbox("litert", HANG_S) as cpu:
        expected = cpu.outputs(path, images)
    for delegate, name in (
        ("npu", "Hexagon v75 of SM8650"),
        ("npu:SM8450", "Hexagon v69 of SM8450"),
    ):
        found = npu.outputs(path, images, delegate)
        assert len(np.unique(found)) > 10
        np.testing.assert_allclose(found, expected, atol=0.15 + 1e-6)
        placed = npu.placement(path, delegate)
        assert (placed.level, placed.nodes, placed.delegated, placed.partitions) == (
            "full",
            2,
            2,
            1,
        )
        assert (placed.accelerator.name, placed.accelerator.computes_in) == (name, "integers")
        assert placed.accelerator.stand_in
    with pytest.raises(ZooError, match="no latency: Hexagon"):
        npu.latency_us(path, "npu", 1, 0.1)


def test_floats_are_computed_in_float16(npu, tmp_path):
    path = tiny_model(tmp_path / "tiny.tflite", flatten=True)
    images = RANDOM.standard_normal((4, 16, 16, 1)).astype(np.float32)
    with Sandbox("litert", HANG_S) as cpu:
        expected = cpu.outputs(path, images)
    found = npu.outputs(path, images, "npu")
    np.testing.assert_allclose(found, expected, atol=0.01)
    assert np.abs(found - expected).max() > 1e-6, "float32 is not what the NPU computes in"
    assert npu.placement(path, "npu").accelerator.computes_in == "float16"


def test_a_compiled_file_has_its_traffic():
    path = RELEASED / "resnet20-fashion_mnist-int8.tflite"
    made = _compiled(path.read_bytes(), "SM8750")
    assert made.whole and (made.nodes, made.taken, made.left) == (32, 32, ())
    (traffic,) = made.traffic
    # Weights of 272,000 bytes and more are read once.
    assert 270_000 < traffic.read < 600_000 and traffic.spilled == traffic.filled == 0
    assert made.sdk.startswith("2.")
    assert made.content[4:8] == b"TFL3"


def test_what_is_left_to_the_processor_has_its_reason(npu):
    path = RELEASED / "resnet20-fashion_mnist-dynamic_int8.tflite"
    placed = npu.placement(path, "npu")
    assert placed.level == "partial" and 0 < placed.delegated < placed.nodes == 32
    assert placed.partitions > 1
    (reason,) = placed.refused
    assert reason.startswith("Conv2d: Unsupported input/output datatypes")
    with pytest.raises(ZooError, match=r"does not run this file whole.*expected: 32 operators"):
        npu.outputs(path, np.zeros((1, 32, 32, 1), np.float32), "npu")


def test_wrong_files_and_names(npu, tmp_path):
    path = tmp_path / "broken.tflite"
    path.write_bytes(b"\x1c\0\0\0TFL3" + bytes(100))
    with pytest.raises(ZooError, match=r"cannot load this \.tflite.*broken\.tflite"):
        npu.placement(path, "npu")
    tiny = tiny_int8_model(tmp_path / "tiny.tflite")
    with pytest.raises(ZooError, match=r"unknown SoC 'SM8250'.*SM8350"):
        npu.placement(tiny, "npu:SM8250")
    with pytest.raises(UnknownNameError, match="unknown delegate of litert_npu 'gpu'"):
        npu.placement(tiny, "gpu")


def test_a_compiler_that_does_not_end_is_ended():
    content = (RELEASED / "resnet20-fashion_mnist-int8.tflite").read_bytes()
    with pytest.raises(ZooError, match=r"for SM8650 did not end.*an end within 0\.001 s"):
        _compiled(content, "SM8650", timeout_s=0.001)


def test_without_the_extra_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ZooError, match=r"not installed.*make setup-npu"):
        npu_emulator.check()


def _compiled(content, soc, **options):
    try:
        npu_compiler.libraries()
    except ZooError as error:
        pytest.skip(str(error))
    return npu_compiler.compile(content, soc, "test", **options)


def test_the_compiler_ends_with_the_process_that_waits_for_it(tmp_path):
    """A sandbox that takes too long is killed; what it started must not go on."""
    pid = tmp_path / "pid"
    waiting = subprocess.Popen(
        [
            sys.executable, "-c",
            "import subprocess, sys; from zoo.io.die_with_parent import guarded; "
            "subprocess.Popen(guarded(sys.argv[1:])).wait()",
            "/bin/sh", "-c", f"echo $$ > {pid}; exec sleep 3600",
        ],
        cwd=ROOT,
    )  # fmt: skip
    processes.until(lambda: pid.is_file() and pid.read_text().strip(), waiting)
    waiting.kill()
    waiting.wait()
    processes.until(lambda: not _runs(int(pid.read_text())))


def _runs(pid):
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
