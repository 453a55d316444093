"""Models from code: the right preprocessing, whatever picture comes, on LiteRT."""

import hashlib
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import zoo
from converters.packing.pack import pack
from tests.conftest import ROOT
from tests.support.processes import HANG_S
from tests.support.tiny_tflite import tiny_model
from zoo import data
from zoo.data import decode, resize
from zoo.errors import ZooError
from zoo.hub import local
from zoo.hub.classifier import Classifier

NAME = "resnet20-fashion_mnist-int8"
BOOT = ROOT / "docs" / "ankle_boot.png"


@pytest.fixture(scope="module")
def model():
    return zoo.load(NAME)


@pytest.fixture(scope="module")
def fashion():
    try:
        return data.load("fashion_mnist", 32, 5000)
    except ZooError as error:
        pytest.skip(str(error))


def test_it_is_as_good_as_its_manifest_says(model, fashion):
    images, labels = fashion.test.images[:1000, 2:-2, 2:-2], fashion.test.labels[:1000]
    names = [model.classify(image, top=1)[0].label for image in images]
    right = np.mean(
        [fashion.labels[label] == name for label, name in zip(labels, names, strict=True)]
    )
    assert right == pytest.approx(model.manifest.validation_accuracy, abs=0.025)


def test_it_feeds_what_the_network_was_trained_on(model, fashion):
    for image, whole in zip(
        fashion.test.images[:20, 2:-2, 2:-2, 0], fashion.test.images[:20], strict=True
    ):
        expected = model._net.run(fashion.normalize(whole[np.newaxis])[0])
        for form in (image, image[..., np.newaxis], np.repeat(image[..., np.newaxis], 3, axis=-1)):
            np.testing.assert_array_equal(model.logits(form), expected)


def test_arrays_and_files_of_any_size(model, tmp_path):
    with Image.open(BOOT) as picture:
        gray = np.asarray(picture)
        large = picture.convert("RGB").resize((224, 224), Image.Resampling.BICUBIC)
    large.save(tmp_path / "large.jpg")
    tall = np.zeros((90, 56), np.uint8)  # a square of it is the boot, twice as large
    tall[17:73] = gray.repeat(2, 0).repeat(2, 1)
    for image in (gray, BOOT, str(BOOT), tmp_path / "large.jpg", np.asarray(large), tall):
        guesses = model.classify(image)
        assert guesses[0].label == "Ankle boot"
        assert guesses[0].probability > 0.5
        assert [g.probability for g in guesses] == sorted(
            (g.probability for g in guesses), reverse=True
        )


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (np.zeros((28, 28), np.float32), "expected: uint8.*got: float32"),
        (np.zeros((28, 28, 4), np.uint8), r"got: uint8 of shape \(28, 28, 4\)"),
        (np.zeros(28, np.uint8), r"shape \(28,\)"),
        (np.zeros((0, 28), np.uint8), "at least one pixel"),
        ("nothing.png", "cannot read the image.*nothing.png"),
        (
            ROOT / "README.md",
            r"broken image.*README\.md.*got: no image . to do: give a JPEG or PNG file$",
        ),
    ],
)
def test_what_is_no_picture(model, image, said):
    with pytest.raises(ZooError, match=said):
        model.classify(image)


def test_pictures_of_any_size_are_scaled_as_in_training():
    pixels = np.random.default_rng(1).integers(0, 256, (130, 200, 3), np.uint8)
    picture = Image.fromarray(pixels)
    np.testing.assert_array_equal(
        resize.fitted(picture, "image_folder", 96, 3), decode.central(picture, 96)
    )


def test_names(tmp_path):
    assert NAME in zoo.list_models()
    assert not [name for name in zoo.list_models() if name.endswith("-checkpoint")]
    with pytest.raises(ZooError, match=f"did you mean.*{NAME}"):
        zoo.load("resnet20-fashion_mnist-int7")
    with pytest.raises(ZooError, match="unknown model"):
        zoo.load(f"../artifacts/{NAME}")
    with pytest.raises(ZooError) as near:
        zoo.load("resnet20-fashion_mnist-checkpoin")
    assert "-checkpoint" not in str(near.value)


SOURCE = ROOT / "release" / "artifacts" / f"{NAME}.tflite"


@pytest.fixture(scope="module")
def packed():
    return pack(SOURCE.read_bytes()).data


@pytest.fixture
def release(tmp_path, packed):
    """A release that has the model as a container."""
    folder = tmp_path / "release" / "artifacts"
    folder.mkdir(parents=True)
    (folder / f"{NAME}.tflite.ztfl").write_bytes(packed)
    (folder / f"{NAME}.json").write_bytes(SOURCE.with_suffix(".json").read_bytes())
    return tmp_path / "release"


def test_a_packed_one_is_unpacked_once(tmp_path, monkeypatch, release):
    monkeypatch.setenv("MODEL_ZOO_CACHE", str(tmp_path / "cache"))
    content = SOURCE.read_bytes()
    found = local.find(NAME, (release,))
    assert found.content == content == found.path.read_bytes()
    assert local.find(NAME, (local.downloads(),)) == found
    more = pack(bytes(len(content) + 4)).data
    (release / "artifacts" / f"{NAME}.tflite.ztfl").write_bytes(more)
    with pytest.raises(ZooError, match="container"):
        local.find(NAME, (release,))
    assert found.path.read_bytes() == content


@pytest.mark.parametrize("cache", ["/sys/zoo", "a_file"])
def test_a_packed_one_that_can_not_be_unpacked_is_one_line(tmp_path, monkeypatch, release, cache):
    (tmp_path / "a_file").touch()
    monkeypatch.setenv("MODEL_ZOO_CACHE", str(tmp_path / cache))
    with pytest.raises(ZooError, match=f"cannot save.*{NAME}.tflite.*got: .*MODEL_ZOO_CACHE"):
        local.find(NAME, (release,))


RULE = {"channels": "RGB", "geometry": "", "formula": "", "mean": [0.0], "std": [1.0]}


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({}, "preprocessing is not valid.*channels: Field required"),
        (RULE | {"mean": "abc"}, "mean: Input should be a valid tuple"),
        (RULE | {"mean": ["abc"]}, "mean.0: Input should be a valid number"),
        (RULE | {"mean": [[1.0]]}, "mean.0: Input should be a valid number"),
        (RULE | {"std": [0]}, "std.0: Input should be greater than"),
        (RULE | {"std": [1e-320]}, "std.0: Input should be greater than"),
        (RULE | {"mean": [1e300]}, "mean.0: Input should be less than"),
        (RULE | {"channels": "GBR"}, "channels: Input should be 'RGB', 'BGR' or 'gray'"),
        (RULE | {"surprise": 1}, "surprise: Extra"),
        (RULE | {"mean": [0.0, 0.0]}, "does not fit.*got: 2 and 1"),
    ],
)
def test_others_models_say_what_does_not_fit(tmp_path, rule, said):
    folder = tmp_path / "artifacts"
    folder.mkdir()
    tiny_model(folder / "tiny.tflite")
    told = json.loads((ROOT / "release" / "artifacts" / f"{NAME}.json").read_text())
    told |= {
        "name": "tiny",
        "sha256": hashlib.sha256((folder / "tiny.tflite").read_bytes()).hexdigest(),
        "preprocessing": rule,
    }
    (folder / "tiny.json").write_text(json.dumps(told))
    with pytest.raises(ZooError, match=said):
        Classifier(local.find("tiny", (tmp_path,)))


def test_the_command(command):
    done = command("classify", NAME, str(BOOT), "README.md", "--top=2")
    assert done.returncode == 1
    assert re.search(r"ankle_boot.png:\n +\d+\.\d %  Ankle boot\n", done.stdout)
    assert re.fullmatch(r"error: broken image.*README\.md.*\n", done.stderr)
    assert " | got: no image | to do: run zoo classify" in command("classify", NAME).stderr
    assert " | got: no arguments | to do: run zoo classify" in command("classify").stderr
    done = command("classify", NAME, str(BOOT), "--json")
    assert json.loads(done.stdout)[str(BOOT)][0]["label"] == "Ankle boot"


def test_the_notebook_runs():
    notebook = json.loads((ROOT / "docs" / "classify.ipynb").read_text())
    cells = ["".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "code"]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(cells)],
        cwd=ROOT / "docs",
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=HANG_S,
    )
    assert done.returncode == 0, done.stderr
    assert "fashion_mnist test 10000" in done.stdout
