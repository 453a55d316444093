"""Writes tiny datasets in the format of tensorflow_datasets.

    python -m tests.support.made_sets FOLDER

They have the published names, features and splits, but generated images. This runs in its own
process, because tensorflow_datasets registers datasets by name.

    FOLDER/array_record/    cifar10 and imagenette
    FOLDER/tfrecord/        cifar10
"""

import sys
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds

_LABELS = [f"class {n}" for n in range(10)]


class _Made(tfds.core.GeneratorBasedBuilder):
    shape: tuple[int | None, int | None, int]
    test: str

    def _info(self):
        features = {
            "image": tfds.features.Image(shape=self.shape, encoding_format="png"),
            "label": tfds.features.ClassLabel(names=_LABELS),
        }
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples(60), self.test: self._generate_examples(20)}

    def _generate_examples(self, count):
        for i in range(count):
            height, width, _ = self.shape
            size = height or 40 + i
            pixels = np.full((size, width or size + 9, 3), 3 * i, np.uint8)
            yield i, {"image": pixels, "label": i % 10}


class Cifar10(_Made):
    VERSION = tfds.core.Version("3.0.2")
    shape, test = (32, 32, 3), "test"


class Imagenette(_Made):
    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS = [tfds.core.BuilderConfig(name="320px-v2", version="1.0.0")]  # noqa: RUF012
    shape, test = (None, None, 3), "validation"


def main(folder: Path) -> None:
    """Writes all datasets to `folder`."""
    for form, made, config in (
        ("array_record", Cifar10, None),
        ("array_record", Imagenette, "320px-v2"),
        ("tfrecord", Cifar10, None),
    ):
        made(data_dir=folder / form, config=config).download_and_prepare(file_format=form)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
