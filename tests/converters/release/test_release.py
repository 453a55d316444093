"""The release of this repository, recomputed from its files; and what keeps a release whole."""

import dataclasses
import json
import math
import os
import shutil
from hashlib import sha256
from pathlib import Path

import pytest
from pydantic import ValidationError
from safetensors.numpy import load

from converters.release import build, cards, index, read, result_lines
from converters.release.manifest import labels_path
from converters.release.measured import measured_in
from converters.release.staging import staged
from converters.release.verify import differences
from tests.conftest import ROOT
from tests.support.processes import HANG_S
from tests.support.report_samples import artifact, released, scored, timed
from tests.support.select import some
from zoo import catalog
from zoo.data import fashion_mnist
from zoo.errors import ZooError
from zoo.io.files import write_text
from zoo.runtime.sandbox import Sandbox
from zoo.schema.artifact import Artifact
from zoo.schema.json_files import append_record, read_model, read_records
from zoo.schema.measurement import Accuracy, TrainRecord
from zoo.schema.recipe import Recipe
from zoo.schema.release import Checkpoint, Entry, Index, packed
from zoo.schema.run import ModelConfig

RELEASE = ROOT / "release"
ARTIFACTS, CHECKPOINTS = (
    sorted(path.stem for path in (RELEASE / kind).glob("*.json"))
    for kind in ("artifacts", "checkpoints")
)
ONE = "dwresnet20_e3-fashion_mnist-int8"
_PACKED_QUICKLY = 170_000  # bytes of a file that is packed anew; the others take minutes together
# Of all pixels of the 28×28 training images, 0 to 1, as everyone knows them.
_MEAN, _DEVIATION = 0.2860, 0.3530


class Looked:
    """The release's result lines, and a process that says where its files run."""

    def __init__(self, runner):
        self.runner = runner
        self.records = read_records(RELEASE / "results.jsonl")[0]
        self.measured = measured_in(RELEASE)

    def differences(self, artifact, repack=False):
        path = RELEASE / "artifacts" / f"{artifact.name}.tflite"
        return differences(
            RELEASE,
            read.content(path),
            artifact,
            self.runner.placement(path),
            ARTIFACTS,
            self.measured[artifact.name],
            self.records,
            repack,
        )


@pytest.fixture(scope="module")
def looked():
    with Sandbox("litert", HANG_S) as runner:
        yield Looked(runner)


def manifest(name):
    return read.manifest(RELEASE / "artifacts" / f"{name}.json", Artifact)


def one_of_each_kind():
    """Names of artifacts: one of each family, and one of each precision."""
    kinds: dict[str, str] = {}
    for name in ARTIFACTS:
        told = manifest(name)
        kinds.setdefault(catalog.model_spec(told.model).family, name)
        kinds.setdefault(told.precision, name)
    return kinds.values()


@pytest.mark.parametrize("name", some(ARTIFACTS, *one_of_each_kind()))
def test_an_artifact_is_what_its_manifest_says(looked, name):
    artifact = manifest(name)
    assert looked.differences(artifact, artifact.bytes < _PACKED_QUICKLY) == []
    assert artifact.released.accuracies
    assert artifact.released.parent in (None, *ARTIFACTS)
    if artifact.dataset == "fashion_mnist":
        assert artifact.labels == fashion_mnist.LABELS
        share = 28 * 28 / math.prod(artifact.inputs[0].shape[1:3])  # the rest is zeros around it
        square = share * (_MEAN**2 + _DEVIATION**2)
        deviation = math.sqrt(square - (share * _MEAN) ** 2)
        told = artifact.preprocessing
        assert told["mean"] == [pytest.approx(255 * share * _MEAN, rel=0.005)]
        assert told["std"] == [pytest.approx(255 * deviation, rel=0.005)]


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_a_checkpoint_is_what_its_manifest_says(name):
    path = RELEASE / "checkpoints" / f"{name}.json"
    told = read.manifest(path, Checkpoint)
    content = path.with_suffix(".safetensors").read_bytes()
    assert (len(content), sha256(content).hexdigest()) == (told.bytes, told.sha256)
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])["__metadata__"]
    assert header["name"] == told.run
    assert ModelConfig.model_validate_json(header["config"]) == told.config
    assert sum(array.size for array in load(content).values()) == told.parameters
    made = [each for each in map(manifest, ARTIFACTS) if each.parent_run == told.run]
    assert {each.parent_sha256 for each in made} == {told.run_sha256}
    assert {(each.model, each.dataset) for each in made} == {(told.model, told.dataset)}


def test_the_index_is_that_of_the_files():
    told = read_model(RELEASE / "index.json", Index, "the index", "")
    assert index.build(RELEASE, *build.manifests(RELEASE)) == told


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("gzip_bytes", 1),
        ("labels", list("abcdefghij")),
        ("preprocessing", {"channels": "gray", "mean": [1.0], "std": [84.6]}),
        ("parent_sha256", "0" * 64),
        ("dataset", "digits"),
        ("zeros", 0.5),
        ("released.zip_bytes", 1),
        ("released.input_range", {"low": 0, "high": 1}),
        ("released.parent", None),
        ("released.labels", "../labels.txt"),
        ("released.commands", ["rm"]),
        ("released.accuracies", []),
    ],
)
def test_a_manifest_that_says_otherwise_is_found(looked, field, value):
    told = json.loads((RELEASE / "artifacts" / f"{ONE}.json").read_text())
    place = told
    *way, last = field.split(".")
    for step in way:
        place = place[step]
    place[last] = value
    found = looked.differences(Artifact.model_validate(told))
    assert any(last in each for each in found), found


@pytest.mark.parametrize("field", ["name", "model", "dataset", "precision", "parent_run"])
@pytest.mark.parametrize("value", ["../../x", "a/b", ".hidden", "", "-x", "a" * 151])
def test_what_paths_are_made_of_is_a_name(field, value):
    with pytest.raises(ValidationError):
        Artifact.model_validate({**manifest(ONE).model_dump(), field: value})


@pytest.mark.parametrize("kind", ["artifacts", "checkpoints"])
def test_a_manifest_of_another_file_is_refused(tmp_path, kind):
    (tmp_path / kind).mkdir()
    name = {"artifacts": ONE, "checkpoints": CHECKPOINTS[0]}[kind]
    shutil.copy(RELEASE / kind / f"{name}.json", tmp_path / kind / "other.json")
    with pytest.raises(ZooError, match="names another file"):
        build.manifests(tmp_path)


def test_a_packed_file_is_read_as_the_plain_one(tmp_path):
    from converters.packing.pack import pack

    content = bytes(range(256)) * 8
    path = tmp_path / "x.tflite"
    packed(path).write_bytes(pack(content).data)
    assert read.content(path) == content
    path.write_bytes(b"plain")
    assert read.content(path) == b"plain"
    with pytest.raises(ZooError, match="cannot read the model"):
        read.content(tmp_path / "none.tflite")


@pytest.fixture
def small(tmp_path):
    release = tmp_path / "release"
    for name in ("artifacts/old.tflite", "artifacts/same.tflite", "index.json", "notes.txt"):
        (release / name).parent.mkdir(parents=True, exist_ok=True)
        (release / name).write_text(name)
    return release


def change(copy):
    (copy / "artifacts" / "old.tflite").unlink()
    for name in ("artifacts/new.tflite", "index.json"):
        (copy / name).unlink(missing_ok=True)  # as files are replaced, never changed
        (copy / name).write_text("new")


def test_a_release_takes_what_was_staged_with_the_index_last(small, monkeypatch):
    done = []
    for act in ("replace", "unlink"):
        before = getattr(Path, act)

        def noted(path, *rest, act=act, before=before, **named):
            if (act == "replace" and small in rest[0].parents) or small in path.parents:
                done.append((act, path.name))
            return before(path, *rest, **named)

        monkeypatch.setattr(Path, act, noted)
    with staged(small) as copy:
        change(copy)
        assert (small / "artifacts" / "old.tflite").exists()
    assert done == [("replace", "new.tflite"), ("replace", "index.json"), ("unlink", "old.tflite")]
    assert sorted(path.name for path in small.rglob("*.*")) == [
        "index.json", "new.tflite", "notes.txt", "same.tflite",
    ]  # fmt: skip
    assert [path.name for path in small.parent.iterdir()] == ["release"]


def test_a_failure_leaves_the_release_as_it_was(small):
    before = {path: path.read_text() for path in small.rglob("*.*")}
    with pytest.raises(KeyboardInterrupt), staged(small) as copy:
        change(copy)
        raise KeyboardInterrupt
    assert {path: path.read_text() for path in small.rglob("*.*")} == before
    assert [path.name for path in small.parent.iterdir()] == ["release"]


def test_without_hard_links_files_are_copied(small, monkeypatch):
    def refuse(*_):
        raise PermissionError

    monkeypatch.setattr(os, "link", refuse)
    with staged(small) as copy:
        change(copy)
    assert (small / "artifacts" / "same.tflite").read_text() == "artifacts/same.tflite"
    assert (small / "index.json").read_text() == "new"


def test_own_pictures_have_labels_by_run():
    own = manifest(ONE).model_copy(update={"dataset": "image_folder"})
    paths = {labels_path(own.model_copy(update={"parent_run": run})) for run in ("a", "b")}
    assert paths == {"labels/image_folder-a.txt", "labels/image_folder-b.txt"}
    assert labels_path(manifest(ONE)) == "labels/fashion_mnist.txt"


def test_a_card_trains_on_with_the_network_that_was_published():
    told = read.manifest(RELEASE / "checkpoints" / f"{CHECKPOINTS[0]}.json", Checkpoint)
    recipe = dataclasses.replace(
        told.recipe, dataset="digits", image_size=16, width=0.5, batch_norm=False
    )
    arguments = {"squeeze_ratio": 0.25, "bypass": "simple", "wide": True}
    config = told.config.model_copy(update={"arguments": arguments})
    changed = told.model_copy(update={"recipe": recipe, "config": config})
    made = [each for each in map(manifest, ARTIFACTS) if each.parent_run == told.run]
    card = cards.markdown(told.run, made, changed)
    (line,) = [line for line in card.splitlines() if "--name=" in line]
    assert line.split() == [
        "zoo", "train",
        f"--model={told.model}", "--dataset=digits", "--image_size=16", "--width=0.5",
        "--nobatch_norm", "--arguments=squeeze_ratio:0.25,bypass:simple,wide:true",
        f"--init_from={told.run}", f"--name={told.run}-more",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("--data_dir=/home/me/pics", ["--data_dir=pics"]),
        ("--init_from ../me/w.net", ["--init_from", "w.net"]),
        ("--models=/a/b.tflite,c", ["--models=b.tflite,c"]),
        (r"--archive=C:\me\a.tar", ["--archive=a.tar"]),
        ("--output=/home/me/out --flip", ["--flip"]),
        ("--output /home/me/out --flip", ["--flip"]),
        ("-output=out --noflip", ["--noflip"]),
        ("/home/me/train.py --grid=pct3x3=0.25,0.5", ["train.py", "--grid=pct3x3=0.25,0.5"]),
    ],
)
def test_commands_are_published_without_folders(typed, told):
    records = read_records(RELEASE / "results.jsonl")[0]
    record = next(each for each in records if isinstance(each, TrainRecord))
    record = record.model_copy(update={"command": tuple(typed.split())})
    assert list(result_lines.public_record(record).command) == told


def test_reasons_and_recipes_are_published_without_folders():
    records = read_records(RELEASE / "results.jsonl")[0]
    record = next(each for each in records if isinstance(each, Accuracy))
    reasons = ("cannot read | /home/me/a.png | at 3/4 of http://x/y", "~/pics is not there")
    found = result_lines.public_record(record.model_copy(update={"reasons": reasons}))
    assert found.reasons == (
        "cannot read | a.png | at 3/4 of http://x/y",
        "pics is not there",
    )
    recipe = Recipe(name="x", data_dir="/home/me/pics", teacher="/home/me/runs/big")
    assert result_lines.public_recipe(recipe) == Recipe(name="x", data_dir="pics", teacher="big")


def test_an_accuracy_from_a_manifest_is_not_published_as_measured(tmp_path):
    manifest = artifact("a", released=released(0.9486))
    write_text(tmp_path / "artifacts" / "a.json", manifest.model_dump_json())
    append_record(tmp_path / "results.jsonl", timed("a", 1.0))
    assert measured_in(tmp_path)["a"].accuracies == ()
    append_record(tmp_path / "results.jsonl", scored("a", 0.91))
    assert [metric.top1 for metric in measured_in(tmp_path)["a"].accuracies] == [0.91]


def test_search_finds_what_the_words_and_limits_say(command):
    flags = ("--max_kb=400", "--sort=top1", "--descending")
    done = command("search", "FASHION", "int8", *flags, "--json")
    assert done.returncode == 0, done.stderr
    found = [Entry.model_validate(entry) for entry in json.loads(done.stdout)]
    index_ = read_model(RELEASE / "index.json", Index, "index", "")
    assert {entry.name for entry in found} == {
        entry.name
        for entry in index_.entries
        if "fashion" in entry.name and "int8" in entry.name and entry.download.bytes <= 400_000
    }
    assert len(found) > 3
    rates = [entry.top1 or 0.0 for entry in found]
    assert rates == sorted(rates, reverse=True)

    least, device = rates[2], next(iter(found[0].latency_us))
    table = command("search", "fashion", "int8", *flags, f"--min_top1={100 * least}",
                    f"--device={device}")  # fmt: skip
    head, *rows = table.stdout.splitlines()
    assert head.split()[:2] == ["name", "kB"] and f"ms, {device}" in head
    assert [row.split()[0] for row in rows][:3] == [entry.name for entry in found[:3]]
    quick = sorted(entry.latency_us[device] for entry in found)[1] / 1e3
    limited = command("search", "fashion", "int8", *flags, f"--max_ms={quick}", "--json")
    assert {entry["name"] for entry in json.loads(limited.stdout)} == {
        entry.name for entry in found if entry.latency_us[device] / 1e3 <= quick
    }


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--sort=topp1", "did you mean top1"),
        ("--dataset=fashion", "did you mean fashion_mnist"),
        ("--device=nobody", "unknown --device 'nobody'"),
        ("--max_kb=0", "no model passes the filters"),
    ],
)
def test_search_refuses(command, flag, message):
    done = command("search", flag)
    assert done.returncode == 1
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
