"""Sets of tensorflow_datasets, of which tiny ones are made here in its own form."""

import sys

import numpy as np
import pytest

from tests.support import processes
from zoo import data
from zoo.data import tfds
from zoo.data.encoded_images import EncodedImages
from zoo.errors import ZooError


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folders of `tests.support.made_sets`."""
    folder = tmp_path_factory.mktemp("sets")
    done = processes.run("tests.support.made_sets", str(folder))
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.mark.parametrize("name", ["cifar10", "imagenette"])
def test_a_prepared_set(made, name):
    folder = str(made / "array_record")
    found = data.load(name, 32, 10, folder)
    assert (len(found.train), len(found.validation), len(found.test)) == (50, 10, 20)
    assert isinstance(found.train.images, EncodedImages) == (name == "imagenette")
    assert found.labels[0] == ("class 0" if name == "cifar10" else "n01440764")
    for split in (found.train, found.validation, found.test):
        for image, label in zip(split.images, split.labels, strict=True):
            assert image.shape == (32, 32, 3) and np.ptp(image) == 0
            assert int(image[0, 0, 0]) // 3 % 10 == label, "pictures keep their labels"
    values = [int(i[0, 0, 0]) for s in (found.train, found.validation) for i in s.images]
    assert sorted(values) == [3 * i for i in range(60)]
    again = data.load(name, 32, 10, folder)
    np.testing.assert_array_equal(again.train.labels, found.train.labels)


def test_what_is_not_there_is_told_with_the_command(command, tmp_path):
    for name in tfds.SETS:
        with pytest.raises(ZooError, match=rf"{name} is not on this machine.*zoo data --dataset="):
            data.load(name, 32, 10, str(tmp_path))
    assert not list(tmp_path.iterdir()), "nothing is fetched by loading"
    done = command("data", "--dataset=imagenet", f"--data_dir={tmp_path}")
    assert done.returncode == 1
    assert "ILSVRC2012_img_train.tar" in done.stderr and "downloads/manual" in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr


def test_a_set_that_breaks_later_names_the_picture(made):
    source = data.load("imagenette", 32, 10, str(made / "array_record")).train.images.source
    source._splits = [{}, {}]
    with pytest.raises(ZooError, match=r"imagenette, image 7 .*zoo data --dataset="):
        source.read(7)


@pytest.mark.parametrize("name", ["data", pytest.param("train", marks=pytest.mark.slow)])
def test_without_tensorflow_datasets_it_is_one_line(command, tmp_path, name):
    code = "import sys\nsys.modules['tensorflow_datasets'] = None\n"
    (tmp_path / "sitecustomize.py").write_text(code)
    flags = [f"--output={tmp_path / 'o'}"] if name == "train" else []
    done = command(name, "--dataset=cifar10", *flags, PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert "pip install 'mobile-model-zoo[datasets]'" in done.stderr
    assert done.stderr.count("\n") == 1


def test_loading_without_tensorflow_datasets(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(ZooError, match=r"pip install 'mobile-model-zoo\[datasets\]'"):
        data.load("cifar10", 32, 10, str(tmp_path))


def test_a_set_without_random_access(made):
    with pytest.raises(ZooError, match=r"cannot read.*array_record.*zoo data --dataset="):
        data.load("cifar10", 32, 10, str(made / "tfrecord"))
