"""Sets of tensorflow_datasets, of which tiny ones are made here in its own form."""

import subprocess
import sys

import numpy as np
import pytest

from tests.conftest import ROOT
from zoo import data, public_sets
from zoo.errors import ZooError
from zoo.pictures import Pictures

# Sets of the published names, features and splits, filled with pictures of ours. In a process of
# its own, since tensorflow_datasets registers them by name.
MAKE = """
import sys
import numpy as np
import tensorflow_datasets as tfds

class Made(tfds.core.GeneratorBasedBuilder):
    VERSION = tfds.core.Version("{version}")
    name = "{name}"
    {configs}

    def _info(self):
        shape = {shape}
        return tfds.core.DatasetInfo(builder=self,
            features=tfds.features.FeaturesDict({{
                "image": tfds.features.Image(shape=shape, encoding_format="png"),
                "label": tfds.features.ClassLabel(names={labels}),
            }}))

    def _split_generators(self, manager):
        return {{"train": self._generate_examples(60), "{test}": self._generate_examples(20)}}

    def _generate_examples(self, count):
        for i in range(count):
            size = {shape}[0] or 40 + i
            pixels = np.full((size, size + ({shape}[0] is None) * 9, 3), 3 * i, np.uint8)
            yield i, {{"image": pixels, "label": i % {classes}}}

Made(data_dir=sys.argv[1] {config}).download_and_prepare(file_format=sys.argv[2])
"""
CONFIG = 'BUILDER_CONFIGS = [tfds.core.BuilderConfig(name="320px-v2", version="1.0.0")]'


def make(folder, name, form="array_record"):
    small = name.startswith("cifar")
    code = MAKE.format(
        name="imagenet2012" if name == "imagenet" else name,
        version={"cifar10": "3.0.2", "cifar100": "3.0.2", "imagenette": "1.0.0",
                 "imagenet": "5.1.0"}[name],
        configs=CONFIG if name == "imagenette" else "",
        config=', config="320px-v2"' if name == "imagenette" else "",
        shape=(32, 32, 3) if small else (None, None, 3),
        labels=[f"class {n}" for n in range(10)],
        classes=10,
        test="test" if small else "validation",
    )  # fmt: skip
    words = [sys.executable, "-c", code, str(folder), form]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize("name", ["cifar10", "imagenette"])
def test_a_prepared_set(tmp_path, name):
    make(tmp_path, name)
    found = data.load(name, 32, 10, str(tmp_path))
    assert (len(found.train), len(found.validation), len(found.test)) == (50, 10, 20)
    assert isinstance(found.train.images, Pictures) == (name == "imagenette")
    assert found.labels[0] == ("class 0" if name == "cifar10" else "n01440764")
    for split in (found.train, found.validation, found.test):
        for image, label in zip(split.images, split.labels, strict=True):
            assert image.shape == (32, 32, 3) and np.ptp(image) == 0
            assert int(image[0, 0, 0]) // 3 % 10 == label, "pictures keep their labels"
    values = [int(i[0, 0, 0]) for s in (found.train, found.validation) for i in s.images]
    assert sorted(values) == [3 * i for i in range(60)]
    again = data.load(name, 32, 10, str(tmp_path))
    np.testing.assert_array_equal(again.train.labels, found.train.labels)


def test_what_is_not_there_is_told_with_the_command(command, tmp_path):
    for name in public_sets.SETS:
        with pytest.raises(ZooError, match=rf"{name} is not on this machine.*scripts\.data"):
            data.load(name, 32, 10, str(tmp_path))
    assert not list(tmp_path.iterdir()), "nothing is fetched by loading"
    done = command("data", "--dataset=imagenet", f"--data_dir={tmp_path}")
    assert done.returncode == 1
    assert "ILSVRC2012_img_train.tar" in done.stderr and "downloads/manual" in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr


def test_a_set_that_breaks_later_names_the_picture(tmp_path):
    make(tmp_path, "imagenette")
    source = data.load("imagenette", 32, 10, str(tmp_path)).train.images.source
    source._splits = [{}, {}]
    with pytest.raises(ZooError, match=r"imagenette, picture 7 .*scripts\.data"):
        source.read(7)


def test_without_tensorflow_datasets_it_is_one_line(command, tmp_path):
    code = "import sys\nsys.modules['tensorflow_datasets'] = None\n"
    (tmp_path / "sitecustomize.py").write_text(code)
    done = command(
        "train", "--dataset=cifar10", f"--output={tmp_path / 'o'}", PYTHONPATH=str(tmp_path)
    )
    assert done.returncode == 1
    assert "pip install 'mobile-model-zoo[datasets]'" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_set_without_random_access(tmp_path):
    make(tmp_path, "cifar10", "tfrecord")
    with pytest.raises(ZooError, match=r"can't be read.*array_record.*scripts\.data"):
        data.load("cifar10", 32, 10, str(tmp_path))
