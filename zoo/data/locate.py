"""Where each dataset is on this computer, or where it comes from; reads and imports nothing."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from zoo.data import cifar10_jpeg, fashion_mnist, registry, tfds
from zoo.io import cache


@dataclass(frozen=True)
class Located:
    """A dataset.

    Attributes:
        name: Name of the dataset, as in `--dataset`.
        place: Folder or package that has it; None if it is not here. Its content is checked when it
            is read.
        source: Where it comes from.
        remedy: What to do to get it, as an imperative.
    """

    name: str
    place: str | None
    source: str
    remedy: str


def locate(name: str, data_dir: str = "") -> Located:
    """Finds a dataset.

    Args:
        name: One of `zoo.data.DATASETS` but `image_folder`, which is the user's own.
        data_dir: Data folder of tensorflow_datasets; empty for its default.
    """
    if name == "fashion_mnist":
        place = fashion_mnist.find(cache.folder())
        source = f"Debian's package {fashion_mnist.DEBIAN_PACKAGE}, or {fashion_mnist.PUBLISHER}"
        return Located(name, _text(place), source, fashion_mnist.REMEDY)
    if name == "cifar10_jpeg":
        place = cifar10_jpeg.find(cache.folder())
        source = "an archive of JPEG files without a public address"
        return Located(name, _text(place), source, cifar10_jpeg.REMEDY)
    if name == "digits":
        here = "scikit-learn" if importlib.util.find_spec("sklearn") else None
        return Located(name, here, "scikit-learn", registry.DIGITS_REMEDY)
    folder = Path(data_dir) if data_dir else None
    steps = [
        "" if importlib.util.find_spec("tensorflow_datasets") else tfds.REMEDY,
        tfds.by_hand(name, folder),
        f"run zoo data --dataset={name}" + (f" --data_dir={data_dir}" if data_dir else ""),
    ]
    remedy = "; then ".join(step for step in steps if step)
    source = f"tensorflow_datasets {tfds.SETS[name].tfds}"
    return Located(name, _text(tfds.find(name, folder)), source, remedy)


def _text(place: Path | None) -> str | None:
    return None if place is None else str(place)
