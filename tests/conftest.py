"""Fixtures that several test modules share."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

ROOT = Path(__file__).parent.parent
# Of ImageNet, one a class: no part of the project, what needs them skips without.
PICTURES = ROOT.parent / "shared" / "data" / "imagenet_sample_1000.tar"
Run = Callable[..., subprocess.CompletedProcess[str]]


# Their tests share nothing, so that they fill all processes evenly to the end; a file's usually
# share fixtures or built networks.
_SPREAD = ("test_architectures.py", "test_catalog.py")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keeps each file's tests in one process, but for those of `_SPREAD`; files of slow ones first.

    By the files' names, so that those that wait for phones are among those that compute.
    """
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: (_rank(item.path, slow), item.path.name))
    for item in items:
        if item.path.name not in _SPREAD:
            item.add_marker(pytest.mark.xdist_group(item.path.name))


def _rank(path: Path, slow: set[Path]) -> int:
    if path.name in _SPREAD:
        return 2
    return 0 if path in slow else 1


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Gives each test, and the fixtures made for it, the same random weights in whatever order."""
    if "tf_keras" in sys.modules:
        sys.modules["tf_keras"].utils.set_random_seed(1)


def pytest_collection_finish() -> None:
    """Makes a seed give the same weights whichever files are run.

    `zoo.train` sets this switch when it is imported, and from then on they are others.
    """
    if "tf_keras" in sys.modules:
        sys.modules["tf_keras"].backend.experimental.enable_tf_random_generator()


@pytest.fixture(scope="session")
def command() -> Run:
    """Runs `python -m scripts.NAME FLAGS…` as a user would and returns its exit code and output."""

    def run(
        name: str, *flags: str, timeout: float = 300, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", f"scripts.{name}", *flags],
            cwd=ROOT,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    return run


@pytest.fixture(scope="session")
def digits(command: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output folder of a real, tiny chain on digits: trained, pruned, QAT, converted.

    One folder for all the processes that share the tests; nobody writes into it afterwards.
    """
    base = tmp_path_factory.getbasetemp()
    output = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "digits"
    with FileLock(f"{output}.lock"):
        if not (output / "done").exists():
            _make_digits(command, output)
            (output / "done").touch()
    return output


def _make_digits(command: Run, output: Path) -> None:
    shared = f"--output={output}"
    run = "squeezenet_v1_1-digits"
    for name, *flags in (
        ("train", "--recipe=digits_quick", "--image_size=16"),
        ("compress", f"--run={run}", "--scheme=prune"),
        ("compress", f"--run={run}-pruned", "--scheme=qat"),
        ("convert", f"--run={run}-pruned"),
        ("convert", f"--run={run}-pruned-qat"),
    ):
        done = command(name, *flags, shared)
        assert done.returncode == 0, done.stderr
