"""Data sets: name → train, validation and test splits that never mix.

Small pictures are NumPy arrays; others are decoded when they are looked at (`zoo.pictures`).

No TensorFlow, so that scoring a `.tflite` needs none; nothing is downloaded here (see `fetch`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zoo import cache, cifar10_jpeg, fashion_mnist, geometry, image_folder, pictures, public_sets
from zoo.errors import UnknownNameError, ZooError
from zoo.files import write_text
from zoo.pictures import Pictures
from zoo.specs import Recipe

DATASETS = ("fashion_mnist", "cifar10_jpeg", "digits", *public_sets.SETS, "image_folder")
_STATISTICS = 1000  # encoded pictures that the mean and deviation are of


@dataclass(frozen=True)
class Split:
    """Images uint8 (n, size, size, channels), decoded or not, and labels int32 (n,)."""

    images: np.ndarray | Pictures
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def part(self, which: np.ndarray) -> Split:
        """Those images, by their places here; none is decoded."""
        images = self.images
        chosen = images.part(which) if isinstance(images, Pictures) else images[which]
        return Split(chosen, self.labels[which])


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

    def normalise(self, images: np.ndarray | Pictures) -> np.ndarray:
        """uint8 pixels → the float32 network input, (pixel - mean) / std."""
        return normalise(images[:] if isinstance(images, Pictures) else images, self.mean, self.std)

    def preprocessing(self) -> dict[str, Any]:
        """What an application must do before inference, for the artifact's manifest."""
        channels = self.test.images.shape[-1]
        return {
            "channels": "grey" if channels == 1 else "RGB",
            "geometry": self.padding,
            "formula": "(pixel - mean) / std, pixel in 0..255",
            "mean": [self.mean] * channels,
            "std": [self.std] * channels,
        }


def normalise(images: np.ndarray, mean: float, std: float) -> np.ndarray:
    """uint8 pixels → float32 (pixel - mean) / std."""
    return (images.astype(np.float32) - np.float32(mean)) / np.float32(std)


def check_name(name: str) -> None:
    """Raises UnknownNameError unless `name` is a data set."""
    if name not in DATASETS:
        raise UnknownNameError("dataset", name, DATASETS)


def fetch(
    name: str,
    say: Callable[[str], None],
    archive: Path | None = None,
    data_dir: str = "",
) -> None:
    """Makes a data set available on this machine, by download where needed.

    Args:
        name: of the data set.
        say: gets a line about each step.
        archive: where the pictures of `cifar10_jpeg` are; others need none.
        data_dir: as `Recipe.data_dir`.

    Raises:
        ZooError: it can't be had.
    """
    check_name(name)
    if name == "fashion_mnist":
        fashion_mnist.fetch(cache.folder(), say)
    elif name == "cifar10_jpeg":
        cifar10_jpeg.fetch(cache.folder(), archive, say)
    elif name == "digits":
        _digits()
        say("digits: embedded in scikit-learn, nothing to fetch")
    elif name in public_sets.SETS:
        public_sets.prepare(name, Path(data_dir) if data_dir else None, say)
    else:
        found = image_folder.scan(_folder(data_dir))
        every = range(len(found.classes))
        pictures.without_broken(found.source, every, skip=True, say=say)
        say(
            f"{data_dir}: {len(found.labels)} classes, {len(found.train)} training, "
            f"{len(found.validation)} validation, {len(found.test)} test pictures"
        )


def of(recipe: Recipe, say: Callable[[str], None] = lambda _: None) -> Dataset:
    """The data set that a recipe names; see `load`."""
    return load(
        recipe.dataset,
        recipe.image_size,
        recipe.validation_images,
        recipe.data_dir,
        recipe.skip_broken,
        say,
    )


def load(
    name: str,
    image_size: int,
    validation_images: int,
    data_dir: str = "",
    skip_broken: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> Dataset:
    """Loads a data set that `fetch` has made available.

    The published training set is shuffled once with a fixed seed of its own, so that the splits
    are the same whatever the recipe's seed, and its last `validation_images` are the validation
    split; 0 is a tenth of it.

    Args:
        name, image_size, validation_images, data_dir, skip_broken: as in `zoo.specs.Recipe`.
        say: gets a line about each picture that is left out.

    Raises:
        ZooError: unknown name, files missing or damaged, or sizes that do not fit.
    """
    check_name(name)
    raw = _open(name, image_size, data_dir, skip_broken, say)
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
    seen = images[:_STATISTICS] if isinstance(images, Pictures) else images
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


@dataclass(frozen=True)
class _Raw:
    """A set as it is published; `validation` where it has one, else it is split off."""

    train: Split
    test: Split
    labels: tuple[str, ...]
    geometry: str
    validation: Split | None = None
    digest: str = ""


def _open(
    name: str, size: int, data_dir: str, skip_broken: bool, say: Callable[[str], None]
) -> _Raw:
    if name == "image_folder":
        return _image_folder(_folder(data_dir), size, skip_broken, say)
    if name in public_sets.SETS:
        return _public(name, size, data_dir)
    if name == "fashion_mnist":
        images, labels, test_images, test_labels = _fashion_mnist()
        names: tuple[str, ...] = fashion_mnist.LABELS
    elif name == "cifar10_jpeg":
        images, labels = cifar10_jpeg.read(cache.folder(), "train")
        test_images, test_labels = cifar10_jpeg.read(cache.folder(), "test")
        names = cifar10_jpeg.LABELS
    else:
        images, labels, test_images, test_labels = _digits()
        names = tuple("0123456789")
    images, done = geometry.enlarged(images, size)
    test_images, _ = geometry.enlarged(test_images, size)
    return _Raw(
        Split(images, labels.astype(np.int32)),
        Split(test_images, test_labels.astype(np.int32)),
        names,
        done,
    )


def _folder(data_dir: str) -> Path:
    if not data_dir:
        raise ZooError("which folder of pictures?", remedy="give --data_dir=FOLDER")
    return Path(data_dir)


def _image_folder(path: Path, size: int, skip: bool, say: Callable[[str], None]) -> _Raw:
    found = image_folder.scan(path)
    classes = np.array(found.classes, np.int32)
    good = set(_good(found, skip, say))

    def split(numbers: list[int]) -> Split:
        kept = np.array([number for number in numbers if number in good], np.int64)
        return Split(Pictures(found.source, kept, size), classes[kept])

    return _Raw(
        split(found.train),
        split(found.test),
        found.labels,
        geometry.central_in_words(size),
        split(found.validation) if found.validation else None,
        found.digest,
    )


def _good(found: image_folder.Folder, skip: bool, say: Callable[[str], None]) -> list[int]:
    """Pictures that can be decoded. A set without broken ones is looked at once."""
    sound = cache.folder() / "image_folders" / found.digest
    every = range(len(found.classes))
    if sound.is_file():
        return list(every)
    good = pictures.without_broken(found.source, every, skip, say)
    if len(good) == len(every):
        write_text(sound, f"{len(every)} pictures of this digest can be decoded\n")
    return good


def _public(name: str, size: int, data_dir: str) -> _Raw:
    found = public_sets.open_set(name, Path(data_dir) if data_dir else None)
    count, own = len(found.classes), public_sets.SETS[name].size
    parts = (np.arange(found.train), np.arange(found.train, count))
    if not own:
        train, test = (Split(Pictures(found.source, p, size), found.classes[p]) for p in parts)
        return _Raw(train, test, found.labels, geometry.central_in_words(size))
    done = ""
    splits = []
    for part in parts:  # small ones are decoded once and for all
        images, done = geometry.enlarged(Pictures(found.source, part, own)[:], size)
        splits.append(Split(images, found.classes[part]))
    return _Raw(splits[0], splits[1], found.labels, done)


def _fashion_mnist() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    folder = fashion_mnist.find(cache.folder())
    if folder is None:
        raise ZooError(
            "Fashion-MNIST is not on this machine",
            where=f"{cache.folder() / 'fashion_mnist'} and {fashion_mnist.DEBIAN_FOLDER}",
            remedy="run python -m scripts.data --dataset=fashion_mnist, or use --dataset=digits",
        )
    train, labels, test, test_labels = (
        fashion_mnist.read(folder, key)
        for key in ("train_images", "train_labels", "test_images", "test_labels")
    )
    return train, labels, test, test_labels


def _digits() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ZooError(
            "the digits data set needs scikit-learn",
            remedy="pip install 'mobile-model-zoo[digits]', or run make setup",
        ) from error
    digits = load_digits()
    images = (digits.images * (255 / 16)).round().astype(np.uint8)[..., np.newaxis]
    # scikit-learn ships one set of 1,797; the last 397 (other writers) are our test set.
    return images[:1400], digits.target[:1400], images[1400:], digits.target[1400:]
