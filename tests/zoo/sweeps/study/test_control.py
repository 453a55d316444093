"""A study in the background: paused, continued, stopped, killed, and where its runs stand."""

import os
import signal
from pathlib import Path

import pytest

from scripts import study
from tests.support import processes

FILE = """
title = "Widths"
recipe = "digits_quick"
[[questions]]
name = "rates"
title = "Learning rates"
models = ["resnet20", "squeezenet_v1_1"]
epochs = 2
seeds = {resnet20 = [1, 2]}
"""
RUNS = ["resnet20-digits", "squeezenet_v1_1-digits", "resnet20-digits-seed_2"]


@pytest.fixture
def place(tmp_path):
    (tmp_path / "study.toml").write_text(FILE)
    (tmp_path / "into").mkdir()
    return tmp_path


def words(place, *flags):
    return (
        "tests.support.study_stub", str(place / "study.toml"), f"--into={place / 'into'}",
        "--noscore", "--nolowest_priority", *flags,
    )  # fmt: skip


def said(place, *flags):
    done = processes.run(*words(place, *flags))
    assert done.returncode == 0, done.stderr
    return done.stdout


def trainers(place):
    """The processes of the trainings that began."""
    path = place / "into" / "begun"
    return [int(line.split()[0]) for line in path.read_text().splitlines()] if path.exists() else []


def state_of(pid):
    """R, S, T (stopped), Z or X."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "X"


def states(place):
    rows = [line.split() for line in said(place, "--status").splitlines()]
    return {row[0]: row[1] for row in rows if row[0] in RUNS}


def test_a_paused_study_stands_still_and_goes_on(place):
    (place / "into" / "hold").touch()
    running = processes.start(*words(place, "--jobs=2"))
    processes.until(lambda: len(trainers(place)) == 2, running)
    assert said(place, "--pause") == "paused\n"
    assert [state_of(pid) for pid in trainers(place)] == ["T", "T"]
    assert "paused" in said(place, "--status").splitlines()[-1]
    (place / "into" / "hold").unlink()

    again = processes.run(*words(place))
    assert again.returncode == 1
    assert "already running" in again.stderr
    assert len(trainers(place)) == 2

    assert said(place, "--continue") == "continued\n"
    assert running.wait() == 0
    assert len(trainers(place)) == 3
    assert states(place) == dict.fromkeys(RUNS, "trained")
    assert processes.run(*words(place, "--pause")).stderr.startswith("error: no study runs here")
    assert processes.start(*words(place)).wait() == 0
    assert len(trainers(place)) == 3, "nothing is trained twice"


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_no_training_outlives_its_study(place, how):
    (place / "into" / "hold").touch()
    running = processes.start(*words(place))
    processes.until(lambda: trainers(place), running)
    if how == signal.SIGTERM:
        assert said(place, "--stop") == "stopped\n"
    else:
        os.kill(running.pid, how)
    assert running.wait() == (-how if how == signal.SIGKILL else 1)
    (trainer,) = trainers(place)
    processes.until(lambda: state_of(trainer) in "ZX")
    (place / "into" / "hold").unlink()
    assert processes.start(*words(place)).wait() == 0
    assert states(place) == dict.fromkeys(RUNS, "trained")
    assert len(trainers(place)) == 4


def test_a_failed_run_is_told_and_the_others_are_trained(place):
    (place / "study.toml").write_text(
        FILE.replace('"resnet20", ', "").replace("seeds = {resnet20 = [1, 2]}", "")
        + '[[questions]]\nname = "high"\ntitle = "High"\nmodels = ["resnet20"]\nepochs = 1\n'
        "flags = {learning_rate = 2.0}\n"
    )
    done = processes.run(*words(place))
    assert done.returncode == 1
    assert "resnet20-digits failed: the loss is no longer a finite number" in done.stdout
    assert done.stdout.endswith(f"1 of 2 runs finished → {place / 'into'}\n")
    assert states(place) == {"squeezenet_v1_1-digits": "trained", "resnet20-digits": "failed"}
    (line,) = [row for row in said(place, "--status").splitlines() if row.startswith("resnet20")]
    assert line.endswith("the loss is no longer a finite number | where: --learning_rate=2.0")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--pause", "--stop"), "can't be combined"),
        (("--commit",), "--commit needs --release"),
        (("--release=x",), "--release and --noscore can't be combined"),
        (("other.toml",), "expected one study file"),
    ],
)
def test_flags_that_contradict(place, flags, message):
    done = processes.run(*words(place, *flags))
    assert done.returncode == 1
    assert message in done.stderr


def test_it_gives_way_to_every_other_program():
    child = os.fork()
    if child == 0:
        study._yield_to_others()
        idle = not hasattr(os, "SCHED_IDLE") or os.sched_getscheduler(0) == os.SCHED_IDLE
        os._exit(0 if idle and os.nice(0) == 19 else 1)
    assert os.waitpid(child, 0)[1] == 0
