"""A sandbox of another Python, and the one that QEMU emulates, if it is here."""

import os
import sys

import numpy as np
import pytest

from tests.support.processes import HANG_S
from tests.support.tiny_tflite import tiny_int8_model, tiny_model
from zoo.errors import ZooError
from zoo.runtime import arm64
from zoo.runtime.sandbox import Sandbox

RANDOM = np.random.default_rng(3)


def test_without_the_folder_it_says_how_to_make_it(monkeypatch, tmp_path):
    monkeypatch.delenv(arm64.VARIABLE, raising=False)
    with pytest.raises(ZooError, match=r"MODEL_ZOO_ARM64 is not set.*docs/arm_kernels\.md"):
        arm64.python()
    monkeypatch.setenv(arm64.VARIABLE, str(tmp_path))
    for part in ("qemu-aarch64", "root/usr/bin/python3.11", "site"):
        with pytest.raises(ZooError, match=f"where: {tmp_path} .*expected: {part}"):
            arm64.python()
        (tmp_path / part).mkdir(parents=True)
    command = arm64.python("max")
    assert command[0] == str(tmp_path / "qemu-aarch64")
    assert command[1:5] == ("-cpu", "max", "-E", f"PYTHONPATH={tmp_path / 'site'}")


def test_another_python_gives_outputs_and_no_times(tmp_path):
    path = tiny_model(tmp_path / "tiny.tflite")
    images = RANDOM.standard_normal((2, 16, 16, 1)).astype(np.float32)
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\ntouch {tmp_path / "used"}\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    with Sandbox("litert", HANG_S) as here, Sandbox("litert", HANG_S, emulated=[str(python)]) as it:
        np.testing.assert_array_equal(it.outputs(path, images), here.outputs(path, images))
        assert (tmp_path / "used").exists()
        with pytest.raises(ZooError, match=r"no latency: litert is emulated.*tiny\.tflite"):
            it.latency_us(path, "xnnpack", 1, 0.1)


@pytest.mark.skipif(not os.environ.get(arm64.VARIABLE), reason=f"{arm64.VARIABLE} is not set")
def test_kernels_for_arm_give_the_integers_of_those_for_x86(tmp_path):
    path = tiny_int8_model(tmp_path / "tiny.tflite", flatten=True)
    images = RANDOM.standard_normal((4, 8, 8, 1)).astype(np.float32)
    with (
        Sandbox("litert", HANG_S) as here,
        Sandbox("litert", HANG_S, emulated=arm64.python()) as arm,
    ):
        assert arm.placement(path).level == "full"
        found = arm.outputs(path, images)
        np.testing.assert_array_equal(found, here.outputs(path, images))
        assert len(np.unique(found)) > 10
