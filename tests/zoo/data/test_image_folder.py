"""A user's own folder of pictures: layouts, splits, broken files, training and scoring on it."""

import re
from pathlib import Path

import numpy as np
import pytest
import tf_keras
from PIL import Image

from android_bench.host import bench
from zoo import data, runs
from zoo.data import image_folder
from zoo.data.encoded_images import EncodedImages
from zoo.errors import ZooError
from zoo.pretrained import transfer
from zoo.schema.artifact import Artifact
from zoo.schema.json_files import read_model
from zoo.schema.recipe import Recipe
from zoo.schema.run import ModelConfig, Run
from zoo.training.loop import fit
from zoo.training.schedule import TrainingPlan, batches

CLASSES = ("cat", "frog", "ship")


def picture(path: Path, value: int, size=(40, 30), **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    draw = np.random.default_rng(value)
    pixels = draw.integers(0, 60, (size[1], size[0], 3), dtype=np.uint8) + np.uint8(value % 190)
    Image.fromarray(pixels).save(path, **options)
    return path


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path_factory):
    monkeypatch.setenv("MODEL_ZOO_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def folder(tmp_path) -> Path:
    """Three classes of 40 pictures of several sizes and formats."""
    for number, label in enumerate(CLASSES):
        for i in range(40):
            suffix = (".jpg", ".png", ".webp", ".JPEG")[i % 4]
            picture(tmp_path / label / f"{i:03}{suffix}", 60 * number + i, (20 + i, 60 - i))
    (tmp_path / "cat" / "notes.txt").write_text("no picture")
    (tmp_path / "cat" / "._000.jpg").write_bytes(b"a Mac's")
    return tmp_path


def load(folder, **options):
    return data.load("image_folder", 16, 0, str(folder), **options)


def test_the_splits(folder):
    found = load(folder)
    assert found.labels == CLASSES
    assert len(found.train) + len(found.validation) + len(found.test) == 120
    assert len(found.validation) == (120 - len(found.test)) // 10
    assert 12 <= len(found.test) <= 36, "about a fifth"
    files = [split.images.source.paths[i] for split in (found.train, found.validation, found.test)
             for i in split.images.numbers]  # fmt: skip
    assert len(set(files)) == 120
    for split in (found.train, found.validation, found.test):
        for number, label in zip(split.images.numbers, split.labels, strict=True):
            assert split.images.source.paths[number].parent.name == CLASSES[label]
        assert split.images[:].shape == (len(split), 16, 16, 3)
    assert set(found.test.labels) == {0, 1, 2}
    assert found.mean == pytest.approx(found.train.images[:].mean(), abs=1e-3)


def test_more_pictures_move_none_between_training_and_test(folder):
    def names(split):
        return {split.images.source.name(n) for n in split.images.numbers}

    before = load(folder)
    for i in range(40, 60):
        picture(folder / "frog" / f"{i:03}.jpg", i)
    after = load(folder)
    assert before.digest != after.digest
    assert names(before.test) <= names(after.test)
    assert not names(before.test) & (names(after.train) | names(after.validation))


@pytest.mark.parametrize("third", [None, "val", "valid"])
def test_folders_that_are_split_already(tmp_path, third):
    for split in filter(None, ("train", "test", third)):
        for label in CLASSES:
            for i in range(10 if split == "train" else 2):
                picture(tmp_path / split / label / f"{i}.png", i)
    found = load(tmp_path)
    assert len(found.test) == 6
    assert (len(found.train), len(found.validation)) == ((30, 6) if third else (27, 3))


def test_orientation_color_and_geometry(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    half = np.zeros((40, 80, 3), np.uint8)
    half[:, 40:] = 200  # the right half is bright: turned, it is the lower one
    for label in CLASSES[:2]:
        for i in range(12):
            path = picture(tmp_path / label / f"{i}.png", i)
            Image.fromarray(half).save(path.with_suffix(".jpg"), exif=exif)
            path.unlink()
    Image.new("L", (16, 16), 7).save(tmp_path / "cat" / "gray.png")
    Image.new("RGBA", (16, 16), (9, 8, 7, 5)).save(tmp_path / "cat" / "clear.png")
    found = load(tmp_path)
    every = {}
    for split in (found.train, found.validation, found.test):
        for place, number in enumerate(split.images.numbers):
            every[split.images.source.paths[number].name] = split.images[place]
    turned = every["0.jpg"].astype(int)
    assert turned[:6].max() < 20 and turned[-6:].min() > 180
    assert (every["gray.png"] == 7).all()
    assert every["clear.png"][0, 0].tolist() == [9, 8, 7]


def test_a_picture_that_breaks_later_is_named(folder, tmp_path_factory):
    found = load(folder)
    path = folder / "ship" / "000.jpg"
    whole = path.read_bytes()
    path.write_bytes(bytes(len(whole)))
    with pytest.raises(ZooError, match=r"1 of 120 images.*ship/000\.jpg"):
        load(folder)  # it was sound at the first look
    path.write_bytes(whole)
    assert load(folder).digest == found.digest, "it is what a run was trained on"

    gone = found.train.images.source.paths[int(found.train.images.numbers[0])]
    gone.unlink()  # while it is trained
    image = tf_keras.Input((16, 16, 3))
    model = tf_keras.Model(image, tf_keras.layers.Dense(3)(tf_keras.layers.Flatten()(image)))
    schedule = TrainingPlan(epochs=1, batch_size=8, learning_rate=0.1)
    output = tmp_path_factory.mktemp("output")
    with pytest.raises(ZooError, match=rf"cannot read the image.*{gone.name}") as caught:
        fit(model, found, schedule, output, print)
    assert str(caught.value).count("to do: ") == 1


def test_a_broken_picture_is_named_and_refused_or_left_out(folder):
    whole = (folder / "ship" / "000.jpg").read_bytes()
    (folder / "ship" / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "ship" / "none.png").write_bytes(b"not at all")
    with pytest.raises(ZooError, match=r"2 of 122 images.*ship/cut\.jpg.*--skip_broken"):
        load(folder)
    said: list[str] = []
    found = load(folder, skip_broken=True, log=said.append)
    assert len(found.train) + len(found.validation) + len(found.test) == 120
    assert len(said) == 2 and all("skipped" in line for line in said)
    assert any("ship/none.png" in line for line in said)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "fewer than two classes.*FOLDER/CLASS"),
        (lambda path: picture(path / "one" / "a.jpg", 1), "fewer than two classes.*one"),
        (
            lambda path: [picture(path / "train" / c / "a.png", 1) for c in CLASSES],
            "no test set",
        ),
        (
            lambda path: [picture(path / s / c / "a.png", 1) for s, c in (
                ("train", "a"), ("train", "b"), ("test", "a"), ("test", "c"))],
            "training set lacks.*got: c",
        ),
        (
            lambda path: [picture(path / c / f"{i}.png", 1) for c in "ab"
                          for i in range(12 if c == "a" else 1)],
            "a class has no (test|train) images|fewer than two",
        ),
    ],
)  # fmt: skip
def test_folders_that_are_none(tmp_path, make, message):
    make(tmp_path)
    with pytest.raises(ZooError, match=message):
        load(tmp_path)
    with pytest.raises(ZooError, match="--data_dir"):
        load("")
    with pytest.raises(ZooError, match="no such image folder"):
        load(tmp_path / "nowhere")


def test_training_crops_are_the_same_again_and_of_the_wanted_share(folder):
    found = load(folder)
    images = found.train.images
    assert isinstance(images, EncodedImages)
    one, two = (images.crop(3, 0.35, (1, 77)) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    assert (images.crop(3, 0.35, (1, 78)) != one).any()
    np.testing.assert_array_equal(images.crop(3, 1.0, (1, 78)), images[3])
    schedule = TrainingPlan(epochs=2, batch_size=8, learning_rate=0.1)
    whole = [(x.numpy(), y.numpy()) for x, y in batches(found, schedule, 0, 4)]
    part = [(x.numpy(), y.numpy()) for x, y in batches(found, schedule, 3, 4)]
    assert whole[0][0].shape == (8, 16, 16, 3)
    np.testing.assert_array_equal(whole[3][0], part[0][0])
    np.testing.assert_array_equal(whole[3][1], part[0][1])


def test_labels_follow_their_pictures_into_the_batches(folder):
    """A picture's brightness tells its class here."""
    found = load(folder)
    schedule = TrainingPlan(epochs=1, batch_size=32, learning_rate=0.1)
    for x, y in batches(found, schedule, 0, 2):
        level = (x.numpy() * found.std + found.mean).mean((1, 2, 3)) - 30
        assert ((level // 60).clip(0, 2) == y.numpy()).mean() > 0.9


@pytest.mark.slow
def test_train_convert_and_score_a_folder(command, folder, tmp_path_factory):
    output = f"--output={tmp_path_factory.mktemp('output')}"
    trained = command(
        "train", "--recipe=own_pictures", f"--data_dir={folder}", "--image_size=32",
        "--model=squeezenet_v1_1", "--width=0.25", "--epochs=2", "--name=own", output,
    )  # fmt: skip
    assert trained.returncode == 0, trained.stderr
    picture(folder / "cat" / "late.jpg", 1)
    again = command(
        "train", "--recipe=own_pictures", f"--data_dir={folder}", "--image_size=32",
        "--model=squeezenet_v1_1", "--width=0.25", "--epochs=2", "--name=own", output,
    )  # fmt: skip
    assert again.returncode == 1 and re.search("different data_sha256", again.stderr), again.stderr
    (folder / "cat" / "late.jpg").unlink()
    converted = command("convert", "--run=own", "--precision=float32,int8", output)
    assert converted.returncode == 0, converted.stderr
    timed = command("benchmark", "--device=host", "--min_secs=0.01", "--processes=1", output)
    assert timed.returncode == 0, timed.stderr + timed.stdout
    shown = command("report", output)
    assert shown.returncode == 0 and "own-int8" in shown.stdout

    run_folder = Path(output.removeprefix("--output=")) / "runs" / "own"
    before, found = runs.load(run_folder), image_folder.scan(folder)
    assert before.trained_on.labels == CLASSES and before.trained_on.digest == found.digest
    assert before.trained_on.validation_images == len(found.train) // 10
    split = next(run_folder.parent.parent.glob("artifacts/own-int8.json"))
    score = bench.test_split(read_model(split, Artifact, "the manifest", ""))
    (folder / "cat").rename(folder / "zebra")
    differ = r"classes of the images differ.*cat, frog, ship.*got: frog, ship, zebra"
    with pytest.raises(ZooError, match=differ):
        score.load_split()
    renamed = command("convert", "--run=own", "--precision=float32", output)
    assert renamed.returncode == 1 and renamed.stderr.count("\n") == 1
    assert re.search(r"different labels,.*digest.*expected: labels=\('cat'", renamed.stderr)
    # What only continues from the weights needs no pictures.
    assert transfer.from_run(before, run_folder).preprocessing.mean == (before.trained_on.mean,) * 3


def test_a_set_that_has_become_another_is_told(folder):
    made = load(folder)
    run = Run(
        name="own", stage="train",
        config=ModelConfig(model="x", input_shape=(16, 16, 3), classes=3),
        dataset="image_folder", trained_on=made.trained_on(),
        recipe=Recipe(
            name="own", dataset="image_folder", data_dir=str(folder), image_size=16,
            validation_images=0,
        ),
        weights="best.h5", weights_sha256="0" * 64, validation_accuracy=0.5, best_epoch=1,
        versions={},
    )  # fmt: skip
    then = made.trained_on()
    near = then.model_copy(update={"mean": then.mean + 0.01})  # another decoder's
    found = data.of_run(run.model_copy(update={"trained_on": near}))
    assert (found.mean, found.std) == (near.mean, near.std)
    assert data.of_run(run.model_copy(update={"trained_on": None})).mean == made.mean
    far = then.model_copy(update={"std": then.std + 1})
    with pytest.raises(ZooError, match=r"different std \|"):
        data.of_run(run.model_copy(update={"trained_on": far}))
    picture(folder / "frog" / "late.png", 1)
    with pytest.raises(ZooError, match=r"since own was trained: different .*digest"):
        data.of_run(run)


def test_scan_keeps_no_order_of_the_file_system(folder):
    first = image_folder.scan(folder)
    assert first.source.paths == sorted(first.source.paths[: len(first.train)]) + sorted(
        first.source.paths[len(first.train) :]
    )
