"""Without TensorFlow, as after `pip install '.[report]'`: phones, this computer and the page."""

from pathlib import Path

import pytest

from android_bench.phone.phone import lock_path
from tests.support.tiny_tflite import tiny_model
from tests.virtual_phone import AdbServer, PhoneProfile, VirtualPhone, stand_in_binary
from zoo.schema.json_files import read_records

# Only what `project.dependencies` and the extra `report` bring may be needed.
ABSENT = (
    "tensorflow", "tf_keras", "keras", "tensorflow_model_optimization", "jax", "h5py", "sklearn",
    "safetensors",
    "tflite_runtime", "pytest", "hypothesis",
)  # fmt: skip
# Every process that starts with this on its path is without them, workers too.
SITE = f"""
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {ABSENT!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
"""


@pytest.fixture
def without(tmp_path: Path) -> dict[str, str]:
    """The environment of such an installation."""
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(SITE)
    return {"PYTHONPATH": str(folder)}


def test_what_needs_tensorflow_says_so(command, without, tmp_path):
    done = command("train", "--recipe=digits_quick", f"--output={tmp_path}", **without)
    assert done.returncode == 1
    assert done.stderr.startswith("error: TensorFlow can't be imported")
    assert done.stderr.count("\n") == 1
    assert "pip install" in done.stderr


def test_phones_and_this_computer(command, without, tmp_path):
    tiny_model(tmp_path / "tiny.tflite")
    output = f"--output={tmp_path / 'o'}"
    tool = f"--benchmark_binary={stand_in_binary(tmp_path)}"
    quick = ("--processes=1", "--num_runs=3", "--min_secs=0.02")
    with AdbServer() as adb, VirtualPhone(PhoneProfile()) as phone:
        there = {**adb.env, **without}
        commands = (
            ("phone", "connect", phone.serial),
            ("phone", "doctor", phone.serial, "--sample_secs=2", tool),
            ("benchmark", f"--device=host,{phone.serial}", "--delegate=xnnpack",
             f"--artifact={tmp_path / 'tiny.tflite'}", output, tool, *quick),
            ("report", output),
            ("list", "--dataset=CIFAR-10"),
        )  # fmt: skip
        for name, *flags in commands:
            done = command(name, *flags, **there)
            assert done.returncode == 0, (name, done.stdout, done.stderr)
        lock_path(phone.serial).unlink(missing_ok=True)
    records, problems = read_records(tmp_path / "o" / "results.jsonl")
    assert problems == []
    assert [record.device.kind for record in records] == ["host", "phone"]
    assert all(record.valid for record in records)
    page = (tmp_path / "o" / "report" / "index.html").read_text()
    assert "tiny" in page and page.rstrip().endswith("</html>")
