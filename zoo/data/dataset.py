"""Data sets: name → train, validation and test splits that never mix.

Small pictures are NumPy arrays; others are decoded when they are looked at (see
`zoo.data.encoded_images`).

No TensorFlow, so that scoring a `.tflite` needs none; nothing is downloaded here (see `fetch`).
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
_SAME_LEVEL = 0.05  # of a mean or deviation, 0–255
_STATISTICS = 1000  # encoded pictures that the mean and deviation are of


@dataclass(frozen=True)
class Dataset:
    """Three disjoint splits and the statistics of the training one.

    Attributes:
        name: as in `--dataset`.
        train: what weights are fitted to.
        validation: split off the published training set; models are chosen by it.
        test: the published test set; only ever scored.
        labels: class names by index.
        mean: of the training split's pixels in all channels, 0–255.
        std: likewise.
        padding: how the pictures reach their size, in words, for the artifact's manifest.
        digest: of the user's own pictures' names and sizes.
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
        """uint8 pixels → the float32 network input, (pixel - mean) / std."""
        return normalize(
            images[:] if isinstance(images, EncodedImages) else images, self.mean, self.std
        )

    def trained_on(self) -> TrainedOn:
        """What a run that is trained on it notes."""
        return TrainedOn(
            labels=self.labels,
            mean=self.mean,
            std=self.std,
            digest=self.digest,
            validation_images=len(self.validation),
        )

    def preprocessing(self) -> dict[str, Any]:
        """What an application must do before inference, for the artifact's manifest."""
        channels = self.test.images.shape[-1]
        return {
            "channels": "gray" if channels == 1 else "RGB",
            "geometry": self.padding,
            "formula": "(pixel - mean) / std, pixel in 0..255",
            "mean": [self.mean] * channels,
            "std": [self.std] * channels,
        }


def normalize(images: np.ndarray, mean: float, std: float) -> np.ndarray:
    """uint8 pixels → float32 (pixel - mean) / std."""
    return (images.astype(np.float32) - np.float32(mean)) / np.float32(std)


def check_name(name: str) -> None:
    """Raises UnknownNameError unless `name` is a data set."""
    if name not in DATASETS:
        raise UnknownNameError("dataset", name, DATASETS)


def fetch(
    name: str,
    log: Log,
    archive: Path | None = None,
    data_dir: str = "",
) -> None:
    """Makes a data set available on this machine, by download where needed.

    Args:
        name: of the data set.
        log: gets a line about each step.
        archive: where the pictures of `cifar10_jpeg` are; others need none.
        data_dir: as `Recipe.data_dir`.

    Raises:
        ZooError: it can't be had.
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
        found = image_folder.scan(registry.folder(data_dir))
        every = range(len(found.classes))
        encoded_images.without_broken(found.source, every, skip=True, log=log)
        log(
            f"{data_dir}: {len(found.labels)} classes, {len(found.train)} training, "
            f"{len(found.validation)} validation, {len(found.test)} test pictures"
        )


def of(recipe: Recipe, log: Log = lambda _: None) -> Dataset:
    """The data set that a recipe names; see `load`."""
    return load(
        recipe.dataset,
        recipe.image_size,
        recipe.validation_images,
        recipe.data_dir,
        recipe.skip_broken,
        log,
    )


def seen(run: Run) -> TrainedOn:
    """What a run was trained on, without its pictures where it tells.

    Raises:
        ZooError: the run does not tell, as those of earlier versions, and as of `load`.
    """
    return run.trained_on or of(run.recipe).trained_on()


def of_run(run: Run, log: Log = lambda _: None) -> Dataset:
    """The data set that a run was trained on, normalized as it was then.

    Args:
        run: one of an earlier version, which does not tell, gets the data set as it is now.
        say: as of `load`.

    Raises:
        ZooError: as of `load`, or the data set has become another one.
    """
    found, then = of(run.recipe, log), run.trained_on
    if then is None:
        return found
    now = found.trained_on()
    differing = [name for name in TrainedOn.model_fields if not _same(now, then, name)]
    if differing:
        first = differing[0]
        raise ZooError(
            f"the data set is not what {run.name} was trained on: another {', '.join(differing)}",
            where=run.recipe.data_dir or run.dataset,
            expected=f"{first}={getattr(then, first)}",
            got=f"{first}={getattr(now, first)}",
            remedy="bring the pictures back as they were, or train again under another --name",
        )
    return dataclasses.replace(found, mean=then.mean, std=then.std)


def _same(now: TrainedOn, then: TrainedOn, name: str) -> bool:
    one, other = getattr(now, name), getattr(then, name)
    # Versions of Pillow's decoder differ by a level here and there.
    return abs(one - other) < _SAME_LEVEL if name in ("mean", "std") else one == other


def load(
    name: str,
    image_size: int,
    validation_images: int,
    data_dir: str = "",
    skip_broken: bool = False,
    log: Log = lambda _: None,
) -> Dataset:
    """Loads a data set that `fetch` has made available.

    The published training set is shuffled once with a fixed seed of its own, so that the splits
    are the same whatever the recipe's seed, and its last `validation_images` are the validation
    split; 0 is a tenth of it.

    Args:
        name, image_size, validation_images, data_dir, skip_broken: as in
            `zoo.schema.recipe.Recipe`.
        log: gets a line about each picture that is left out.

    Raises:
        ZooError: unknown name, files missing or damaged, or sizes that do not fit.
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
                "validation split of a wrong size",
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
    seen = images[:_STATISTICS] if isinstance(images, EncodedImages) else images
    return Dataset(
        name=name,
        train=train,
        validation=validation,
        test=raw.test,
        labels=raw.labels,
        mean=round(float(seen.mean()), 4),
        std=round(float(seen.std()), 4),
        padding=raw.geometry,
        digest=raw.digest,
    )
