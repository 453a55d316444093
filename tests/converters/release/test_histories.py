"""Training records: what is in them, what is left out, and publishing nothing else."""

import dataclasses
import json

import numpy as np
import pytest

from converters.release import histories
from tests.support import report_samples as samples
from zoo.catalog import RECIPES
from zoo.io.files import sha256_of, write_text
from zoo.schema import correct, epoch_log
from zoo.schema.json_files import append_record
from zoo.schema.run import ModelConfig, Run, TrainedOn

NAME = "dwresnet20_e3-digits"
RIGHT = np.array([True, False, True, True, False])
FILE = """
title = "Depthwise"
recipe = "short"
[flags]
dataset = "digits"
[[questions]]
name = "one"
title = "One network"
models = ["dwresnet20_e3"]
epochs = 2
"""


@pytest.fixture
def output(tmp_path):
    """A finished run of two epochs whose int8 file was scored twice, the second time validly."""
    folder = tmp_path / "output"
    recipe = dataclasses.replace(
        RECIPES["short"], model="dwresnet20_e3", dataset="digits", epochs=2, data_dir="/home/me/d"
    )
    rows = [
        {"epoch": epoch, "loss": 1 / epoch, "validation_accuracy": 0.4 * epoch, "seconds": 9.5,
         "cpu_seconds": 18.0, "eligible": 1}
        for epoch in (1, 2)
    ]  # fmt: skip
    write_text(folder / "runs" / NAME / "epochs.csv", epoch_log.to_csv(rows))
    write_text(folder / "runs" / NAME / "best.h5", "weights")
    weights = sha256_of(folder / "runs" / NAME / "best.h5")
    run = Run(
        name=NAME, stage="train", dataset="digits", recipe=recipe, validation_accuracy=0.8,
        config=ModelConfig(model="dwresnet20_e3", input_shape=(8, 8, 1), classes=10),
        trained_on=TrainedOn(
            labels=("0", "1"), mean=0, std=1, validation_images=9, train_images=1000
        ),
        weights="best.h5", weights_sha256=weights, best_epoch=2, versions={},
    )  # fmt: skip
    write_text(folder / "runs" / NAME / "run.json", run.model_dump_json())
    artifact = samples.artifact(f"{NAME}-int8", parent_run=NAME, parent_sha256=weights)
    write_text(folder / "artifacts" / f"{NAME}-int8.json", artifact.model_dump_json())
    for fields in (
        {"valid": False, "top1": None},
        {"images": 5, "top1": 0.6, "correct": correct.encode(RIGHT)},
    ):
        line = samples.scored(f"{NAME}-int8", 0.1).model_copy(update=fields)
        append_record(folder / "results.jsonl", line)
    return folder


def test_only_the_record_is_published_and_the_tables_are_made_of_it(output, command, tmp_path):
    release = tmp_path / "release"
    flags = (f"--output={output}", f"--run={NAME}", f"--release={release}", "--history_only")
    done = command("publish", *flags)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in release.rglob("*.*")) == [f"{NAME}.json", "index.json"]
    (listed,) = json.loads((release / "index.json").read_text())["others"]
    assert listed["path"] == f"runs/{NAME}.json"
    assert listed["sha256"] == sha256_of(release / "runs" / f"{NAME}.json")

    record = histories.load(release)[NAME]
    assert record.run.recipe.data_dir == "d", "no folder of the publisher"
    assert record.parameters == 730000
    assert [epoch.validation_accuracy for epoch in record.epochs] == [0.4, 0.8]
    assert [epoch.cpu_seconds for epoch in record.epochs] == [18, 18]
    score = record.scores["int8"]
    assert score.top1 == 0.6
    np.testing.assert_array_equal(correct.decode(score.correct, score.images), RIGHT)

    study, page = tmp_path / "study.toml", tmp_path / "page.md"
    study.write_text(FILE)
    page.write_text("# Title\n\n<!-- study -->\nold\n<!-- /study -->\n\nThe end.\n")
    tables = ("studies.study_tables", f"--study={study}", f"--release={release}")
    made = command(*tables, f"--markdown={page}")
    assert made.returncode == 0, made.stderr
    assert made.stdout == f"{page}: 1 of 1 runs\n"
    text = page.read_text()
    assert "old" not in text
    assert (
        "| `dwresnet20_e3` | 1 | 2 | 2,000 | 0.0 | 730,000 | 80.00 | not scored | 60.00 (" in text
    )
    assert "![Validation accuracy against epochs](study_one.svg)" in text
    assert (tmp_path / "study_one.svg").read_text().startswith("<svg")
    assert command(*tables).stdout.count("### One network") == 1

    study.write_text(FILE.replace("epochs = 2", "epochs = 3"))
    other = command(*tables)
    assert other.returncode == 1
    assert "no finished run of this study" in other.stderr


def test_a_run_without_an_epoch_log_is_refused(output, command, tmp_path):
    (output / "runs" / NAME / "epochs.csv").unlink()
    release = tmp_path / "release"
    done = command("publish", f"--output={output}", f"--run={NAME}", f"--release={release}")
    assert done.returncode == 1
    assert "epoch log" in done.stderr
    assert not release.exists()
