"""A data set of the user's own: one folder a class, any names, pictures of any size.

    FOLDER/CLASS/PICTURE          about a fifth of each class is the test set
    FOLDER/train/CLASS/PICTURE
    FOLDER/test/CLASS/PICTURE     as they are; `val`, `validation` or `valid` is the test set where
                                  there is no `test`, else the validation set

Which pictures are the test set of the first form depends on their names alone, so that pictures
that are added later don't move others from one set to the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from zoo.errors import ZooError
from zoo.io.files import read_bytes

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif")
_TEST_SHARE = 5  # one of so many
_MOST_PICTURES = 5_000_000
_MOST_BYTES = 64 * 2**20
_LAYOUT = "FOLDER/CLASS/PICTURE, or FOLDER/train/CLASS/PICTURE and FOLDER/test/CLASS/PICTURE"
_VALIDATION = ("val", "validation", "valid")


class ImageFiles:
    """Files by number, as a `zoo.data.encoded_images.ImageSource`."""

    def __init__(self, folder: Path, paths: list[Path]):
        self._folder, self.paths = folder, paths

    def name(self, number: int) -> str:
        """The file below the folder."""
        return str(self.paths[number].relative_to(self._folder))

    def read(self, number: int) -> bytes:
        """The file's content."""
        remedy = "take it out of the folder, or put it back"
        return read_bytes(self.paths[number], "a picture", _MOST_BYTES, remedy)


@dataclass(frozen=True)
class Folder:
    """What a folder holds.

    Attributes:
        source: all pictures.
        labels: class names, sorted.
        classes: of each picture, its class's number.
        train, validation, test: numbers of pictures; no validation where the folder has none.
        digest: of all names and sizes.
        stamp: likewise with the times of the last changes.
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
    """Finds the pictures; decodes none.

    Raises:
        ZooError: no such folder, no pictures, or another layout.
    """
    if not folder.is_dir():
        raise ZooError(
            "there is no such folder of pictures",
            where=folder,
            expected=_LAYOUT,
            remedy="give --data_dir=FOLDER",
        )
    if (folder / "train").is_dir():
        found = {"train": list(_pictures(folder / "train"))}
        validation = next((v for v in _VALIDATION if (folder / v).is_dir()), None)
        test = "test" if (folder / "test").is_dir() else validation
        if test is None:
            raise ZooError("the folder has no test set", where=folder, expected=_LAYOUT)
        found["test"] = list(_pictures(folder / test))
        if validation is not None and validation != test:
            found["validation"] = list(_pictures(folder / validation))
    else:
        found = {"train": [], "test": []}
        for label, path in _pictures(folder):
            split = "test" if _of_test(path) else "train"
            found[split].append((label, path))
    labels = sorted({label for label, _ in found["train"]})
    _check(folder, found, labels)
    pairs = [pair for split in found.values() for pair in split]
    digest, stamp, numbers, start = sha256(), sha256(), {}, 0
    for _, path in pairs:
        told = path.stat()
        line = f"{path.relative_to(folder)}\0{told.st_size}\n"
        digest.update(line.encode())
        stamp.update(f"{told.st_mtime_ns}\0{line}".encode())
    for split, members in found.items():
        numbers[split] = list(range(start, start + len(members)))
        start += len(members)
    place = {label: number for number, label in enumerate(labels)}
    return Folder(
        source=ImageFiles(folder, [path for _, path in pairs]),
        labels=tuple(labels),
        classes=[place[label] for label, _ in pairs],
        train=numbers["train"],
        validation=numbers.get("validation", []),
        test=numbers["test"],
        digest=digest.hexdigest(),
        stamp=stamp.hexdigest(),
    )


def _pictures(folder: Path) -> Iterator[tuple[str, Path]]:
    """(class, file) of all pictures, class by class."""
    count = 0
    for each in sorted(path for path in folder.iterdir() if path.is_dir()):
        for path in sorted(each.rglob("*")):
            if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file():
                count += 1
                if count > _MOST_PICTURES:
                    raise ZooError("too many pictures", where=folder, expected=_MOST_PICTURES)
                yield each.name, path


def _of_test(path: Path) -> bool:
    return int.from_bytes(sha256(path.name.encode()).digest()[:8], "big") % _TEST_SHARE == 0


def _check(folder: Path, found: dict[str, list[tuple[str, Path]]], labels: list[str]) -> None:
    if len(labels) < 2:
        raise ZooError(
            "fewer than two classes with pictures",
            where=folder,
            expected=_LAYOUT,
            got=", ".join(labels) or f"no file that ends in {', '.join(SUFFIXES)}",
        )
    for split, members in found.items():
        own = {label for label, _ in members}
        if unknown := sorted(own - set(labels)):
            raise ZooError(
                f"the {split} pictures have a class that the training ones lack",
                where=folder,
                expected=", ".join(labels),
                got=", ".join(unknown),
            )
        if lacking := sorted(set(labels) - own):
            raise ZooError(
                f"no {split} picture of a class",
                where=folder / lacking[0],
                expected="at least one; a fifth of each class is taken for the test",
                remedy="add pictures, or sort them into train/ and test/ yourself",
            )
