"""Data sets as they are published: found on this machine, read, brought to one size."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zoo.data import cifar10_jpeg, encoded_images, fashion_mnist, image_folder, tfds
from zoo.data import resize as geometry
from zoo.data.encoded_images import EncodedImages
from zoo.data.split import Split
from zoo.errors import ZooError
from zoo.io import cache
from zoo.io.files import write_text
from zoo.io.log import Log


@dataclass(frozen=True)
class Raw:
    """A set as it is published; `validation` where it has one, else it is split off."""

    train: Split
    test: Split
    labels: tuple[str, ...]
    geometry: str
    validation: Split | None = None
    digest: str = ""


def read(name: str, size: int, data_dir: str, skip_broken: bool, log: Log) -> Raw:
    """A set by its name; arguments and errors as of `zoo.data.dataset.load`."""
    if name == "image_folder":
        return _image_folder(folder(data_dir), size, skip_broken, log)
    if name in tfds.SETS:
        return _public(name, size, data_dir)
    if name == "fashion_mnist":
        images, labels, test_images, test_labels = _fashion_mnist()
        names: tuple[str, ...] = fashion_mnist.LABELS
    elif name == "cifar10_jpeg":
        images, labels = cifar10_jpeg.read(cache.folder(), "train")
        test_images, test_labels = cifar10_jpeg.read(cache.folder(), "test")
        names = cifar10_jpeg.LABELS
    else:
        images, labels, test_images, test_labels = digits()
        names = tuple("0123456789")
    images, done = geometry.enlarged(images, size)
    test_images, _ = geometry.enlarged(test_images, size)
    return Raw(
        Split(images, labels.astype(np.int32)),
        Split(test_images, test_labels.astype(np.int32)),
        names,
        done,
    )


def folder(data_dir: str) -> Path:
    """The user's folder of pictures.

    Raises:
        ZooError: none is named.
    """
    if not data_dir:
        raise ZooError("which folder of pictures?", remedy="give --data_dir=FOLDER")
    return Path(data_dir)


def _image_folder(path: Path, size: int, skip: bool, log: Log) -> Raw:
    found = image_folder.scan(path)
    classes = np.array(found.classes, np.int32)
    good = set(_good(found, skip, log))

    def split(numbers: list[int]) -> Split:
        kept = np.array([number for number in numbers if number in good], np.int64)
        return Split(EncodedImages(found.source, kept, size), classes[kept])

    return Raw(
        split(found.train),
        split(found.test),
        found.labels,
        geometry.central_in_words(size),
        split(found.validation) if found.validation else None,
        found.digest,
    )


def _good(found: image_folder.Folder, skip: bool, log: Log) -> list[int]:
    """Pictures that can be decoded. A set without broken ones is looked at once, until it changes.

    A picture that is damaged may keep its size, but hardly its time.
    """
    sound = cache.folder() / "image_folders" / found.stamp
    every = range(len(found.classes))
    if sound.is_file():
        return list(every)
    good = encoded_images.without_broken(found.source, every, skip, log)
    if len(good) == len(every):
        write_text(sound, f"{len(every)} pictures of this stamp can be decoded\n")
    return good


def _public(name: str, size: int, data_dir: str) -> Raw:
    found = tfds.open_set(name, Path(data_dir) if data_dir else None)
    count, own = len(found.classes), tfds.SETS[name].size
    parts = (np.arange(found.train), np.arange(found.train, count))
    if not own:
        train, test = (Split(EncodedImages(found.source, p, size), found.classes[p]) for p in parts)
        return Raw(train, test, found.labels, geometry.central_in_words(size))
    done = ""
    splits = []
    for part in parts:  # small ones are decoded once and for all
        images, done = geometry.enlarged(EncodedImages(found.source, part, own)[:], size)
        splits.append(Split(images, found.classes[part]))
    return Raw(splits[0], splits[1], found.labels, done)


def _fashion_mnist() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    place = fashion_mnist.find(cache.folder())
    if place is None:
        raise ZooError(
            "Fashion-MNIST is not on this machine",
            where=f"{cache.folder() / 'fashion_mnist'} and {fashion_mnist.DEBIAN_FOLDER}",
            remedy="run python -m scripts.data --dataset=fashion_mnist, or use --dataset=digits",
        )
    train, labels, test, test_labels = (
        fashion_mnist.read(place, key)
        for key in ("train_images", "train_labels", "test_images", "test_labels")
    )
    return train, labels, test, test_labels


def digits() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """scikit-learn's: images and labels of the training and of the test set.

    Raises:
        ZooError: scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ZooError(
            "the digits data set needs scikit-learn",
            remedy="pip install 'mobile-model-zoo[digits]', or run make setup",
        ) from error
    found = load_digits()
    images = (found.images * (255 / 16)).round().astype(np.uint8)[..., np.newaxis]
    # scikit-learn ships one set of 1,797; the last 397 (other writers) are our test set.
    return images[:1400], found.target[:1400], images[1400:], found.target[1400:]
