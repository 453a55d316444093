"""The wheel in an empty environment: console commands, and a model from a release, run."""

import shutil
import subprocess
import sys
import tomllib
import venv

import pytest

from tests.conftest import ROOT
from tests.support.processes import HANG_S

NAME = "resnet20-fashion_mnist-int8"
CODE = f"""
import numpy as np, zoo
assert zoo.list_models() == [{NAME!r}], zoo.list_models()
guesses = zoo.load({NAME!r}).classify(np.zeros((28, 28), np.uint8), top=10)
assert abs(sum(guess.probability for guess in guesses) - 1) < 1e-5
"""


def run(*command, **more):
    return subprocess.run(
        list(map(str, command)), capture_output=True, text=True, timeout=HANG_S, **more
    )


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """bin of an environment that has the wheel and what it asks for."""
    folder = tmp_path_factory.mktemp("package")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    reachable = run(*pip, "download", "--no-deps", "--dest", folder, "absl-py")
    if reachable.returncode:
        pytest.skip("no package index can be reached to install from")
    # From a copy: setuptools writes its build folder beside pyproject.toml.
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("zoo", "converters", "android_bench", "scripts"):
        shutil.copytree(ROOT / name, source / name)
    built = run(*pip, "wheel", "--no-deps", "--wheel-dir", folder, source)
    assert built.returncode == 0, built.stderr
    (wheel,) = folder.glob("mobile_model_zoo-*.whl")
    venv.create(folder / "env", with_pip=True)
    there = folder / "env" / "bin"
    done = run(there / "python", "-m", "pip", "install", "--quiet", wheel)
    assert done.returncode == 0, done.stderr
    return there


@pytest.mark.slow
def test_a_newcomer_lists_downloads_and_classifies(installed, tmp_path):
    environment = {"MODEL_ZOO_CACHE": str(tmp_path / "cache"), "PATH": "/usr/bin:/bin"}
    where = {"cwd": tmp_path, "env": environment}
    assert "squeezenet_v1_1" in run(installed / "zoo", "list", **where).stdout
    release = f"--source={ROOT / 'release'}"
    for command in (
        ("search", "resnet20", "--precision=int8", release),
        ("download", NAME, release),
        ("inspect", ROOT / "release" / "artifacts" / f"{NAME}.tflite"),
    ):
        done = run(installed / "zoo", *command, **where)
        assert done.returncode == 0, done.stderr
        assert NAME in done.stdout
    done = run(installed / "python", "-c", CODE, **where)
    assert done.returncode == 0, done.stderr
    done = run(installed / "zoo", "train", **where)
    assert done.returncode == 1
    assert "TensorFlow can't be imported" in done.stderr and "[train]" in done.stderr


@pytest.mark.slow
def test_a_type_checker_of_others_knows_the_types(installed, tmp_path):
    (tmp_path / "theirs.py").write_text(
        "import zoo\nname: int = zoo.load('net').classify('x')[0]\n"
    )
    python = f"--python-executable={installed / 'python'}"
    done = run(sys.executable, "-m", "mypy", "--no-incremental", python, "theirs.py", cwd=tmp_path)
    assert 'has type "Guess"' in done.stdout, done.stdout


def test_the_wheel_has_one_command():
    commands = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert commands == {"zoo": "scripts.common.console:run"}
