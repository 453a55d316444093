"""CIFAR-10 (Krizhevsky 2009) re-encoded as JPEG, in a tar archive with one folder per class.

The re-encoded images differ from the published ones, so accuracies on them are always reported as
"CIFAR-10 (JPEG)". The archive has `train/CLASS/NNNN.jpg` (5,000 per class) and
`test/CLASS/NNNN.jpg` (1,000 per class), each of 32×32 pixels.

`fetch` decodes the archive once, into arrays in the cache whose SHA-256 is pinned. Training does
not need the archive.
"""

from __future__ import annotations

import io
import lzma
import tarfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path, PurePosixPath

import numpy as np

from zoo.data import imagenet
from zoo.errors import ZooError
from zoo.io.files import atomic_path, read_bytes
from zoo.io.log import Log

LABELS = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
COUNTS = {"train": 5000, "test": 1000}  # images per class
# SHA-256 of the decoded arrays, with libjpeg's accurate inverse DCT.
SHA256 = {
    "train": "94bcf925209a9afdd9a4d8d9bd4e4ace3e27245ee3afa68351656169df2e5961",
    "test": "ca99fa1a7ea05612b839a18a5d677f065fc143f63f61d86c5c160f955f2e7cd4",
}
_SIDE = 32
REMEDY = "run zoo data --dataset=cifar10_jpeg --archive=cifar10_jpeg.tar.xz"
_MAX_ARCHIVE = 64 * 2**20
_MAX_IMAGE = 2**16


def folder(cache: Path) -> Path:
    """Returns the folder of the decoded arrays."""
    return cache / "cifar10_jpeg"


def find(cache: Path) -> Path | None:
    """Returns the folder if it has both splits, unchecked; None otherwise."""
    return folder(cache) if all(_file(cache, split).is_file() for split in COUNTS) else None


def _file(cache: Path, split: str) -> Path:
    return folder(cache) / f"{split}.bin"


def read(cache: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Reads a split from the cache.

    Args:
        cache: The cache folder.
        split: `train` or `test`.

    Returns:
        Images, uint8 (n, 32, 32, 3) in RGB, and labels, uint8 (n,).

    Raises:
        ZooError: if the dataset was not fetched yet or its content has changed.
    """
    path = _file(cache, split)
    if not path.is_file():
        raise ZooError("CIFAR-10 (JPEG) is not on this machine", where=path, remedy=REMEDY)
    count = COUNTS[split] * len(LABELS)
    size = count * (_SIDE * _SIDE * 3 + 1)
    data = read_bytes(path, "a file of CIFAR-10 (JPEG)", size, REMEDY)
    if (got := sha256(data).hexdigest()) != SHA256[split]:
        raise ZooError(
            "corrupt CIFAR-10 (JPEG) file",
            where=path,
            expected=f"{size} bytes with sha256 {SHA256[split]}",
            got=f"{len(data)} bytes with sha256 {got}",
            remedy=REMEDY,
        )
    labels = np.frombuffer(data, np.uint8, count)
    return np.frombuffer(data, np.uint8, offset=count).reshape(-1, _SIDE, _SIDE, 3), labels


def fetch(cache: Path, archive: Path | None, log: Log) -> None:
    """Decodes the archive into the cache, unless the cache has a valid copy.

    Args:
        cache: The cache folder.
        archive: Tar archive of the JPEG files; may be None if the cache has a valid copy.
        log: Called with each progress message.

    Raises:
        ZooError: if the archive is missing or unreadable, or its images are not the expected ones.
    """
    try:
        for split in COUNTS:
            read(cache, split)
    except ZooError as error:
        if archive is None:
            raise ZooError(
                "--archive is required: CIFAR-10 (JPEG) has no public download",
                where="--archive",
                expected="a tar of train/CLASS/NNNN.jpg and test/CLASS/NNNN.jpg",
                got=error.what,
                remedy="give --archive=PATH",
            ) from error
    else:
        log(f"cifar10_jpeg: found in {folder(cache)}, checksums OK")
        return
    log(f"cifar10_jpeg: decoding {archive}")
    pixels = {
        split: np.zeros((len(LABELS), count, _SIDE, _SIDE, 3), np.uint8)
        for split, count in COUNTS.items()
    }
    seen = {split: np.zeros((len(LABELS), count), bool) for split, count in COUNTS.items()}
    for split, label, number, image in _images(archive):
        decoded = imagenet.decode(image)
        if decoded.shape != (_SIDE, _SIDE, 3):
            raise ZooError(
                "unexpected image size",
                where=f"{archive}: {image.name}",
                expected=f"{_SIDE}×{_SIDE}",
                got=decoded.shape,
            )
        pixels[split][label, number] = decoded
        seen[split][label, number] = True
    for split, count in COUNTS.items():
        if not seen[split].all():
            raise ZooError(
                f"the archive lacks {split} images",
                where=archive,
                expected=count * len(LABELS),
                got=int(seen[split].sum()),
            )
        labels = np.repeat(np.arange(len(LABELS), dtype=np.uint8), count)
        content = labels.tobytes() + pixels[split].tobytes()
        if (got := sha256(content).hexdigest()) != SHA256[split]:
            raise ZooError(
                f"the {split} images are not those of CIFAR-10 (JPEG)",
                where=archive,
                expected=f"decoded pixels with sha256 {SHA256[split]}",
                got=got,
            )
        with atomic_path(_file(cache, split)) as temporary:
            temporary.write_bytes(content)
    log(f"cifar10_jpeg: ready in {folder(cache)}, checksums OK")


def _images(archive: Path) -> Iterator[tuple[str, int, int, imagenet.JpegImage]]:
    """Yields split, class index, number and encoded image, in the order of the archive."""
    data = read_bytes(archive, "the archive of CIFAR-10 (JPEG)", _MAX_ARCHIVE, "give --archive")
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r|*") as tar:
            for member in tar:
                path = PurePosixPath(member.name)
                if not member.isreg() or path.suffix != ".jpg":
                    continue
                split, name = (path.parts[-3:-1]) if len(path.parts) >= 3 else ("", "")
                known = split in COUNTS and name in LABELS and path.stem.isdigit()
                if not known or int(path.stem) >= COUNTS[split] or member.size > _MAX_IMAGE:
                    raise ZooError(
                        "not an image of CIFAR-10 (JPEG)",
                        where=f"{archive}: {member.name}",
                        expected="train/airplane/0000.jpg and so on, of at most 64 KiB",
                    )
                stream = tar.extractfile(member)
                content = stream.read() if stream else b""
                image = imagenet.JpegImage(member.name, LABELS.index(name), content)
                yield split, image.label, int(path.stem), image
    except (tarfile.TarError, lzma.LZMAError, OSError, EOFError, ValueError) as error:
        raise ZooError(
            "cannot read the archive",
            where=archive,
            expected="a tar, compressed or not",
            got=error,
            remedy="download or create the archive again",
        ) from error
