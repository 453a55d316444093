"""A release made of real runs: what is in it, what is refused, and training on from it."""

import json
import re
import shutil

import pytest

from zoo import store
from zoo.files import sha256_of
from zoo.records import read_model
from zoo.release import Index
from zoo.types import Artifact

RUN = "squeezenet_v1_1-digits-pruned"


@pytest.fixture(scope="module")
def measured(command, digits, tmp_path_factory):
    """The digits' chain, scored."""
    output = tmp_path_factory.mktemp("publish") / "output"
    shutil.copytree(digits, output)
    done = command(
        "benchmark", f"--output={output}", "--device=host", "--runtime=litert",
        "--delegate=xnnpack", "--processes=1", "--min_secs=0.05",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return output


@pytest.fixture(scope="module")
def release(command, measured):
    folder = measured.parent / "release"
    runs = f"--run={RUN},{RUN}-qat"
    done = command("publish", f"--output={measured}", runs, f"--release={folder}")
    assert done.returncode == 0, done.stderr
    return folder


def content_of(folder):
    return {
        path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_all_is_there_and_as_the_index_says(release):
    index = read_model(release / "index.json", Index, "the index", "")
    assert {entry.name for entry in index.entries} == {
        *(f"{RUN}-{p}" for p in ("float32", "float16", "dynamic_int8", "int8", "int8_qat")),
        f"{RUN}-checkpoint",
    }
    listed = [
        *(each.download for each in index.entries),
        *(each.manifest for each in index.entries),
        *index.others,
    ]
    for file in listed:
        assert (release / file.path).stat().st_size == file.bytes
        assert sha256_of(release / file.path) == file.sha256
    assert len(content_of(release)) == len({file.path for file in listed}) + 1
    assert str(release.parent).encode() not in b"".join(content_of(release).values())


def test_a_manifest_tells_it_all(release):
    manifest = read_model(release / "artifacts" / f"{RUN}-int8.json", Artifact, "", "")
    told = manifest.released
    assert told.parent == f"{RUN}-float32"
    assert told.accuracies[0].images == 397
    assert told.accuracies[0].low < told.accuracies[0].top1 < told.accuracies[0].high
    assert told.timings[0].latency_us > 0
    scale, zero = manifest.inputs[0].scale, manifest.inputs[0].zero_point
    assert told.input_range.low == pytest.approx(scale * (-128 - zero), abs=1e-3)
    assert told.container_bytes < told.zip_bytes < manifest.bytes
    assert [command.split()[2] for command in told.commands] == [
        "scripts.train", "scripts.compress", "scripts.convert",
    ]  # fmt: skip
    labels = (release / told.labels).read_text().split()
    assert labels == list("0123456789")


def test_publishing_twice_gives_identical_bytes(command, measured, release, tmp_path):
    again = tmp_path / "again"
    shutil.copytree(release, again)
    for flags in (f"--run={RUN},{RUN}-qat", "--run="):
        done = command("publish", f"--output={measured}", flags, f"--release={again}")
        assert done.returncode == 0, done.stderr
        assert content_of(again) == content_of(release)


def test_the_card_has_front_matter_and_every_file(release):
    card = (release / "cards" / f"{RUN}.md").read_text()
    front = re.match(r"---\n(.*?)\n---\n", card, re.S).group(1)
    for key in ("license: apache-2.0", "library_name: litert", "pipeline_tag:", "model-index:"):
        assert key in front
    for precision in ("float32", "int8", "int8_qat"):
        assert f"`{RUN}-{precision}.tflite`" in card
    assert "None" not in card


def test_the_index_page_leads_to_what_is_there(release):
    page = (release / "index.html").read_text()
    links = set(re.findall(r'href="([^"#]+)"', page)) - {"data:,"}
    assert f"cards/{RUN}.md" in links and f"artifacts/{RUN}-int8.tflite" in links
    assert all((release / link).is_file() for link in links)
    index = read_model(release / "index.json", Index, "the index", "")
    assert "index.html" in {file.path for file in index.others}
    assert "Roofline: Snapdragon 865, GPU" in page


def changed(path, change):
    told = json.loads(path.read_text())
    change(told)
    path.write_text(json.dumps(told))


def scores(output, **new):
    lines = [json.loads(line) for line in (output / "results.jsonl").read_text().splitlines()]
    for line in lines:
        if line["kind"] == "accuracy" and line["model"] in new:
            line["top1"] = new[line["model"]]
    (output / "results.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_what_fails_its_checks_is_refused_and_the_rest_published(command, measured, tmp_path):
    output, folder = tmp_path / "output", tmp_path / "release"
    shutil.copytree(measured, output)
    artifacts = output / "artifacts"
    broken = bytearray((artifacts / f"{RUN}-float16.tflite").read_bytes())
    broken[len(broken) // 2] ^= 1
    (artifacts / f"{RUN}-float16.tflite").write_bytes(broken)
    changed(
        artifacts / f"{RUN}-dynamic_int8.json", lambda told: told["operators"].update(CONV_2D=3)
    )
    scores(output, **{f"{RUN}-float32": 0.95, f"{RUN}-int8": 0.91})
    flags = f"--output={output}", f"--run={RUN}", f"--release={folder}", "--nocheckpoint"
    done = command("publish", *flags)
    assert done.returncode == 1
    for precision, reason in (
        ("float16", "SHA-256 is .*, the manifest says"),
        ("dynamic_int8", r"operators: the file has .*, the manifest says"),
        ("int8", r"loses 4\.00 points against float32, 1\.5 are allowed"),
    ):
        assert re.search(f"{RUN}-{precision}.*({reason})", done.stderr), (precision, done.stderr)
    assert sorted(path.name for path in (folder / "artifacts").iterdir()) == [
        f"{RUN}-float32.json",
        f"{RUN}-float32.tflite",
    ]


def test_training_goes_on_from_a_published_checkpoint(command, release, tmp_path):
    name = f"{RUN}-checkpoint"
    shutil.copytree(release / "checkpoints", tmp_path / "models" / "checkpoints")
    flags = (
        "--recipe=digits_quick", "--image_size=16", "--epochs=1", "--epoch_images=64",
        "--learning_rate=1e-6", f"--output={tmp_path / 'output'}", "--name=on",
    )  # fmt: skip
    done = command("train", *flags, f"--init_from={RUN}", MODEL_ZOO_CACHE=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert f"starting from {name}.safetensors" in done.stdout
    accuracy = float(re.search(r"validation accuracy ([\d.]+) %", done.stdout).group(1))
    assert accuracy > 85  # a fresh network knows a tenth
    done = command("train", *flags, "--init_from=nothing", MODEL_ZOO_CACHE=str(tmp_path))
    assert done.returncode == 1 and name in done.stderr


def test_a_swapped_file_is_not_used(release, tmp_path):
    shutil.copytree(release / "artifacts", tmp_path / "artifacts")
    models = tmp_path / "artifacts"
    shutil.copy(models / f"{RUN}-float32.tflite", models / f"{RUN}-int8.tflite")
    with pytest.raises(Exception, match="not the one that its manifest describes"):
        store.find(f"{RUN}-int8", (tmp_path,))


def test_verify_all_measures_again(command, release, tmp_path):
    folder = tmp_path / "release"
    shutil.copytree(release, folder)
    for precision, change in (
        ("int8", lambda told: told["released"]["accuracies"][0].update(top1=0.5)),
        ("float16", lambda told: told.update(parameters=5)),
    ):
        changed(folder / "artifacts" / f"{RUN}-{precision}.json", change)
    done = command("verify", "--all", f"--output={folder}")
    assert done.returncode == 1
    said = dict(line.split(": ", 1) for line in done.stdout.splitlines())
    assert said[f"{RUN}-float32"].endswith(": right")
    assert re.search(r"manifest says 50.00 %: over 0.1 point apart", said[f"{RUN}-int8"])
    assert re.search(r"parameters: the file has \d+, the man", said[f"{RUN}-float16"])


def test_a_downloaded_model_is_benchmarked_by_name(command, release, tmp_path):
    shutil.copytree(release / "artifacts", tmp_path / "models" / "artifacts")
    done = command(
        "benchmark", f"--models={RUN}-int8", "--device=host", "--runtime=litert", "--dry_run",
        f"--output={tmp_path / 'output'}", MODEL_ZOO_CACHE=str(tmp_path),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"{RUN}-int8" in done.stdout
