"""Public data sets through tensorflow_datasets: CIFAR-10, CIFAR-100, Imagenette, ImageNet.

`prepare` downloads and converts one, once, into a form with random access (array_record);
training and scoring only read it.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from absl import logging

from zoo.errors import ZooError, one_line
from zoo.io.files import atomic_path
from zoo.io.log import Log

_CLASSES = "mobile_model_zoo_classes.npy"

_MANUAL = (
    "get ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar from https://image-net.org, which "
    "asks for an account, and put them into {folder}/downloads/manual"
)


@dataclass(frozen=True)
class Public:
    """One public set: its name there, its test split, its pictures' size, and who may use it.

    Attributes:
        tfds: name in tensorflow_datasets.
        test: its split that is our test set; the validation set is split off "train".
        size: height and width, 0 where they vary.
        manual: what has to be done by hand, with {folder} for --data_dir.
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
    """Encoded pictures of one split after the other, as a `zoo.data.encoded_images.ImageSource`."""

    def __init__(self, name: str, splits: list[Any]):
        self._name, self._splits = name, splits
        self._starts = np.cumsum([0, *(len(split) for split in splits)])

    def name(self, number: int) -> str:
        """The set and the number."""
        return f"{self._name}, picture {number}"

    def read(self, number: int) -> bytes:
        """The picture's bytes."""
        return self._at(number)["image"]

    def label(self, number: int) -> int:
        """The class's number."""
        return int(self._at(number)["label"])

    def _at(self, number: int) -> Any:
        split = int(np.searchsorted(self._starts, number, side="right")) - 1
        try:
            return self._splits[split][int(number - self._starts[split])]
        except Exception as error:  # whatever the reader of records and its decoder raise
            raise ZooError(
                "a picture can't be read",
                where=self.name(number),
                got=one_line(error, 300),
                remedy=f"move the set away, then run python -m scripts.data --dataset={self._name}",
            ) from error


@dataclass(frozen=True)
class Opened:
    """A prepared set: its pictures, those of training first, and what they are.

    Attributes:
        source: all pictures.
        classes: int32 (n,), of each picture.
        labels: class names by number.
        train: how many are of the published training set; the others are the test set.
    """

    source: Records
    classes: np.ndarray
    labels: tuple[str, ...]
    train: int


def prepare(name: str, folder: Path | None, log: Log) -> None:
    """Downloads a set and converts it, unless that was done.

    Args:
        name: of `SETS`.
        folder: where tensorflow_datasets keeps its data; None is its own default.
        log: gets a line about each step.

    Raises:
        ZooError: no tensorflow_datasets, no network, or something that has to be done by hand.
    """
    public = SETS[name]
    builder = _builder(name, folder)
    log(f"{name}: tensorflow_datasets {public.tfds}, in {builder.data_dir}")
    try:
        builder.download_and_prepare(file_format="array_record")
    except Exception as error:  # whatever the network, the disk or the archives do
        raise ZooError(
            f"{name} can't be prepared",
            where=builder.data_dir,
            got=one_line(error, 300),
            remedy=public.manual.format(folder=folder or "~/tensorflow_datasets")
            or "run the command again where the network reaches the publisher",
        ) from error
    log(f"{name}: ready")


def open_set(name: str, folder: Path | None) -> Opened:
    """A set that `prepare` has made available. Downloads nothing.

    Raises:
        ZooError: no tensorflow_datasets, or the set is not there.
    """
    public = SETS[name]
    builder = _builder(name, folder)
    import tensorflow_datasets as tfds  # `_builder` says what to do without it

    flag = f" --data_dir={folder}" if folder else ""
    remedy = f"run python -m scripts.data --dataset={name}{flag}"
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
            f"{name} can't be read",
            where=builder.data_dir,
            expected="a set that was prepared as array_record",
            got=one_line(error, 300),
            remedy=f"move it away, then {remedy}",
        ) from error
    return Opened(source, classes, tuple(builder.info.features["label"].names), len(splits[0]))


def _classes(source: Records, count: int, kept: Path) -> np.ndarray:
    """int32 (count,): each picture's class. ImageNet's take an hour to read, so they are kept."""
    if kept.is_file():
        found = np.load(kept, allow_pickle=False)
        if found.shape == (count,) and found.dtype == np.int32:
            return found
    found = np.fromiter(map(source.label, range(count)), np.int32, count)
    with contextlib.suppress(OSError), atomic_path(kept) as temporary:  # it may be read-only
        np.save(temporary, found)
    return found


def _builder(name: str, folder: Path | None) -> Any:
    try:
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise ZooError(
            f"{name} needs tensorflow_datasets",
            got=error,
            remedy="pip install 'mobile-model-zoo[datasets]', or run make setup",
        ) from error
    logging.set_verbosity(logging.WARNING)  # it tells of every step
    return tfds.builder(SETS[name].tfds, data_dir=None if folder is None else str(folder))
