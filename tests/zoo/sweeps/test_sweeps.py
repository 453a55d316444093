"""Sweeps by Ray: real ones on digits, killed ones that go on, broken points, wrong flags."""

import csv
import dataclasses
import hashlib
import json
import os
import re
import signal
import tempfile
from pathlib import Path

import pytest

from tests.support import processes
from tests.support.select import some
from zoo import charts, runs
from zoo.catalog import RECIPES, build
from zoo.errors import ZooError
from zoo.models.macs import trainable_parameters
from zoo.schema.json_files import read_records
from zoo.schema.run import ModelConfig, Run, TrainedOn
from zoo.stats import wilson
from zoo.sweeps import axes, chart, table
from zoo.sweeps.sweep import Shared, SweepPoint

DIGITS = RECIPES["digits_quick"]
TINY = ("--recipe=digits_quick", "--epochs=1", "--epoch_images=64", "--image_size=16")


def _kill(process):
    process.kill()
    process.wait()


def _begun(output):
    """The rates of the trainings that began, and the last one's process."""
    path = output / "begun"
    lines = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
    return [float(rate) for _, rate in lines], int(lines[-1][0]) if lines else 0


def _start(output):
    """Starts a sweep of stubs, of which the third rate fails by itself."""
    rates = "--grid=learning_rate=0.2,0.1,2,0.4"
    return processes.start("tests.support.sweep_stub", "sweep", f"--output={output}", rates)


def _rows(output, name="stub"):
    with (output / "explore" / name / "table.csv").open() as stream:
        return list(csv.DictReader(stream))


def _gone(pid):
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    return "State:\tZ" in status


def _ray_folder(output):
    """Where Ray keeps its files for a sweep of the stub."""
    folder = str((output / "explore" / "stub").resolve())
    name = f"zoo-{hashlib.sha256(folder.encode()).hexdigest()[:12]}"
    return Path(tempfile.gettempdir()) / name


def _check_finished(output):
    """Of a sweep by `_start`, in which the training at 0.1 was killed last."""
    rows = {float(row["learning_rate"]): row for row in _rows(output)}
    assert [rate for rate, row in rows.items() if not row["failed"]] == [0.2, 0.4]
    assert rows[0.1]["failed"] == "the trainer was killed by SIGKILL"
    assert "no longer a finite number" in rows[2]["failed"]
    assert float(rows[0.4]["validation_accuracy"]) == pytest.approx(0.9)
    assert not _ray_folder(output).exists(), "nothing of Ray is left"
    assert not (output / "explore" / "stub" / "tune").exists()


def test_a_killed_training_costs_only_its_point(tmp_path):
    (tmp_path / "hold-0.1").touch()
    sweep = _start(tmp_path)
    processes.until(lambda: _begun(tmp_path)[0] == [0.2, 0.1], sweep)
    os.kill(_begun(tmp_path)[1], signal.SIGKILL)
    assert sweep.wait() == 0
    assert _begun(tmp_path)[0] == [0.2, 0.1, 2, 0.4]
    _check_finished(tmp_path)


@pytest.mark.slow
def test_killed_trainings_and_a_killed_sweep_go_on(tmp_path):
    for rate in (0.1, 0.4):
        (tmp_path / f"hold-{rate}").touch()
    sweep = _start(tmp_path)
    processes.until(lambda: _begun(tmp_path)[0] == [0.2, 0.1], sweep)
    os.kill(_begun(tmp_path)[1], signal.SIGKILL)
    processes.until(
        lambda: _begun(tmp_path)[0] == [0.2, 0.1, 2, 0.4], sweep
    )  # the others are tried
    _kill(sweep)
    processes.until(lambda: _gone(_begun(tmp_path)[1]))  # no training outlives its sweep
    assert _ray_folder(tmp_path).exists(), "left by the killed one"
    assert not (tmp_path / "explore" / "stub" / "table.csv").exists()

    (tmp_path / "hold-0.4").unlink()
    sweep = _start(tmp_path)
    processes.until(lambda: _begun(tmp_path)[0][4:] == [0.1], sweep)
    os.kill(_begun(tmp_path)[1], signal.SIGKILL)
    assert sweep.wait() == 0
    # What is finished is not begun again; what failed or was killed is.
    assert _begun(tmp_path)[0] == [0.2, 0.1, 2, 0.4, 0.1, 2, 0.4]
    _check_finished(tmp_path)


@pytest.mark.slow
def test_a_killed_search_goes_on_and_draws_no_point_twice(tmp_path):
    words = (
        "tests.support.sweep_stub", "sweep", f"--output={tmp_path}",
        "--search=learning_rate=0.001:0.9:log", "--grid=flip=true,false", "--trials=3",
    )  # fmt: skip
    (tmp_path / "hold").touch()
    sweep = processes.start(*words)
    processes.until(lambda: _begun(tmp_path)[0], sweep)
    _kill(sweep)
    processes.until(lambda: _gone(_begun(tmp_path)[1]))
    (tmp_path / "hold").unlink()

    for _ in range(2):  # the second time there is nothing to do
        assert processes.start(*words).wait() == 0
        rates, _ = _begun(tmp_path)
        assert rates[0] == rates[1], "the interrupted one is trained first"
        assert len(rates) == 4
        assert len(set(rates)) == 3
        rows = _rows(tmp_path)
        assert {float(row["learning_rate"]) for row in rows} == set(rates)
        assert {row["failed"] for row in rows} == {""}


@pytest.mark.slow
def test_a_real_sweep_on_digits(tmp_path, command):
    flags = (*TINY, f"--output={tmp_path}", "--width=0.25", "--name=ratios")
    done = command("explore", *flags, "--grid=squeeze_ratio=0.125")
    assert done.returncode == 0, done.stderr
    first = tmp_path / "runs" / "squeezenet_v1_1-digits-squeeze_ratio_0.125"
    weights = (first / "best.h5").stat()

    done = command("explore", *flags, "--grid=squeeze_ratio=0.125,2,0.5")
    assert done.returncode == 1, done.stderr  # since a point failed
    assert done.stderr == ""
    assert "1 of 3 points are already trained" in done.stdout
    assert "2 of 3 points trained" in done.stdout
    assert (first / "best.h5").stat() == weights
    assert len(read_records(tmp_path / "results.jsonl")[0]) == 2
    rows = _rows(tmp_path, "ratios")
    assert [row["parameters"] for row in rows] == ["53754", "", "182842"]
    assert "invalid metaparameter" in rows[1]["failed"]
    assert rows[0]["failed"] == rows[2]["failed"] == ""
    assert 0 < float(rows[2]["validation_accuracy"]) < 1
    drawn = (tmp_path / "explore" / "ratios" / "chart.svg").read_text()
    assert "parameters in float32, MB" in drawn
    assert ">0.125<" in drawn and ">0.5<" in drawn and ">2.0<" not in drawn
    run = json.loads((tmp_path / "runs" / rows[2]["run"] / "run.json").read_text())
    assert run["config"]["arguments"] == {"squeeze_ratio": 0.5}

    begun = command(
        "explore", *TINY, f"--output={tmp_path}", "--width=0.25", "--name=from", "--grid=seed=2",
        "--arguments=squeeze_ratio:0.125", f"--init_from={first.name}",
    )  # fmt: skip
    assert begun.returncode == 0, begun.stderr
    (row,) = _rows(tmp_path, "from")
    again = runs.load(first.with_name(row["run"]))
    assert again.init_from == first.name
    for start, whole in ((Shared(first.name, again.init_sha256), True), (Shared(), False)):
        point = SweepPoint(again.name, {}, again.recipe, again.config.arguments, start)
        assert (point.finished(tmp_path) is not None) == whole


def _sweep(what=None, grid=(), search=(), given=None, **changes):
    recipe = dataclasses.replace(DIGITS, **{"model": "squeezenet_v1_0", **changes})
    return axes.sweep(recipe, what, grid, search, given or {})


def test_the_explorations_of_the_paper():
    for what, count, fixed in (
        ("squeeze_ratio", 5, {"pct3x3": 0.5}),
        ("expand3x3", 6, {"squeeze_ratio": 0.5}),
        ("bypass", 3, {}),
    ):
        sweep, preset = _sweep(what)
        points = [sweep.point(values) for values in sweep.grid()]
        assert len(points) == len({point.name for point in points}) == count
        assert preset.top5.keys() <= set(preset.values)
        for point in points:
            assert point.arguments == {**fixed, **point.values}


@pytest.mark.parametrize(
    ("ratio", "mebibytes"),
    some([(0.125, 4.76), (0.25, 7.50), (0.5, 12.99), (0.75, 18.47), (1, 23.95)], (0.5, 12.99)),
)
def test_a_point_has_the_paper_s_size(ratio, mebibytes):
    config = ModelConfig(
        model="squeezenet_v1_0",
        input_shape=(227, 227, 3),
        classes=1000,
        arguments={"squeeze_ratio": ratio},
    )
    assert round(4 * trainable_parameters(build(config)) / 2**20, 2) == mebibytes


def test_a_point_s_flags_and_name():
    sweep, _ = _sweep(
        grid=["bypass=simple,none", "nesterov=false", "model=squeezenet_v1_1"],
        search=["learning_rate=1e-3:0.1:log"],
        given={"version": "1.0", "freq": "1"},
    )
    assert sweep.searched
    values = {"bypass": "none", "nesterov": False, "model": "squeezenet_v1_1"}
    point = sweep.point({**values, "learning_rate": 0.01234567})
    assert point.recipe.learning_rate == 0.01235
    assert point.flags() == [
        f"--name={point.name}",
        "--recipe=digits_quick",
        "--learning_rate=0.01235",
        "--nesterov=False",
        "--arguments=version:1.0,freq:1,bypass:none",
    ]
    assert point.name == (
        "squeezenet_v1_1-digits-version_1.0-freq_1-bypass_none-nesterov_False-learning_rate_0.01235"
    )
    assert sweep.point({**values, "learning_rate": 0.1}).recipe.learning_rate == 0.1

    longer, _ = _sweep(
        grid=["decay=cosine", "batch_size=64", "weight_decay=5e-4", "momentum=0.9,0.95"],
        given={"base_e": "128", "incr_e": "128", "freq": "2", "version": "1.0"},
    )
    names = [longer.point(values).name for values in longer.grid()]
    assert len(set(names)) == 2
    assert {len(name) for name in names} == {120}


def test_the_authors_figures_are_named_as_theirs(tmp_path):
    sweep, preset = _sweep("squeeze_ratio")
    points = [(sweep.point(values), "out of memory") for values in sweep.grid()]
    rows = table.rows(points, tmp_path, preset, lambda _: (1, 1))
    assert [row.top5 for row in rows] == [80.3, None, None, 86.0, None]
    page = table.markdown(rows, "Title", "command", "")
    assert "authors' top-5 on ImageNet" in page
    assert "| 0.75 |  |  |  |  | 86.0 | out of memory |" in page
    assert _sweep("squeeze_ratio", given={"base_e": "64"})[1] is None, "not their network"


def test_a_run_counts_where_it_began_alike_and_is_of_its_own_pictures():
    then = TrainedOn(labels=("a", "b"), mean=1, std=2, digest="1" * 64, validation_images=300)
    run = Run(
        name="r", stage="train", dataset="image_folder", recipe=DIGITS, trained_on=then,
        config=ModelConfig(model="resnet20", input_shape=(16, 16, 1), classes=2),
        init_sha256="2" * 64, teacher_sha256="3" * 64, weights="best.h5", weights_sha256="4" * 64,
        validation_accuracy=0.5, best_epoch=1, versions={},
    )  # fmt: skip
    whole = Shared("x", "2" * 64, teacher_sha256="3" * 64, data_sha256="1" * 64)
    assert whole.made(run) and Shared("x", "2" * 64).made(run)
    for name in ("init_sha256", "teacher_sha256", "data_sha256"):
        assert not dataclasses.replace(whole, **{name: "0" * 64}).made(run)
    of_before = run.model_copy(update={"trained_on": None})
    assert whole.made(of_before)
    # A folder with validation pictures of its own has not as many as the recipe says.
    assert table._interval(run) == wilson(0.5, 300)
    assert table._interval(of_before) == wilson(0.5, DIGITS.validation_images)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"grid": ["squeze_ratio=1"]}, r"unknown argument .* 'squeze_ratio'.*mean squeeze_ratio"),
        ({"grid": ["learning_rat=1"]}, r"field of a recipe.*did you mean learning_rate"),
        ({"grid": ["prune_sparsity=0.5"]}, r"unknown argument .* 'prune_sparsity'"),
        ({"grid": ["base_e=1.5"]}, r"base_e.*integer.*1\.5"),
        ({"grid": ["bypass=none,simpel"]}, r"bypass.*none, simple, complex.*simpel"),
        ({"grid": ["flip=maybe"]}, r"flip.*true or false"),
        ({"grid": ["model=alexnot"]}, r"unknown model 'alexnot'"),
        ({"grid": ["flip"]}, r"NAME=VALUE"),
        ({"grid": ["freq=1", "freq=2"]}, r"given twice.*freq"),
        ({"grid": ["freq=1"], "given": {"freq": "2"}}, r"given twice.*freq"),
        ({"given": {"frek": "2"}, "what": "bypass"}, r"unknown argument.*'frek'"),
        ({"what": "base_e"}, r"base_e has no fixed list of values.*--grid=base_e"),
        ({"what": "bypasses"}, r"unknown argument.*mean bypass"),
        ({"what": "bypass", "model": "alexnet"}, r"alexnet has no argument"),
        ({"search": ["learning_rate=0.1"]}, r"LOW:HIGH"),
        ({"search": ["learning_rate=0.1:0.01"]}, r"LOW below HIGH"),
        ({"search": ["learning_rate=0:1:log"]}, r"above 0"),
        ({"search": ["learning_rate=0.1:nan"]}, r"invalid range"),
        ({"search": ["bypass=1:2"]}, r"not a range of numbers"),
        ({}, r"one of --what, --grid and --search is required"),
    ],
)
def test_wrong_flags(flags, message):
    with pytest.raises(ZooError, match=message) as caught:
        _sweep(**flags)
    assert "\n" not in str(caught.value)


def test_without_ray_it_is_one_line(command, tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['ray'] = None\n")
    done = command(
        "explore", "--what=bypass", f"--output={tmp_path / 'o'}", PYTHONPATH=str(tmp_path)
    )
    assert done.returncode == 1
    assert "pip install 'mobile-model-zoo[cluster]'" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "o").exists()


def test_no_cluster_at_the_address_is_one_line(command, tmp_path):
    done = command(
        "explore", *TINY, "--what=bypass", f"--output={tmp_path}", "--address=127.0.0.1:1"
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: can't connect to the Ray cluster | where: 127.0.0.1:1 ")
    assert done.stderr.count("\n") == 1


def test_arguments_that_can_t_be_leave_no_folder(command, tmp_path):
    done = command("train", *TINY, "--arguments=squeeze_ratio:2", f"--output={tmp_path}")
    assert done.returncode == 1
    assert "invalid metaparameter" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not list((tmp_path / "runs").glob("*"))


def test_configurations_of_before_and_with_unknown_arguments():
    old = '{"model": "squeezenet_v1_1", "input_shape": [32, 32, 3], "classes": 10}'
    assert ModelConfig.model_validate_json(old).arguments == {}
    config = ModelConfig(
        model="squeezenet_v1_1", input_shape=(32, 32, 3), classes=10, arguments={"depth": 3}
    )
    with pytest.raises(ZooError, match="unknown argument of squeezenet_v1_1 'depth'"):
        build(config)
    again = ModelConfig.model_validate_json(
        config.model_copy(update={"arguments": {"a": True, "b": 1, "c": 0.5, "d": "1.0"}})
        .model_dump_json()
    )  # fmt: skip
    assert [type(v) for v in again.arguments.values()] == [bool, int, float, str]


def _drawn(grid, sizes, intervals=True):
    """The rows of a grid with these sizes, and their picture's text."""
    sweep, _ = _sweep(grid=grid)
    found = []
    for number, values in enumerate(sweep.grid()):
        accuracy = 0.5 + number / 20
        found.append(
            table.SweepRow(
                point=sweep.point(values), parameters=sizes[number % len(sizes)], accuracy=accuracy,
                interval=(accuracy - 0.03, accuracy + 0.04) if intervals else None,
            )
        )  # fmt: skip
    found.append(table.SweepRow(point=found[0].point, reason="out of memory"))
    drawn = chart.svg(found, sweep.axes, "Sweep")
    return drawn, re.findall(r">([^<>]+)</text>", drawn)


def test_a_picture_of_sizes_joins_the_points_of_a_numeric_axis():
    drawn, texts = _drawn(["squeeze_ratio=0.125,0.25,0.5"], [1_000_000, 2_000_000, 4_000_000])
    assert {"parameters in float32, MB", "validation accuracy, %", "Sweep"} <= set(texts)
    assert [text for text in texts if text in ("0.125", "0.25", "0.5")] == ["0.125", "0.25", "0.5"]
    assert {"4", "16"} <= set(texts), "megabytes of four bytes a parameter"
    assert any("Bars: 95 %" in text for text in texts)
    assert "mark-line" in drawn and "mark-rule" in drawn


def test_a_picture_of_names_has_no_line():
    drawn, texts = _drawn(["bypass=none,simple"], [1_000_000, 2_000_000], intervals=False)
    assert {"none", "simple"} <= set(texts)
    assert "mark-line" not in drawn
    assert not any("Bars" in text for text in texts)


def test_a_second_axis_has_colors_and_networks_of_one_size_show_the_values():
    drawn, texts = _drawn(["learning_rate=0.1,0.2,0.4", "nesterov=true,false"], [1_000_000])
    assert {"learning_rate", "nesterov", "True", "False"} <= set(texts)
    assert "parameters in float32, MB" not in texts
    assert "Point labels: learning_rate. Bars: 95 % confidence intervals." in texts
    for color in charts.COLORS[:2]:
        assert color in drawn
