"""Training on real digits: resuming after kill -9, equal weights, and what stops it."""

import json
import re
import shutil
import signal

import numpy as np
import pytest
import tf_keras

from tests.conftest import DIGITS_ZEROS
from tests.support import processes
from zoo import runs
from zoo.errors import ZooError
from zoo.io.files import sha256_of
from zoo.pretrained import checkpoint, transfer
from zoo.schema.json_files import read_records
from zoo.training.checkpoints import CheckpointWriter

FLAGS = (
    "--recipe=digits_quick",
    "--epochs=3",
    "--epoch_images=128",
    "--image_size=16",
    # Everything that a step draws or keeps.
    *("--crop=1", "--flip", "--erase=0.5", "--mixup=0.2", "--label_smoothing=0.1", "--ema=0.9"),
    "--coupled_decay",
)


@pytest.mark.slow
@pytest.mark.parametrize(("step", "epoch"), [(6, 1), (11, 2)])
def test_a_run_killed_and_out_of_space_goes_on_and_ends_with_the_same_weights(
    unbroken, tmp_path, step, epoch
):
    log = tmp_path / "runs" / "squeezenet_v1_1-digits" / "epochs.csv"
    words = ("scripts.train", *FLAGS, f"--output={tmp_path}")
    # Four steps an epoch: in the midst of the second or of the third.
    killed = processes.run("tests.support.mishap", f"kill_at_step={step}", *words)
    assert killed.returncode == -signal.SIGKILL
    assert re.findall(r"epoch (\d)/3:", killed.stdout)[-1:] == [str(epoch)]
    assert not (log.parent / "run.json").exists()

    # As on a full disk: no file may grow beyond a part of a checkpoint.
    full = processes.run("tests.support.mishap", "file_bytes=100000", *words)
    assert full.returncode == 1
    assert re.search(r"can't write the checkpoint.*free some space", full.stderr), full.stderr
    assert full.stderr.count("\n") == 1

    again = processes.run(*words)
    assert again.returncode == 0, again.stderr
    assert "resuming after epoch" in again.stdout
    assert log.read_text().count("\n") == 4  # a header and three epochs, none twice

    one, two = weights_of(unbroken), weights_of(log.parent)
    assert one.keys() == two.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], two[name], err_msg=name)

    third = processes.run(*words)
    assert third.returncode == 0
    assert "is already trained" in third.stdout
    records, _ = read_records(tmp_path / "results.jsonl")
    assert len(records) == 1


@pytest.fixture(scope="module")
def unbroken(command, tmp_path_factory):
    """The run of an unbroken training."""
    output = tmp_path_factory.mktemp("unbroken")
    done = command("train", *FLAGS, f"--output={output}")
    assert done.returncode == 0, done.stderr
    return output / "runs" / "squeezenet_v1_1-digits"


def weights_of(run):
    """All arrays of a run's weights, by their names in the file."""
    import h5py

    found: dict[str, np.ndarray] = {}
    with h5py.File(run / "best.h5") as file:
        file.visititems(
            lambda name, item: found.__setitem__(name, item[()]) if hasattr(item, "shape") else None
        )
    return found


def test_the_chain_keeps_its_promises(digits):
    records, problems = read_records(digits / "results.jsonl")
    assert problems == []
    trained, pruned, qat = (r for r in records if r.kind in ("train", "compress"))
    assert trained.validation_accuracy >= 0.9
    assert qat.validation_accuracy >= 0.9
    assert trained.zeros == 0
    assert pruned.zeros == pytest.approx(DIGITS_ZEROS, abs=0.001)
    assert qat.zeros == pytest.approx(pruned.zeros, abs=0.005)
    for record in records:
        assert record.command[:2] == ("python", "-m")
        assert "tensorflow" in record.versions
    for run in digits.glob("runs/*/run.json"):
        description = json.loads(run.read_text())
        assert sha256_of(run.parent / description["weights"]) == description["weights_sha256"]


@pytest.mark.parametrize(
    ("script", "flags", "message"),
    [
        ("train", ["--model=squeezenet_v11"], r"unknown model.*did you mean squeezenet_v1_1"),
        ("train", ["--recipe=digits"], r"unknown recipe.*did you mean digits_quick"),
        ("train", ["--dataset=digit"], r"unknown dataset.*did you mean digits"),
        ("train", ["--epochs=0"], r"--epochs.*above 0"),
        ("train", ["--image_size=0"], r"--image_size.*above 0"),
        ("train", ["--name=../../etc"], r"--name"),
        ("compress", ["--run=nothing", "--scheme=prune"], r"no such run.*zoo train"),
        ("compress", ["--scheme=prune"], r"--run is required"),
        ("compress", ["--run=x", "--scheme=prun"], r"unknown --scheme.*did you mean prune"),
        ("convert", ["--run=x", "--precision=int4"], r"no such run|unknown --precision"),
        ("benchmark", ["--artifact=nothing"], r"unknown artifact"),
        ("benchmark", ["--artifact=nothing.tflite"], r"the \.tflite file does not exist"),
        ("benchmark", ["--runtime=litrt"], r"unknown runtime.*did you mean litert"),
        ("benchmark", ["--delegate=xnpack"], r"unknown phone delegate.*did you mean xnnpack"),
    ],
)
def test_bad_input_is_one_line(command, tmp_path, script, flags, message):
    done = command(script, f"--output={tmp_path / 'output'}", *flags)
    assert done.returncode == 1
    assert re.search(message, done.stderr), done.stderr
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.rglob("*.*"))


def test_wrong_flag_is_one_line_and_exit_2(command):
    done = command("train", "--epocs=3")
    assert done.returncode == 2
    assert re.search(r"Did you mean: .*\bepochs\b", done.stderr)
    assert done.stderr.count("\n") == 1


def test_another_plan_in_the_same_folder_is_refused(command, digits):
    done = command("train", "--recipe=digits_quick", "--epochs=9", f"--output={digits}")
    assert done.returncode == 1
    assert "different epochs" in done.stderr


def test_divergence_stops_with_a_hint(command, tmp_path):
    flags = ("--recipe=digits_quick", "--image_size=16", "--epochs=1", "--learning_rate=1e30")
    done = command("train", *flags, f"--output={tmp_path}")
    assert done.returncode == 1
    assert "no longer a finite number" in done.stderr
    assert "learning rate" in done.stderr
    # Nothing is left that would refuse the next try.
    assert not list(tmp_path.glob("runs/*"))


def test_a_start_that_failed_is_forgotten_and_a_checkpoint_never(tmp_path):
    folder = tmp_path / "run"
    for kept in (None, "checkpoints/checkpoint", "epochs.csv"):
        runs.begin(folder, {"stage": "train"})
        (folder / "start.h5").touch()
        for name in ("checkpoints", "tensorboard"):
            (folder / name).mkdir()
        if kept:
            (folder / kept).touch()
        with pytest.raises(ZooError, match="wrong"), runs.beginning(folder):
            raise ZooError("wrong")
        assert (folder / "plan.json").exists() == folder.exists() == bool(kept)
        shutil.rmtree(folder, ignore_errors=True)


def test_a_log_of_epochs_is_written_alike_and_refused_when_damaged(tmp_path):
    model = tf_keras.Sequential([tf_keras.layers.Dense(2, input_shape=(3,))])
    for epoch in (1, 2):
        keeper = CheckpointWriter({"model": model}, tmp_path, tmp_path)  # goes on each time
        row = {"epoch": epoch, "loss": 0.5, "validation_accuracy": 1.0, "eligible": 1}
        keeper.log(row, model, 0.1)
        keeper.finish(epoch)
    log = tmp_path / "epochs.csv"
    whole = log.read_text()
    assert whole.split() == [
        "epoch,loss,validation_accuracy,eligible",
        "1,0.5,1.0,1",
        "2,0.5,1.0,1",
    ]
    lines = whole.splitlines()
    for damaged in (
        lines[:1],
        lines[:2],
        ["x", "1"],
        [*lines[:2], "2,0.5"],
        [*lines[:2], "2,a,b,1"],
    ):
        log.write_text("\n".join(damaged))
        with pytest.raises(ZooError, match=r"epoch log is damaged.*epochs\.csv"):
            CheckpointWriter({"model": model}, tmp_path, tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"stage": "train"'])
def test_a_damaged_plan_is_refused(tmp_path, text):
    (tmp_path / "plan.json").write_text(text)
    with pytest.raises(ZooError, match=r"plan is not valid.*plan\.json.*delete"):
        runs.begin(tmp_path, {"stage": "train"})


@pytest.mark.parametrize("damage", ["weights", "json"])
def test_damaged_run_is_refused(command, digits, tmp_path, damage):
    shutil.copytree(digits / "runs" / "squeezenet_v1_1-digits", tmp_path / "runs" / "r")
    path = tmp_path / "runs" / "r" / ("best.h5" if damage == "weights" else "run.json")
    path.write_bytes(path.read_bytes()[:-100])
    done = command("convert", "--run=r", f"--output={tmp_path}")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert str(path) in done.stderr
    assert not (tmp_path / "artifacts").exists()


@pytest.mark.slow
def test_learning_from_a_teacher(command, digits, tmp_path):
    teacher = "squeezenet_v1_1-digits"
    shutil.copytree(digits / "runs" / teacher, tmp_path / "runs" / teacher)
    flags = ["--recipe=digits_quick", "--image_size=16", "--model=squeezenet_v1_1", "--width=0.25",
             "--epochs=6", f"--output={tmp_path}", f"--teacher={teacher}"]  # fmt: skip
    done = command("train", *flags, "--name=pupil", "--distill_weight=1")
    assert done.returncode == 0, done.stderr
    run = json.loads((tmp_path / "runs" / "pupil" / "run.json").read_text())
    assert run["teacher_sha256"] == sha256_of(tmp_path / "runs" / teacher / "best.h5")
    # All that it knows it has of the teacher: no label has a weight.
    assert run["validation_accuracy"] > 0.6
    other = command("train", *flags, "--name=other", "--image_size=24")
    assert other.returncode == 1
    assert re.search("teacher was trained with a different --image_size.*=16", other.stderr)
    # What was published of it teaches as well.
    taught, folder = tmp_path / "taught.safetensors", tmp_path / "runs" / teacher
    start = transfer.from_run(runs.load(folder), folder)
    taught.write_bytes(checkpoint.encode(teacher, start.config, start))
    done = command("train", *flags, "--name=second", "--epochs=1", f"--teacher={taught}")
    assert done.returncode == 0, done.stderr
    run = json.loads((tmp_path / "runs" / "second" / "run.json").read_text())
    assert run["teacher_sha256"] == sha256_of(taught)
    for flag, message in (
        ("--teacher=nobody", "unknown --teacher.*one of"),
        ("--teacher=resnet20-fashion_mnist-int8", "trained on images of a different shape"),
        ("--distill=dk", "did you mean dkd"),
    ):
        wrong = command("train", *flags, "--name=wrong", flag)
        assert wrong.returncode == 1 and re.search(message, wrong.stderr), wrong.stderr
        assert wrong.stderr.count("\n") == 1
