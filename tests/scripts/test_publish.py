"""A release made of real runs: what is in it, what is refused, and training on from it."""

import json
import re
import shlex
import shutil

import pytest

from converters.packing.pack import pack
from converters.release import checks
from converters.release.build import manifests
from converters.release.result_lines import merge
from zoo import runs
from zoo.hub import local
from zoo.io.files import sha256_of
from zoo.schema.artifact import Artifact
from zoo.schema.json_files import read_model
from zoo.schema.release import Index

RUN = "squeezenet_v1_1-digits-pruned"
ENGINE = "tflite_runtime"
PUBLISH = ("publish", f"--engines={ENGINE}")
HOME = "/home/someone"


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
    # Accelerators take minutes; tests/converters/release/test_gate.py runs them.
    done = command("prove", f"--output={output}", f"--runtime={ENGINE}")
    assert done.returncode == 0, done.stderr
    as_if_elsewhere(output)
    return output


def result_lines(folder):
    return [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]


def write_lines(folder, lines):
    (folder / "results.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))


def as_if_elsewhere(output):
    """Says in manifests, runs and commands that pictures and weights lie in someone's home."""

    def tell(told):
        told["recipe"].update(data_dir=f"{HOME}/pics", teacher=f"{HOME}/runs/big")

    for path in (*output.glob("artifacts/*.json"), *output.glob("runs/*/run.json")):
        changed(path, tell)
    more = [f"--data_dir={HOME}/pics", "--init_from", f"{HOME}/w.net", "--output", f"{HOME}/out"]
    lines = result_lines(output)
    for line in lines:
        line["command"] += more
    write_lines(output, lines)


@pytest.fixture(scope="module")
def release(command, measured):
    folder = measured.parent / "release"
    runs = f"--run={RUN},{RUN}-qat"
    done = command(*PUBLISH, f"--output={measured}", runs, f"--release={folder}")
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
    published = b"".join(content_of(release).values())
    assert str(release.parent).encode() not in published and HOME.encode() not in published
    assert b"--data_dir=pics --init_from w.net\n" in published


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


def test_the_release_is_in_the_output_folder_by_default(command, tmp_path):
    done = command(*PUBLISH, f"--output={tmp_path / 'o'}")
    assert done.returncode == 1
    assert f"nothing to publish | where: {tmp_path / 'o' / 'release'} |" in done.stderr


@pytest.mark.parametrize("run", ["", pytest.param(f"{RUN},{RUN}-qat", marks=pytest.mark.slow)])
def test_publishing_twice_gives_identical_bytes(command, measured, release, tmp_path, run):
    again = tmp_path / "again"
    shutil.copytree(release, again)
    if run:
        an_edited_manifest(again)
    done = command(*PUBLISH, f"--output={measured}", f"--run={run}", f"--release={again}")
    assert done.returncode == 0, done.stderr
    assert content_of(again) == content_of(release)


def an_edited_manifest(release):
    """Does not outlast another publishing."""
    changed(release / "artifacts" / f"{RUN}-int8.json", lambda told: told["labels"].reverse())


def test_one_precision_is_published_again_and_the_others_stay(command, measured, release, tmp_path):
    again = tmp_path / "again"
    shutil.copytree(release, again)
    an_edited_manifest(again)
    flags = f"--output={measured}", f"--run={RUN}", f"--release={again}"
    done = command(*PUBLISH, *flags, "--precision=int8")
    assert done.returncode == 0, done.stderr
    assert content_of(again) == content_of(release)


def test_a_file_that_was_converted_again_has_one_line(release, tmp_path):
    folder, output = tmp_path / "release", tmp_path / "output"
    shutil.copytree(release, folder)
    before = result_lines(folder)
    again = [{**line, "seconds": 77.0} for line in before if line["kind"] == "convert"]
    output.mkdir()
    write_lines(output, again)
    merge(output, folder, *manifests(folder))
    after = result_lines(folder)
    assert len(after) == len(before) and len(again) > 1
    assert {line["seconds"] for line in after if line["kind"] == "convert"} == {77.0}


def test_a_hostile_manifest_reaches_no_path(command, measured, release, tmp_path):
    folder, victim = tmp_path / "release", tmp_path / "victim.json"
    shutil.copytree(release, folder)
    victim.write_text("{}")
    changed(
        folder / "artifacts" / f"{RUN}-int8.json", lambda told: told.update(name="../../victim")
    )
    before = content_of(tmp_path)
    done = command(*PUBLISH, f"--output={measured}", f"--run={RUN}", f"--release={folder}")
    assert done.returncode == 1 and "name" in done.stderr
    assert content_of(tmp_path) == before


@pytest.mark.parametrize(
    ("field", "value", "what"),
    [("model", "alexnet", "network"), ("dataset", "cifar10", "dataset")],
)
def test_a_manifest_of_another_network_or_data_is_refused(measured, field, value, what):
    run = runs.load(measured / "runs" / RUN)
    artifact = next(each for each in manifests(measured)[0] if each.parent_run == RUN)
    other = artifact.model_copy(update={field: value})
    (found,) = checks.problems(b"", other, run, None, None, None)
    assert found == f"{what}: {RUN} has {getattr(artifact, field)}, the manifest says {value}"


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
    lines = result_lines(output)
    for line in lines:
        if line["kind"] == "accuracy" and line["model"] in new:
            line["top1"] = new[line["model"]]
    write_lines(output, lines)


def test_what_fails_its_checks_is_refused_and_the_rest_published(
    command, measured, release, tmp_path
):
    output, folder = tmp_path / "output", tmp_path / "release"
    shutil.copytree(measured, output)
    shutil.copytree(release, folder)  # what is refused is in it, and goes
    artifacts = output / "artifacts"
    broken = bytearray((artifacts / f"{RUN}-float16.tflite").read_bytes())
    broken[len(broken) // 2] ^= 1
    (artifacts / f"{RUN}-float16.tflite").write_bytes(broken)
    changed(
        artifacts / f"{RUN}-dynamic_int8.json", lambda told: told["operators"].update(CONV_2D=3)
    )
    scores(output, **{f"{RUN}-float32": 0.95, f"{RUN}-int8": 0.91})
    flags = f"--output={output}", f"--run={RUN}", f"--release={folder}", "--nocheckpoint"
    done = command(*PUBLISH, *flags)
    assert done.returncode == 1
    for precision, reason in (
        ("float16", "SHA-256 is .*, the manifest says"),
        ("dynamic_int8", r"operators: the file has .*, the manifest says"),
        ("int8", r"loses 4\.00 points against float32, the limit is 1\.5"),
    ):
        assert re.search(f"{RUN}-{precision}.*({reason})", done.stderr), (precision, done.stderr)
    assert sorted(path.name for path in (folder / "artifacts").iterdir()) == [
        f"{RUN}-float32.json",
        f"{RUN}-float32.tflite",
        f"{RUN}-int8_qat.json",
        f"{RUN}-int8_qat.tflite",
    ]
    index = read_model(folder / "index.json", Index, "the index", "")
    assert {entry.name for entry in index.entries} == {f"{RUN}-float32", f"{RUN}-int8_qat"}


@pytest.mark.slow
def test_training_goes_on_from_a_published_checkpoint(command, release, tmp_path):
    name = f"{RUN}-checkpoint"
    shutil.copytree(release / "checkpoints", tmp_path / "models" / "checkpoints")
    card = (release / "cards" / f"{RUN}.md").read_text()
    (told,) = re.findall(r"^zoo train .*--name=.*$", card, re.M)
    assert f"--name={RUN}-more" in told and "--image_size=16" in told
    short = "--epochs=1", "--epoch_images=64", "--learning_rate=1e-6"
    flags = *shlex.split(told)[2:], *short, f"--output={tmp_path / 'output'}"
    done = command("train", *flags, MODEL_ZOO_CACHE=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert f"starting from {name}.safetensors" in done.stdout
    accuracy = float(re.search(r"validation accuracy ([\d.]+) %", done.stdout).group(1))
    assert accuracy > 85  # a fresh network knows a tenth
    other = "--name=other", f"--init_from={name[:-1]}"
    done = command("train", *flags, *other, MODEL_ZOO_CACHE=str(tmp_path))
    assert done.returncode == 1 and name in done.stderr


def test_a_swapped_file_is_not_used(release, tmp_path):
    shutil.copytree(release / "artifacts", tmp_path / "artifacts")
    models = tmp_path / "artifacts"
    shutil.copy(models / f"{RUN}-float32.tflite", models / f"{RUN}-int8.tflite")
    with pytest.raises(Exception, match="does not match its manifest"):
        local.find(f"{RUN}-int8", (tmp_path,))


def test_verify_all_measures_again_what_there_is(command, release, tmp_path):
    folder = tmp_path / "release"
    shutil.copytree(release, folder)
    artifacts = folder / "artifacts"
    for precision in ("float32", "float16", "int8_qat"):
        for path in artifacts.glob(f"{RUN}-{precision}.*"):
            path.unlink()
    changed(
        artifacts / f"{RUN}-int8.json",
        lambda told: told["released"]["accuracies"][0].update(top1=0.5),
    )
    (artifacts / f"{RUN}-dynamic_int8.tflite").write_bytes(b"damaged")
    done = command("verify", "--all", f"--output={folder}")
    assert done.returncode == 1
    said = dict(line.split(": ", 1) for line in done.stdout.splitlines())
    assert said.keys() == {f"{RUN}-int8", f"{RUN}-dynamic_int8"}
    differ = r"manifest 50.00 %: the accuracies differ by more than 0.1 points"
    assert re.search(differ, said[f"{RUN}-int8"])
    assert (
        f"parent: the computed value is None, the manifest says {RUN}-float32"
        in said[f"{RUN}-int8"]
    )
    assert re.search(r"SHA-256 is .*, the manifest says", said[f"{RUN}-dynamic_int8"])


@pytest.mark.slow
def test_verify_all_measures_again(command, release, tmp_path):
    folder = tmp_path / "release"
    shutil.copytree(release, folder)
    for precision, change in (
        ("int8", lambda told: told["released"]["accuracies"][0].update(top1=0.5)),
        ("float16", lambda told: told.update(parameters=5)),
        ("int8_qat", lambda told: told["released"].update(accuracies=[])),
    ):
        changed(folder / "artifacts" / f"{RUN}-{precision}.json", change)
    (folder / "artifacts" / f"{RUN}-dynamic_int8.tflite").write_bytes(b"damaged")
    whole = folder / "artifacts" / f"{RUN}-float32.tflite"
    whole.with_name(f"{whole.name}.ztfl").write_bytes(pack(whole.read_bytes()).data)
    whole.unlink()
    done = command("verify", "--all", f"--output={folder}")
    assert done.returncode == 1
    said = dict(line.split(": ", 1) for line in done.stdout.splitlines())
    assert said[f"{RUN}-float32"].endswith(": ok")
    differ = r"manifest 50.00 %: the accuracies differ by more than 0.1 points"
    assert re.search(differ, said[f"{RUN}-int8"])
    assert re.search(r"parameters: the file has \d+, the man", said[f"{RUN}-float16"])
    assert re.search(r"SHA-256 is .*, the manifest says", said[f"{RUN}-dynamic_int8"])
    assert "has no accuracy to compare with" in said[f"{RUN}-int8_qat"]


def test_a_downloaded_model_is_benchmarked_by_name(command, release, tmp_path):
    shutil.copytree(release / "artifacts", tmp_path / "models" / "artifacts")
    done = command(
        "benchmark", f"--artifact={RUN}-int8", "--device=host", "--runtime=litert", "--dry_run",
        f"--output={tmp_path / 'output'}", MODEL_ZOO_CACHE=str(tmp_path),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"{RUN}-int8" in done.stdout
