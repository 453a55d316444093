"""Hooks of pytest, and fixtures shared by all test modules."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support import processes
from tests.support.engines import working
from tests.support.once import made_once
from zoo.io.tf_import import set_environment
from zoo.runtime.sandbox import Sandbox

ROOT = processes.ROOT
# ImageNet images, one per class. Not part of the project; tests that need them skip without them.
PICTURES = ROOT.parent / "shared" / "data" / "imagenet_sample_1000.tar"
# Of the network of the fixture `digits`: layers to prune, and the share of its kernels they zero.
PRUNED = {f"fire{number}_expand3x3": 0.8 for number in (6, 7, 8, 9)}
DIGITS_ZEROS = 0.8 * 460_800 / 723_520
Run = Callable[..., subprocess.CompletedProcess[str]]
set_environment()  # test modules import TensorFlow directly


# Files whose tests share nothing and are therefore distributed over all processes. The tests of
# other files usually share fixtures or networks.
_SPREAD = ("test_architectures.py", "test_catalog.py")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keeps the tests of each file in one process, except for `_SPREAD`, and orders the files.

    The first file is one that uses the `digits` fixture and so creates its folder. The other users
    come late, because otherwise all processes would wait for the first. The rest is ordered by file
    name, which mixes tests that wait for phones with tests that compute.
    """
    users = sorted({item.path.name for item in items if "digits" in _fixtures(item)})

    def place(item: pytest.Item) -> tuple[int, str]:
        name = item.path.name
        if name in _SPREAD:
            return 3, name
        return (0 if name == users[0] else 2) if name in users else 1, name

    items.sort(key=place)
    for item in items:
        if item.path.name not in _SPREAD:
            item.add_marker(pytest.mark.xdist_group(item.path.name))


def _fixtures(item: pytest.Item) -> list[str]:
    return getattr(item, "fixturenames", [])


_first: list[tuple[Exception, str]] = []


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    """Seeds each test, and reports the failure of a shared fixture only once.

    The first test that uses the fixture fails, and the others are skipped.
    """
    if "tf_keras" in sys.modules:  # the same random weights in any order of the tests
        sys.modules["tf_keras"].utils.set_random_seed(1)
    try:
        yield
    except Exception as error:
        for earlier, name in _first:
            if error is earlier:
                pytest.skip(f"its fixture failed, see {name}")
        _first.append((error, item.nodeid))
        raise


def pytest_collection_finish() -> None:
    """Makes a seed give the same weights regardless of which files are run.

    `zoo.training.loop` sets this switch when it is imported, which changes the random numbers.
    """
    gc.freeze()  # what was imported stays; garbage collections need not look at it
    if "tf_keras" in sys.modules:
        sys.modules["tf_keras"].backend.experimental.enable_tf_random_generator()


settings.register_profile("all", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("few", settings.get_profile("all"), max_examples=20)


def pytest_configure(config: pytest.Config) -> None:
    """Starts one command server per test run, and loads the hypothesis profile.

    `make test` runs fewer examples of each property.
    """
    # A background job of a script ignores SIGINT, and nohup ignores SIGHUP. Child processes inherit
    # ignored signals but not handlers, so a handler keeps them from ignoring these signals.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: None)
    settings.load_profile("few" if config.option.markexpr == "not slow" else "all")
    if "PYTEST_XDIST_WORKER" not in os.environ and not config.option.collectonly:
        running = ExitStack()
        running.enter_context(processes.server())
        config.add_cleanup(running.close)


@pytest.fixture(scope="session")
def command() -> Run:
    """Runs `python -m scripts.NAME FLAGS…` as a user would and returns its exit code and output."""

    def run(name: str, *flags: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return processes.run(f"scripts.{name}", *flags, environment=environment)

    return run


@pytest.fixture(scope="module")
def cpu() -> Iterator[Sandbox]:
    """LiteRT's interpreter in a child process."""
    yield from working("litert")


@pytest.fixture(scope="module")
def gpu() -> Iterator[Sandbox]:
    """LiteRT's GPU engine in a child process; skips where it does not work."""
    yield from working("litert_gpu")


@pytest.fixture(scope="module")
def npu() -> Iterator[Sandbox]:
    """The emulator of Snapdragon's NPU in a child process; skips where it does not work."""
    yield from working("litert_npu")


@pytest.fixture(scope="session")
def digits(command: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Output folder of a small real chain on digits: train, prune, QAT, convert.

    Only the four largest layers are pruned: what prunes a layer takes half a second to build.

    All test processes share this folder, so tests must not write into it.
    """
    return made_once(tmp_path_factory, "digits", partial(_make_digits, command))


def _make_digits(command: Run, output: Path) -> None:
    shared = f"--output={output}"
    plan = output.with_name("digits_plan.json")
    plan.write_text(json.dumps({"format": 1, "what": "sparsity", "layers": PRUNED}))
    run = "squeezenet_v1_1-digits"
    for name, *flags in (
        ("train", "--recipe=digits_quick", "--image_size=16", "--epochs=3"),
        ("compress", f"--run={run}", "--scheme=prune", "--prune_epochs=1", f"--plan={plan}"),
        ("compress", f"--run={run}-pruned", "--scheme=qat", "--qat_epochs=1"),
        ("convert", f"--run={run}-pruned"),
        ("convert", f"--run={run}-pruned-qat"),
    ):
        done = command(name, *flags, shared)
        assert done.returncode == 0, done.stderr
