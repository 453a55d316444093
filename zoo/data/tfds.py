"""Public datasets from tensorflow_datasets: CIFAR-10, CIFAR-100, Imagenette, ImageNet.

`prepare` downloads a dataset once and converts it to array_record, which has random access.
Training and scoring only read that copy.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from absl import logging

from zoo.errors import ZooError, one_line
from zoo.io.files import atomic_path
from zoo.io.log import Log

REMEDY = "pip install 'mobile-model-zoo[datasets]', or run make setup"
_CLASSES = "mobile_model_zoo_classes.npy"

_MANUAL = (
    "download ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar from https://image-net.org "
    "(account required) and put them into {folder}/downloads/manual"
)


@dataclass(frozen=True)
class Public:
    """A public dataset.

    Attributes:
        tfds: Name in tensorflow_datasets.
        test: Split used as our test set; the validation set is taken from "train".
        size: Height and width of the images in pixels, 0 if they vary.
        manual: Instructions for a manual download, with {folder} for --data_dir; empty if none is
            needed.
    """

    tfds: str
    test: str
    size: int = 0
    manual: str = ""


SETS: dict[str, Public] = {
    "cifar10": Public("cifar10", "test", 32),
    "cifar100": Public("cifar100", "test", 32),
    "imagenette": Public("imagenette/320px-v2", "validation"),
    "imagenet": Public("imagenet2012", "validation", manual=_MANUAL),
}


class Records:
    """Encoded images of several splits, numbered consecutively.

    Implements `zoo.data.encoded_images.ImageSource`.

    Args:
        name: Key of `SETS`.
        splits: Data sources of tensorflow_datasets.
    """

    def __init__(self, name: str, splits: list[Any]):
        self._name, self._splits = name, splits
        self._starts = np.cumsum([0, *(len(split) for split in splits)])

    def name(self, number: int) -> str:
        """Returns the dataset's name and the image's number, for messages."""
        return f"{self._name}, image {number}"

    def read(self, number: int) -> bytes:
        """Returns the encoded image."""
        return self._at(number)["image"]

    def label(self, number: int) -> int:
        """Returns the class index of an image."""
        return int(self._at(number)["label"])

    def _at(self, number: int) -> Any:
        split = int(np.searchsorted(self._starts, number, side="right")) - 1
        try:
            return self._splits[split][int(number - self._starts[split])]
        except Exception as error:  # the record reader does not document its exceptions
            raise ZooError(
                "cannot read an image",
                where=self.name(number),
                got=one_line(error, 300),
                remedy=f"move the dataset away, then run zoo data --dataset={self._name}",
            ) from error


@dataclass(frozen=True)
class Opened:
    """A prepared dataset; the training images come first.

    Attributes:
        source: All images.
        classes: int32 (n,), class index of each image.
        labels: Class names by index.
        train: Number of training images; the remaining images are the test set.
    """

    source: Records
    classes: np.ndarray
    labels: tuple[str, ...]
    train: int


def prepare(name: str, folder: Path | None, log: Log) -> None:
    """Downloads and converts a dataset, unless it is prepared already.

    Args:
        name: Key of `SETS`.
        folder: Data folder of tensorflow_datasets; None for its default.
        log: Called with each progress message.

    Raises:
        ZooError: if tensorflow_datasets is not installed, the download fails, or files must be
            downloaded manually first.
    """
    public = SETS[name]
    builder = _builder(name, folder)
    log(f"{name}: tensorflow_datasets {public.tfds}, in {builder.data_dir}")
    try:
        builder.download_and_prepare(file_format="array_record")
    except Exception as error:  # network, disk and archive errors of any type
        raise ZooError(
            f"cannot prepare {name}",
            where=builder.data_dir,
            got=one_line(error, 300),
            remedy=by_hand(name, folder)
            or "run the command again with a network connection to the publisher",
        ) from error
    log(f"{name}: ready")


def open_set(name: str, folder: Path | None) -> Opened:
    """Opens a dataset that `prepare` has made available. Downloads nothing.

    Args:
        name: Key of `SETS`.
        folder: Data folder of tensorflow_datasets; None for its default.

    Raises:
        ZooError: if tensorflow_datasets is not installed, or the dataset is missing or unreadable.
    """
    public = SETS[name]
    builder = _builder(name, folder)
    import tensorflow_datasets as tfds  # `_builder` has raised if it is not installed

    flag = f" --data_dir={folder}" if folder else ""
    remedy = f"run zoo data --dataset={name}{flag}"
    if not builder.is_prepared():
        raise ZooError(f"{name} is not on this machine", where=builder.data_dir, remedy=remedy)
    try:
        splits = [
            builder.as_data_source(split, decoders={"image": tfds.decode.SkipDecoding()})
            for split in ("train", public.test)
        ]
        source = Records(name, splits)
        classes = _classes(source, sum(map(len, splits)), Path(builder.data_dir) / _CLASSES)
    except (NotImplementedError, OSError, ValueError, RuntimeError) as error:
        raise ZooError(
            f"cannot read {name}",
            where=builder.data_dir,
            expected="a dataset prepared as array_record",
            got=one_line(error, 300),
            remedy=f"move it away, then {remedy}",
        ) from error
    return Opened(source, classes, tuple(builder.info.features["label"].names), len(splits[0]))


def by_hand(name: str, folder: Path | None) -> str:
    """Returns what must be downloaded by hand first; arguments as of `prepare`."""
    return SETS[name].manual.format(folder=folder or "~/tensorflow_datasets")


def find(name: str, folder: Path | None) -> Path | None:
    """Returns the folder of a prepared dataset, without importing tensorflow_datasets.

    Args:
        name: Key of `SETS`.
        folder: Data folder of tensorflow_datasets; None for its default.

    Returns:
        The folder of its newest version; None if there is none.
    """
    default = os.environ.get("TFDS_DATA_DIR") or Path.home() / "tensorflow_datasets"
    # Written last; what is incomplete has another name.
    found = sorted((Path(folder or default) / SETS[name].tfds).glob("*/dataset_info.json"))
    return found[-1].parent if found else None


def _classes(source: Records, count: int, cached: Path) -> np.ndarray:
    """Returns the class index of each image, int32 (count,).

    The result is cached, because reading all records of ImageNet takes an hour.
    """
    if cached.is_file():
        classes = np.load(cached, allow_pickle=False)
        if classes.shape == (count,) and classes.dtype == np.int32:
            return classes
    classes = np.fromiter(map(source.label, range(count)), np.int32, count)
    # The data folder may be read-only.
    with contextlib.suppress(OSError), atomic_path(cached) as temporary:
        np.save(temporary, classes)
    return classes


def _builder(name: str, folder: Path | None) -> Any:
    try:
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise ZooError(
            f"{name} requires tensorflow_datasets",
            got=error,
            remedy=REMEDY,
        ) from error
    logging.set_verbosity(logging.WARNING)  # tensorflow_datasets logs each step at INFO
    return tfds.builder(SETS[name].tfds, data_dir=None if folder is None else str(folder))
