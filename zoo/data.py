"""Data sets as NumPy arrays: name → train, validation and test splits that never mix.

No TensorFlow, so that scoring a `.tflite` needs none; nothing is downloaded here (see `fetch`).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zoo import cifar10_jpeg, fashion_mnist
from zoo.errors import UnknownNameError, ZooError

DATASETS = ("fashion_mnist", "cifar10_jpeg", "digits")


@dataclass(frozen=True)
class Split:
    """Images uint8 (n, size, size, channels) and labels int32 (n,)."""

    images: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)


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
    """

    name: str
    train: Split
    validation: Split
    test: Split
    labels: tuple[str, ...]
    mean: float
    std: float
    padding: str

    def normalise(self, images: np.ndarray) -> np.ndarray:
        """uint8 pixels → the float32 network input, (pixel - mean) / std."""
        return normalise(images, self.mean, self.std)

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


def cache_folder() -> Path:
    """Where downloads are kept: $MODEL_ZOO_CACHE, else $XDG_CACHE_HOME or ~/.cache."""
    if own := os.environ.get("MODEL_ZOO_CACHE"):
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "mobile-model-zoo"


def check_name(name: str) -> None:
    """Raises UnknownNameError unless `name` is a data set."""
    if name not in DATASETS:
        raise UnknownNameError("dataset", name, DATASETS)


def fetch(name: str, say: Callable[[str], None], archive: Path | None = None) -> None:
    """Makes a data set available on this machine, by download where needed.

    Args:
        name: of the data set.
        say: gets a line about each step.
        archive: where the pictures of `cifar10_jpeg` are; others need none.

    Raises:
        ZooError: it can't be had.
    """
    check_name(name)
    if name == "fashion_mnist":
        fashion_mnist.fetch(cache_folder(), say)
    elif name == "cifar10_jpeg":
        cifar10_jpeg.fetch(cache_folder(), archive, say)
    else:
        _digits()
        say("digits: embedded in scikit-learn, nothing to fetch")


def load(name: str, image_size: int, validation_images: int) -> Dataset:
    """Loads a data set that `fetch` has made available.

    The published training set is shuffled once with a fixed seed of its own, so that the splits
    are the same whatever the recipe's seed, and its last `validation_images` are the validation
    split.

    Raises:
        ZooError: unknown name, files missing or damaged, or sizes that do not fit.
    """
    check_name(name)
    if name == "fashion_mnist":
        images, labels, test_images, test_labels = _fashion_mnist()
        names: tuple[str, ...] = fashion_mnist.LABELS
    elif name == "cifar10_jpeg":
        images, labels = cifar10_jpeg.read(cache_folder(), "train")
        test_images, test_labels = cifar10_jpeg.read(cache_folder(), "test")
        names = cifar10_jpeg.LABELS
    else:
        images, labels, test_images, test_labels = _digits()
        names = tuple("0123456789")
    if not 0 < validation_images < len(labels):
        raise ZooError(
            "validation split of a wrong size",
            where="--validation_images",
            expected=f"1 to {len(labels) - 1}",
            got=validation_images,
        )
    order = np.random.default_rng(20161122).permutation(len(labels))
    images, padding = _resize(images, image_size)
    test_images, _ = _resize(test_images, image_size)
    fit, choose = order[:-validation_images], order[-validation_images:]
    train = Split(images[fit], labels[fit].astype(np.int32))
    return Dataset(
        name=name,
        train=train,
        validation=Split(images[choose], labels[choose].astype(np.int32)),
        test=Split(test_images, test_labels.astype(np.int32)),
        labels=names,
        mean=round(float(train.images.mean()), 4),
        std=round(float(train.images.std()), 4),
        padding=padding,
    )


def _fashion_mnist() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    folder = fashion_mnist.find(cache_folder())
    if folder is None:
        raise ZooError(
            "Fashion-MNIST is not on this machine",
            where=f"{cache_folder() / 'fashion_mnist'} and {fashion_mnist.DEBIAN_FOLDER}",
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


def _resize(images: np.ndarray, size: int) -> tuple[np.ndarray, str]:
    """Repeats pixels a whole number of times, then pads with zeros to size × size."""
    own = images.shape[1]
    if size < own:
        raise ZooError(
            "image size below the data set's own",
            where="--image_size",
            expected=f"at least {own}",
            got=size,
        )
    factor = size // own
    if factor > 1:
        images = images.repeat(factor, axis=1).repeat(factor, axis=2)
    before = (size - own * factor) // 2
    after = size - own * factor - before
    images = np.pad(images, ((0, 0), (before, after), (before, after), (0, 0)))
    steps = [f"{own}×{own} image"]
    if factor > 1:
        steps.append(f"each pixel repeated {factor}×{factor} times")
    if before or after:
        steps.append(f"padded with zeros by {before} before and {after} after on both axes")
    return images, ", ".join([*steps, f"giving {size}×{size}"])
