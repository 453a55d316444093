"""The tables of a study: means over seeds, paired differences, and what is missing."""

import numpy as np
import pytest

from converters.studies import study_table
from zoo.schema import correct
from zoo.schema.history import EpochResult, RunHistory, TestScore
from zoo.schema.run import ModelConfig, Run, TrainedOn
from zoo.sweeps.study import plan

FILE = """
title = "Shifts"
recipe = "short"
[flags]
dataset = "digits"
[[questions]]
name = "shift"
title = "Shift & depthwise"
models = ["dwresnet20_e3", "shiftresnet20_e3", "asresnet20_e3"]
epochs = 2
seeds = {shiftresnet20_e3 = [1, 2]}
"""


@pytest.fixture
def study(tmp_path):
    (tmp_path / "study.toml").write_text(FILE)
    return plan.load(tmp_path / "study.toml")


def record(run, right, validation=0.5, cpu_s=1800.0):
    """The record of a finished run whose float32 file classifies `right` of ten images."""
    right = np.asarray(right, bool)
    score = TestScore(images=10, top1=right.mean(), correct=correct.encode(right))
    recipe = run.point.recipe
    epochs = [
        EpochResult(loss=1, validation_accuracy=v, seconds=9, cpu_seconds=cpu_s)
        for v in (0.25, validation)
    ]
    trained_on = TrainedOn(labels=("0", "1"), mean=0, std=1, validation_images=9, train_images=1000)
    return RunHistory(
        run=Run(
            name=run.name, stage="train", dataset="digits", trained_on=trained_on, recipe=recipe,
            config=ModelConfig(model=recipe.model, input_shape=(8, 8, 1), classes=10),
            weights="best.h5", weights_sha256="0" * 64, validation_accuracy=validation,
            best_epoch=2, versions={},
        ),
        parameters=12345,
        epochs=epochs,
        scores={"float32": score},
    )  # fmt: skip


def cells(study, records):
    rows = study_table.networks(study.file.questions[0], study, records)
    lines = study_table.table(rows).splitlines()
    assert {line.count("|") for line in lines} == {12}
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_a_row_says_what_was_trained_and_how_it_differs(study):
    depthwise, shift, active, again = study.runs
    first = [1, 1, 1, 1, 1, 1, 1, 0, 0, 0]
    records = {
        depthwise.name: record(depthwise, first),
        shift.name: record(shift, [1, 1, 1, 1, 1, 1, 0, 0, 0, 0], 0.52, 3600.0),
        again.name: record(again, [1, 1, 1, 1, 0, 0, 0, 0, 0, 0], 0.48, 7200.0),
        active.name: record(active, first),
    }
    one, two, three = cells(study, records)
    assert one[:6] == ["`dwresnet20_e3`", "1", "2", "2,000", "1.0", "12,345"]
    assert one[6] == "50.00"
    assert one[7].startswith("70.00 (39.7–89.2)")  # Wilson's interval of 7 in 10
    assert one[8:] == ["not scored", "", "none"]
    assert two[1] == "1, 2"
    assert two[4] == "3.0"  # (2 + 4) / 2 hours
    assert two[6] == "50.00 ± 2.83"
    assert two[7] == "50.00 ± 14.14"
    assert two[9].startswith("-20.00 (")
    assert two[10] == "89.56 CIFAR-10, 160 epochs; 65.83 CIFAR-100, 160 epochs"
    assert three[9].startswith("+0.00 (-")


def test_what_is_missing_is_said(study):
    shift = study.runs[1]
    one, two, three = cells(study, {shift.name: record(shift, [1] * 10)})
    assert one[:3] == ["`dwresnet20_e3`", "1", "not trained yet"]
    assert two[1] == "1 of 2"
    assert two[9] == "not comparable"
    assert three[2] == "not trained yet"


def test_a_record_of_other_settings_is_not_of_this_study(study):
    depthwise = study.runs[0]
    other = record(depthwise, [1] * 10)
    recipe = type(other.run.recipe)(**{**vars(other.run.recipe), "epochs": 3})
    other = other.model_copy(update={"run": other.run.model_copy(update={"recipe": recipe})})
    assert cells(study, {depthwise.name: other})[0][2] == "not trained yet"


def test_the_chart_has_a_line_for_each_run(study):
    records = {run.name: record(run, [1] * 10) for run in study.runs}
    rows = study_table.networks(study.file.questions[0], study, records)
    drawn = study_table.chart(study.file.questions[0], rows)
    assert "Shift &amp; depthwise" in drawn
    assert "validation accuracy, %" in drawn
    assert drawn.count('aria-roledescription="line mark"') == 4
