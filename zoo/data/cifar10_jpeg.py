"""CIFAR-10 (Krizhevsky 2009) re-encoded as JPEG: one folder a class, packed as a tar.

Pictures that were compressed once more are not the published ones, so that an accuracy on them is
one on "CIFAR-10 (JPEG)" and stands beside published ones only with that name. The archive has
`train/CLASS/NNNN.jpg` (5,000 a class) and `test/CLASS/NNNN.jpg` (1,000), each of 32×32 pixels.

It is decoded once, by `fetch`, into arrays in the cache whose SHA-256 is pinned; training needs the
archive no more.
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
COUNTS = {"train": 5000, "test": 1000}  # pictures a class
# Of the arrays' content: pixels as libjpeg's accurate inverse transform gives them.
SHA256 = {
    "train": "94bcf925209a9afdd9a4d8d9bd4e4ace3e27245ee3afa68351656169df2e5961",
    "test": "ca99fa1a7ea05612b839a18a5d677f065fc143f63f61d86c5c160f955f2e7cd4",
}
_SIDE = 32
_MAX_ARCHIVE = 64 * 2**20
_MAX_PICTURE = 2**16


def folder(cache: Path) -> Path:
    """Where `fetch` leaves the decoded arrays."""
    return cache / "cifar10_jpeg"


def read(cache: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 (n, 32, 32, 3), RGB, and labels uint8 (n,) of `train` or `test`.

    Raises:
        ZooError: not fetched yet, or of other content.
    """
    remedy = "run python -m scripts.data --dataset=cifar10_jpeg --archive=cifar10_jpeg.tar.xz"
    path = folder(cache) / f"{split}.bin"
    if not path.is_file():
        raise ZooError("CIFAR-10 (JPEG) is not on this machine", where=path, remedy=remedy)
    count = COUNTS[split] * len(LABELS)
    size = count * (_SIDE * _SIDE * 3 + 1)
    data = read_bytes(path, "a file of CIFAR-10 (JPEG)", size, remedy)
    if (got := sha256(data).hexdigest()) != SHA256[split]:
        raise ZooError(
            "a damaged file of CIFAR-10 (JPEG)",
            where=path,
            expected=f"{size} bytes with sha256 {SHA256[split]}",
            got=f"{len(data)} bytes with sha256 {got}",
            remedy=remedy,
        )
    labels = np.frombuffer(data, np.uint8, count)
    return np.frombuffer(data, np.uint8, offset=count).reshape(-1, _SIDE, _SIDE, 3), labels


def fetch(cache: Path, archive: Path | None, log: Log) -> None:
    """Decodes the archive into the cache, unless a good copy is there.

    Raises:
        ZooError: no archive, one that can't be read, or other pictures than those expected.
    """
    try:
        for split in COUNTS:
            read(cache, split)
    except ZooError as error:
        if archive is None:
            raise ZooError(
                "CIFAR-10 (JPEG) has no public address",
                where="--archive",
                expected="a tar of train/CLASS/NNNN.jpg and test/CLASS/NNNN.jpg",
                got=error,
                remedy="give --archive=PATH",
            ) from error
    else:
        log(f"cifar10_jpeg: found in {folder(cache)}, checksums right")
        return
    log(f"cifar10_jpeg: decoding {archive}")
    pixels = {
        split: np.zeros((len(LABELS), count, _SIDE, _SIDE, 3), np.uint8)
        for split, count in COUNTS.items()
    }
    seen = {split: np.zeros((len(LABELS), count), bool) for split, count in COUNTS.items()}
    for split, label, number, picture in _pictures(archive):
        decoded = imagenet.decode(picture)
        if decoded.shape != (_SIDE, _SIDE, 3):
            raise ZooError(
                "a picture of another size",
                where=f"{archive}: {picture.name}",
                expected=f"{_SIDE}×{_SIDE}",
                got=decoded.shape,
            )
        pixels[split][label, number] = decoded
        seen[split][label, number] = True
    for split, count in COUNTS.items():
        if not seen[split].all():
            raise ZooError(
                f"the {split} pictures are not all there",
                where=archive,
                expected=count * len(LABELS),
                got=int(seen[split].sum()),
            )
        labels = np.repeat(np.arange(len(LABELS), dtype=np.uint8), count)
        content = labels.tobytes() + pixels[split].tobytes()
        if (got := sha256(content).hexdigest()) != SHA256[split]:
            raise ZooError(
                f"other {split} pictures than those of CIFAR-10 (JPEG)",
                where=archive,
                expected=f"decoded pixels of sha256 {SHA256[split]}",
                got=got,
            )
        with atomic_path(folder(cache) / f"{split}.bin") as temporary:
            temporary.write_bytes(content)
    log(f"cifar10_jpeg: ready in {folder(cache)}, checksums right")


def _pictures(archive: Path) -> Iterator[tuple[str, int, int, imagenet.Picture]]:
    """Split, class, number and the encoded picture, in the archive's order."""
    data = read_bytes(archive, "the archive of CIFAR-10 (JPEG)", _MAX_ARCHIVE, "give --archive")
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r|*") as tar:
            for member in tar:
                path = PurePosixPath(member.name)
                if not member.isreg() or path.suffix != ".jpg":
                    continue
                split, name = (path.parts[-3:-1]) if len(path.parts) >= 3 else ("", "")
                known = split in COUNTS and name in LABELS and path.stem.isdigit()
                if not known or int(path.stem) >= COUNTS[split] or member.size > _MAX_PICTURE:
                    raise ZooError(
                        "not a picture of CIFAR-10 (JPEG)",
                        where=f"{archive}: {member.name}",
                        expected="train/airplane/0000.jpg and so on, of at most 64 kB",
                    )
                stream = tar.extractfile(member)
                content = stream.read() if stream else b""
                picture = imagenet.Picture(member.name, LABELS.index(name), content)
                yield split, picture.label, int(path.stem), picture
    except (tarfile.TarError, lzma.LZMAError, OSError, EOFError, ValueError) as error:
        raise ZooError(
            "the archive can't be read",
            where=archive,
            expected="a tar, compressed or not",
            got=error,
            remedy="get it again",
        ) from error
