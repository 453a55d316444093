"""A user's own dataset: one folder per class, with any names and images of any size.

Two layouts are supported:

    FOLDER/CLASS/IMAGE            about a fifth of each class becomes the test set

    FOLDER/train/CLASS/IMAGE      the splits are used as they are; `val`, `validation` or `valid`
    FOLDER/test/CLASS/IMAGE       is the validation set, or the test set if there is no `test`

In the first layout an image's file name alone decides whether it belongs to the test set, so adding
images does not move others between the splits.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from zoo.errors import ZooError
from zoo.io.files import read_bytes

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif")
_TEST_SHARE = 5  # one of this many images is a test image
_MAX_IMAGES = 5_000_000
_MAX_BYTES = 64 * 2**20
_LAYOUT = "FOLDER/CLASS/IMAGE, or FOLDER/train/CLASS/IMAGE and FOLDER/test/CLASS/IMAGE"
_VALIDATION = ("val", "validation", "valid")


class ImageFiles:
    """Image files by number; implements `zoo.data.encoded_images.ImageSource`.

    Args:
        folder: The dataset's folder.
        paths: Image files below it.
    """

    def __init__(self, folder: Path, paths: list[Path]):
        self._folder, self.paths = folder, paths

    def name(self, number: int) -> str:
        """Returns the file's path relative to the folder."""
        return str(self.paths[number].relative_to(self._folder))

    def read(self, number: int) -> bytes:
        """Returns the file's content."""
        remedy = "restore the file, or remove it from the folder"
        return read_bytes(self.paths[number], "the image", _MAX_BYTES, remedy)


@dataclass(frozen=True)
class Folder:
    """Content of a dataset folder.

    Attributes:
        source: All images.
        labels: Class names, sorted.
        classes: Class index of each image.
        train: Numbers of the training images.
        validation: Numbers of the validation images; empty if the folder has no validation set.
        test: Numbers of the test images.
        digest: SHA-256 over the names and sizes of all files.
        stamp: SHA-256 over names, sizes and modification times.
    """

    source: ImageFiles
    labels: tuple[str, ...]
    classes: list[int]
    train: list[int]
    validation: list[int]
    test: list[int]
    digest: str
    stamp: str


def scan(folder: Path) -> Folder:
    """Lists the images of a folder without decoding them.

    Raises:
        ZooError: if the folder does not exist, has no images or has an unknown layout.
    """
    if not folder.is_dir():
        raise ZooError(
            "no such image folder",
            where=folder,
            expected=_LAYOUT,
            remedy="give --data_dir=FOLDER",
        )
    if (folder / "train").is_dir():
        splits = {"train": list(_images(folder / "train"))}
        validation = next((v for v in _VALIDATION if (folder / v).is_dir()), None)
        test = "test" if (folder / "test").is_dir() else validation
        if test is None:
            raise ZooError("the folder has no test set", where=folder, expected=_LAYOUT)
        splits["test"] = list(_images(folder / test))
        if validation is not None and validation != test:
            splits["validation"] = list(_images(folder / validation))
    else:
        splits = {"train": [], "test": []}
        for label, path in _images(folder):
            split = "test" if _in_test_set(path) else "train"
            splits[split].append((label, path))
    labels = sorted({label for label, _ in splits["train"]})
    _check(folder, splits, labels)
    pairs = [pair for members in splits.values() for pair in members]
    digest, stamp, numbers, start = sha256(), sha256(), {}, 0
    for _, path in pairs:
        status = path.stat()
        line = f"{path.relative_to(folder)}\0{status.st_size}\n"
        digest.update(line.encode())
        stamp.update(f"{status.st_mtime_ns}\0{line}".encode())
    for split, members in splits.items():
        numbers[split] = list(range(start, start + len(members)))
        start += len(members)
    index_of = {label: index for index, label in enumerate(labels)}
    return Folder(
        source=ImageFiles(folder, [path for _, path in pairs]),
        labels=tuple(labels),
        classes=[index_of[label] for label, _ in pairs],
        train=numbers["train"],
        validation=numbers.get("validation", []),
        test=numbers["test"],
        digest=digest.hexdigest(),
        stamp=stamp.hexdigest(),
    )


def _images(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yields class name and file of all images, class by class."""
    count = 0
    for class_folder in sorted(path for path in folder.iterdir() if path.is_dir()):
        for path in sorted(class_folder.rglob("*")):
            if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file():
                count += 1
                if count > _MAX_IMAGES:
                    raise ZooError(
                        "too many images", where=folder, expected=f"at most {_MAX_IMAGES}"
                    )
                yield class_folder.name, path


def _in_test_set(path: Path) -> bool:
    return int.from_bytes(sha256(path.name.encode()).digest()[:8], "big") % _TEST_SHARE == 0


def _check(folder: Path, splits: dict[str, list[tuple[str, Path]]], labels: list[str]) -> None:
    if len(labels) < 2:
        raise ZooError(
            "fewer than two classes with images",
            where=folder,
            expected=_LAYOUT,
            got=", ".join(labels) or f"no file that ends in {', '.join(SUFFIXES)}",
        )
    for split, members in splits.items():
        split_labels = {label for label, _ in members}
        if unknown := sorted(split_labels - set(labels)):
            raise ZooError(
                f"the {split} set has a class that the training set lacks",
                where=folder,
                expected=", ".join(labels),
                got=", ".join(unknown),
            )
        if missing := sorted(set(labels) - split_labels):
            raise ZooError(
                f"a class has no {split} images",
                where=folder / missing[0],
                expected="at least one; by default a fifth of each class becomes the test set",
                remedy="add images, or sort them into train/ and test/ yourself",
            )
