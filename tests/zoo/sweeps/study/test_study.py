"""A real study on digits: killed, moved, ended with the same weights, published and committed."""

import random
import shutil
import signal
import subprocess

import pytest

from converters.release import histories
from tests.support import processes
from zoo import runs
from zoo.schema import correct, epoch_log
from zoo.stats import paired

FILE = """
title = "A tiny study"
recipe = "short"
[flags]
dataset = "digits"
validation_images = 200
batch_size = 32
image_size = 16
epoch_images = 96
width = 0.25
[[questions]]
name = "shift"
title = "Shift"
models = ["shiftresnet20_e3"]
epochs = 3
seeds = {shiftresnet20_e3 = [1, 2]}
"""
FIRST, SECOND = "shiftresnet20_e3-digits", "shiftresnet20_e3-digits-seed_2"


def study(place, into, *flags):
    # At the lowest priority, a busy computer would hardly run it.
    words = (str(place / "study.toml"), f"--into={into}", "--nolowest_priority", *flags)
    return processes.start("scripts.study", *words)


def git(folder, *words):
    words = ("git", "-C", str(folder), *words)
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def weights(into, name):
    return runs.load(into / "runs" / name).weights_sha256


@pytest.mark.slow
def test_killed_at_a_random_moment_and_moved_it_ends_with_the_same_weights(tmp_path):
    (tmp_path / "study.toml").write_text(FILE)
    whole = tmp_path / "whole"
    assert study(tmp_path, whole, "--noscore").wait() == 0

    seed = random.randrange(1000)
    print(f"moments by random.Random({seed})")
    draw, into = random.Random(seed), tmp_path / "moved-0"
    for move in range(3):
        process = study(tmp_path, into, "--noscore")
        log, size = into / "logs" / f"{FIRST}.log", 0
        # Each line of the log is a moment; the trainer writes one per epoch.
        for _ in range(draw.randint(1, 2)):
            processes.until(lambda: log.exists() and log.stat().st_size > size, process)  # noqa: B023
            size = log.stat().st_size
        process.send_signal(signal.SIGKILL)
        process.wait()
        shutil.move(into, tmp_path / f"moved-{move + 1}")
        into = tmp_path / f"moved-{move + 1}"
    assert study(tmp_path, into, "--noscore").wait() == 0
    for name in (FIRST, SECOND):
        assert weights(into, name) == weights(whole, name)
    assert weights(into, FIRST) != weights(into, SECOND)
    rows = epoch_log.read(into / "runs" / FIRST / "epochs.csv", "")
    assert len(rows) == 3
    assert all(row["cpu_seconds"] > 0 for row in rows)


@pytest.mark.slow
def test_each_finished_run_is_published_and_committed(tmp_path, command):
    (tmp_path / "study.toml").write_text(FILE.replace("epochs = 3", "epochs = 1"))
    repository = tmp_path / "repository"
    release = repository / "release"
    release.mkdir(parents=True)
    git(repository, "init", "--quiet")
    git(repository, "config", "user.name", "A user")
    git(repository, "config", "user.email", "user@example.org")
    (repository / "staged.txt").write_text("not of the study")
    git(repository, "add", "staged.txt")
    (release / ".gitkeep").touch()

    into = tmp_path / "into"
    flags = (
        f"--release={release}", "--commit", "--jobs=2", "--nolowest_priority",
        "--engines=",  # after an epoch the classes are so close that roundings decide
    )  # fmt: skip
    done = command("study", str(tmp_path / "study.toml"), f"--into={into}", "--plan")
    assert done.returncode == 0, done.stderr
    assert "shift: 2 runs of 1 epochs" in done.stdout
    done = command("study", str(tmp_path / "study.toml"), f"--into={into}", *flags, "--background")
    assert done.returncode == 0, done.stderr
    log = into / "study.log"
    processes.until(lambda: log.exists() and "runs finished" in log.read_text())
    assert "2 of 2 runs finished" in log.read_text()

    assert sorted(git(repository, "log", "--format=%s").splitlines()) == [
        f"Publish the run {FIRST}", f"Publish the run {SECOND}",
    ]  # fmt: skip
    assert git(repository, "status", "--porcelain").split() == ["A", "staged.txt"]
    records = histories.load(release)
    assert set(records) == {FIRST, SECOND}
    for name, record in records.items():
        assert record.run.weights_sha256 == weights(into, name)
        assert record.run.trained_on.train_images > 1000
        assert [epoch.validation_accuracy for epoch in record.epochs] == [
            record.run.validation_accuracy
        ]
        score = record.scores["int8"]
        right = correct.decode(score.correct, score.images)
        assert right.mean() == pytest.approx(score.top1)
    # Only the first seed has files.
    assert {path.name for path in (release / "artifacts").glob("*.tflite")} == {
        f"{FIRST}-float32.tflite", f"{FIRST}-int8.tflite",
    }  # fmt: skip
    assert paired(right, right)[0] == 0
    status = command(
        "study", str(tmp_path / "study.toml"), f"--into={into}", *flags[:1], "--status"
    )
    assert status.stdout.count("published") == 2
    # Published again, nothing changes.
    before = git(repository, "rev-parse", "HEAD")
    assert study(tmp_path, into, *flags).wait() == 0
    assert git(repository, "rev-parse", "HEAD") == before
