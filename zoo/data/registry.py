"""Reads a dataset by name from this machine and brings its images to the requested size.

`zoo.data.dataset` then adds a validation split, unless there is one, and the pixel statistics.
"""

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

DIGITS_REMEDY = "pip install 'mobile-model-zoo[digits]', or run make setup"


@dataclass(frozen=True)
class Raw:
    """A dataset at the requested image size, with the splits it was published with.

    Attributes:
        train: The whole training split.
        test: Test split.
        labels: Class names by index.
        geometry: How the images were brought to the input size, in words.
        validation: Validation split, None if the dataset has none of its own.
        digest: SHA-256 over the names and sizes of the files of an `image_folder`; empty otherwise.
    """

    train: Split
    test: Split
    labels: tuple[str, ...]
    geometry: str
    validation: Split | None = None
    digest: str = ""


def read(name: str, size: int, data_dir: str, skip_broken: bool, log: Log) -> Raw:
    """Reads a dataset by name; arguments and errors as in `zoo.data.dataset.load`."""
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
    images, steps = geometry.enlarged(images, size)
    test_images, _ = geometry.enlarged(test_images, size)
    return Raw(
        Split(images, labels.astype(np.int32)),
        Split(test_images, test_labels.astype(np.int32)),
        names,
        steps,
    )


def folder(data_dir: str) -> Path:
    """Returns the folder of the user's images.

    Raises:
        ZooError: if `data_dir` is empty.
    """
    if not data_dir:
        raise ZooError("--data_dir is required", remedy="give --data_dir=FOLDER")
    return Path(data_dir)


def _image_folder(path: Path, size: int, skip: bool, log: Log) -> Raw:
    images = image_folder.scan(path)
    classes = np.array(images.classes, np.int32)
    good = set(_good(images, skip, log))

    def split(numbers: list[int]) -> Split:
        decodable = np.array([number for number in numbers if number in good], np.int64)
        return Split(EncodedImages(images.source, decodable, size), classes[decodable])

    return Raw(
        split(images.train),
        split(images.test),
        images.labels,
        geometry.central_in_words(size),
        split(images.validation) if images.validation else None,
        images.digest,
    )


def _good(images: image_folder.Folder, skip: bool, log: Log) -> list[int]:
    """Returns the numbers of the images that can be decoded.

    A folder without broken images is marked in the cache and not checked again until it changes.
    The mark depends on modification times, because a damaged file may keep its size.
    """
    mark = cache.folder() / "image_folders" / images.stamp
    numbers = range(len(images.classes))
    if mark.is_file():
        return list(numbers)
    good = encoded_images.without_broken(images.source, numbers, skip, log)
    if len(good) == len(numbers):
        write_text(mark, f"all {len(numbers)} images of this folder can be decoded\n")
    return good


def _public(name: str, size: int, data_dir: str) -> Raw:
    opened = tfds.open_set(name, Path(data_dir) if data_dir else None)
    count, native_size = len(opened.classes), tfds.SETS[name].size
    parts = (np.arange(opened.train), np.arange(opened.train, count))
    if not native_size:
        train, test = (
            Split(EncodedImages(opened.source, part, size), opened.classes[part]) for part in parts
        )
        return Raw(train, test, opened.labels, geometry.central_in_words(size))
    steps = ""
    splits = []
    for part in parts:  # small images fit into memory and are decoded only once
        images, steps = geometry.enlarged(EncodedImages(opened.source, part, native_size)[:], size)
        splits.append(Split(images, opened.classes[part]))
    return Raw(splits[0], splits[1], opened.labels, steps)


def _fashion_mnist() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    location = fashion_mnist.find(cache.folder())
    if location is None:
        raise ZooError(
            "Fashion-MNIST is not on this machine",
            where=f"{cache.folder() / 'fashion_mnist'} and {fashion_mnist.DEBIAN_FOLDER}",
            remedy=fashion_mnist.REMEDY,
        )
    train, labels, test, test_labels = (
        fashion_mnist.read(location, key)
        for key in ("train_images", "train_labels", "test_images", "test_labels")
    )
    return train, labels, test, test_labels


def digits() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Returns scikit-learn's digits: training images and labels, test images and labels.

    Images are uint8 (n, 8, 8, 1), rescaled from 0–16 to 0–255.

    Raises:
        ZooError: if scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ZooError(
            "the digits dataset requires scikit-learn",
            remedy=DIGITS_REMEDY,
        ) from error
    bunch = load_digits()
    images = (bunch.images * (255 / 16)).round().astype(np.uint8)[..., np.newaxis]
    # scikit-learn ships one set of 1,797; the last 397, by other writers, are our test set.
    return images[:1400], bunch.target[:1400], images[1400:], bunch.target[1400:]
