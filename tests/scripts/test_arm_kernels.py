"""The study of ARM kernels, with this computer's Python in the place of the emulated one."""

import sys

import pytest

from tests.conftest import ROOT
from tests.support import processes
from zoo.runtime import arm64

FILE = ROOT / "release" / "artifacts" / "resnet20-fashion_mnist-int8.tflite"


@pytest.fixture
def folder(tmp_path):
    for part in ("root/usr/bin/python3.11", "site"):
        (tmp_path / part).mkdir(parents=True)
    script = f'#!/bin/sh\nwhile [ "$1" != -m ]; do shift; done\nexec {sys.executable} "$@"\n'
    (tmp_path / "qemu-aarch64").write_text(script)
    (tmp_path / "qemu-aarch64").chmod(0o755)
    return {arm64.VARIABLE: str(tmp_path)}


def study(*words, **environment):
    return processes.run("scripts.studies.arm_kernels", *words, environment=environment)


def test_a_row_for_each_file_and_a_line_for_each_that_fails(folder, tmp_path):
    done = study(str(FILE), str(tmp_path / "none.tflite"), "--images=5", **folder)
    assert done.returncode == 1
    assert done.stdout.splitlines()[2:] == [f"| {FILE.stem} | 5 | 100 | 0 | 100.0 |"]
    assert done.stderr.count("error: ") == 1 and "none.tflite" in done.stderr


def test_wrong_use_is_one_line(tmp_path):
    for words, told in (
        ((), "at least one file is required"),
        ((str(FILE),), "expected: qemu-aarch64 | to do: make the folder"),
    ):
        done = study(*words, **{arm64.VARIABLE: str(tmp_path)})
        assert (done.returncode, done.stdout) == (1, "")
        assert told in done.stderr and done.stderr.count("\n") == 1
