"""Loads a dataset by name, as disjoint training, validation and test splits.

Datasets of small images are held in NumPy arrays; larger images are decoded on access (see
`zoo.data.encoded_images`).

Does not import TensorFlow, so scoring a `.tflite` does not need it. Only `fetch` downloads data.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zoo.data import cifar10_jpeg, encoded_images, fashion_mnist, image_folder, registry, tfds
from zoo.data.encoded_images import EncodedImages
from zoo.data.split import Split
from zoo.errors import UnknownNameError, ZooError
from zoo.io import cache
from zoo.io.log import Log
from zoo.schema.recipe import Recipe
from zoo.schema.run import Run, TrainedOn

DATASETS = ("fashion_mnist", "cifar10_jpeg", "digits", *tfds.SETS, "image_folder")
_SAME_LEVEL = 0.05  # tolerance for a mean or standard deviation, in pixel values 0–255
_STATISTICS = 1000  # encoded images used to estimate the mean and standard deviation


@dataclass(frozen=True)
class Dataset:
    """Three disjoint splits and the pixel statistics of the training split.

    Attributes:
        name: Name of the dataset, as in `--dataset`.
        train: Training split.
        validation: Validation split, used for model selection. Usually taken from the published
            training set.
        test: The published test set, used only for scoring.
        labels: Class names by index.
        mean: Mean of the training split's pixels over all channels, 0–255.
        std: Standard deviation of the same pixels, 0–255.
        padding: How the images are brought to the input size, in words, for the manifest.
        digest: SHA-256 over the names and sizes of the files of an `image_folder`; empty for other
            datasets.
    """

    name: str
    train: Split
    validation: Split
    test: Split
    labels: tuple[str, ...]
    mean: float
    std: float
    padding: str
    digest: str = ""

    def normalize(self, images: np.ndarray | EncodedImages) -> np.ndarray:
        """Converts uint8 pixels to the network's float32 input, (pixel - mean) / std."""
        return normalize(
            images[:] if isinstance(images, EncodedImages) else images, self.mean, self.std
        )

    def trained_on(self) -> TrainedOn:
        """Returns the description of this dataset that a training run stores."""
        return TrainedOn(
            labels=self.labels,
            mean=self.mean,
            std=self.std,
            digest=self.digest,
            validation_images=len(self.validation),
            train_images=len(self.train),
        )

    def preprocessing(self) -> dict[str, Any]:
        """Returns the preprocessing an application must apply, for the artifact's manifest."""
        channels = self.test.images.shape[-1]
        return {
            "channels": "gray" if channels == 1 else "RGB",
            "geometry": self.padding,
            "formula": "(pixel - mean) / std, pixel in 0..255",
            "mean": [self.mean] * channels,
            "std": [self.std] * channels,
        }


def normalize(images: np.ndarray, mean: float, std: float) -> np.ndarray:
    """Converts uint8 pixels to float32, (pixel - mean) / std."""
    return (images.astype(np.float32) - np.float32(mean)) / np.float32(std)


def check_name(name: str) -> None:
    """Raises UnknownNameError unless `name` is one of `DATASETS`."""
    if name not in DATASETS:
        raise UnknownNameError("dataset", name, DATASETS)


def fetch(
    name: str,
    log: Log,
    archive: Path | None = None,
    data_dir: str = "",
) -> None:
    """Makes a dataset available on this machine and downloads it if necessary.

    Args:
        name: One of `DATASETS`.
        log: Called with each progress message.
        archive: Tar archive of `cifar10_jpeg`; ignored for other datasets.
        data_dir: As `Recipe.data_dir`.

    Raises:
        ZooError: if the name is unknown or the dataset is not available.
    """
    check_name(name)
    if name == "fashion_mnist":
        fashion_mnist.fetch(cache.folder(), log)
    elif name == "cifar10_jpeg":
        cifar10_jpeg.fetch(cache.folder(), archive, log)
    elif name == "digits":
        registry.digits()
        log("digits: embedded in scikit-learn, nothing to fetch")
    elif name in tfds.SETS:
        tfds.prepare(name, Path(data_dir) if data_dir else None, log)
    else:
        images = image_folder.scan(registry.folder(data_dir))
        numbers = range(len(images.classes))
        encoded_images.without_broken(images.source, numbers, skip=True, log=log)
        log(
            f"{data_dir}: {len(images.labels)} classes, {len(images.train)} training, "
            f"{len(images.validation)} validation, {len(images.test)} test images"
        )


def of(recipe: Recipe, log: Log = lambda _: None) -> Dataset:
    """Loads the dataset named by a recipe; see `load`."""
    return load(
        recipe.dataset,
        recipe.image_size,
        recipe.validation_images,
        recipe.data_dir,
        recipe.skip_broken,
        log,
    )


def seen(run: Run) -> TrainedOn:
    """Returns the description of the dataset a run was trained on.

    The dataset itself is loaded only if the run has no description, as in earlier versions.

    Raises:
        ZooError: if the dataset must be loaded and `load` fails.
    """
    return run.trained_on or of(run.recipe).trained_on()


def of_run(run: Run, log: Log = lambda _: None) -> Dataset:
    """Loads the dataset a run was trained on, with the normalization used at that time.

    Args:
        run: The run. A run of an earlier version has no description of its dataset, which is then
            returned as it is now.
        log: Called with each progress message; see `load`.

    Raises:
        ZooError: if `load` fails, or if the dataset has changed since the training.
    """
    dataset, then = of(run.recipe, log), run.trained_on
    if then is None:
        return dataset
    now = dataset.trained_on()
    differing = [name for name in TrainedOn.model_fields if not _same(now, then, name)]
    if differing:
        first = differing[0]
        raise ZooError(
            f"the dataset has changed since {run.name} was trained: different"
            f" {', '.join(differing)}",
            where=run.recipe.data_dir or run.dataset,
            expected=f"{first}={getattr(then, first)}",
            got=f"{first}={getattr(now, first)}",
            remedy="restore the original images, or train again with a different --name",
        )
    return dataclasses.replace(dataset, mean=then.mean, std=then.std)


def _same(now: TrainedOn, then: TrainedOn, name: str) -> bool:
    current, recorded = getattr(now, name), getattr(then, name)
    if recorded is None:
        return True
    # Versions of Pillow's decoder differ by one gray level in a few pixels.
    return abs(current - recorded) < _SAME_LEVEL if name in ("mean", "std") else current == recorded


def load(
    name: str,
    image_size: int,
    validation_images: int,
    data_dir: str = "",
    skip_broken: bool = False,
    log: Log = lambda _: None,
) -> Dataset:
    """Loads a dataset that `fetch` has made available.

    If the dataset has no validation set, its training set is shuffled with a fixed seed that does
    not depend on the recipe's, and the last `validation_images` become the validation split.

    Args:
        name: One of `DATASETS`.
        image_size: Height and width of the network's input in pixels.
        validation_images: Size of the validation split; 0 means a tenth of the training set.
        data_dir: As `Recipe.data_dir`.
        skip_broken: Leave out images that cannot be decoded, instead of raising.
        log: Called with a message for each image that is left out.

    Raises:
        ZooError: if the name is unknown, files are missing or damaged, or `image_size` or
            `validation_images` is out of range.
    """
    check_name(name)
    raw = registry.read(name, image_size, data_dir, skip_broken, log)
    count = len(raw.train)
    validation_images = validation_images or count // 10
    train = raw.train
    validation = raw.validation
    if validation is None:
        if not 0 < validation_images < count:
            raise ZooError(
                "the size of the validation split is out of range",
                where="--validation_images",
                expected=f"1 to {count - 1}, or 0 for a tenth of the training set",
                got=validation_images,
            )
        order = np.random.default_rng(20161122).permutation(count)
        train, validation = (
            raw.train.part(part)
            for part in (order[:-validation_images], order[-validation_images:])
        )
    images = train.images
    sample = images[:_STATISTICS] if isinstance(images, EncodedImages) else images
    return Dataset(
        name=name,
        train=train,
        validation=validation,
        test=raw.test,
        labels=raw.labels,
        mean=round(float(sample.mean()), 4),
        std=round(float(sample.std()), 4),
        padding=raw.geometry,
        digest=raw.digest,
    )
