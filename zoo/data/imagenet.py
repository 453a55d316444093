"""Reads labeled ImageNet images from a tar or a folder, decodes and crops them for a network.

The label is the WordNet synset in the file name, `n01440764_tench.jpg`, or in the name of its
folder, `n01440764/anything.JPEG`. The class index is the position of the synset among the 1000
sorted synsets of ILSVRC-2012. Any subset of the classes can be scored; other synsets are rejected.

The images may come from an untrusted source: nothing is unpacked to disk and every size is bounded.
"""

from __future__ import annotations

import re
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from zoo.data import decode as decoding
from zoo.data.imagenet_synsets import ILSVRC2012
from zoo.errors import ZooError
from zoo.io.files import read_bytes
from zoo.schema.model import Preprocessing

MAX_IMAGES = 100_000  # the validation set has 50,000
MAX_IMAGE_BYTES = 32 * 2**20
MAX_PIXELS = decoding.MAX_PIXELS
SHORT_SIDE = 256

_INDEX = {synset: index for index, synset in enumerate(ILSVRC2012)}
_SUFFIXES = (".jpg", ".jpeg")
_MAX_HEADER_BYTES = 2**16
_EXTENDING = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)


@dataclass(frozen=True)
class JpegImage:
    """An encoded JPEG.

    Attributes:
        name: Path within the tar or folder.
        label: Class index from 0, or -1 if unlabeled.
        data: Content of the file.
    """

    name: str
    label: int
    data: bytes


def read_images(path: Path, labeled: bool = True) -> Iterator[JpegImage]:
    """Yields all JPEGs of an uncompressed tar, in its order, or of a folder, sorted by name.

    Args:
        path: The tar or folder.
        labeled: Whether the names must contain a synset; otherwise all labels are -1.

    Raises:
        ZooError: if `path` is missing, damaged or has no JPEGs, an image is too large, or, with
            `labeled`, an image has no synset or one that is not in ILSVRC-2012.
    """
    label_of = _label if labeled else _no_label
    if not path.exists():
        raise ZooError(
            "no such images",
            where=path,
            expected="a .tar or a folder of JPEGs",
            remedy="give --images=PATH",
        )
    count = 0
    for image in (_in_folder if path.is_dir() else _in_tar)(path, label_of):
        count += 1
        if count > MAX_IMAGES:
            raise ZooError("too many images", where=path, expected=f"at most {MAX_IMAGES}")
        yield image
    if not count:
        raise ZooError(
            "no images found", where=path, expected=f"files that end in {' or '.join(_SUFFIXES)}"
        )


def _in_folder(path: Path, label_of: Callable[[str, Path], int]) -> Iterator[JpegImage]:
    for file in sorted(path.rglob("*")):
        if file.suffix.lower() in _SUFFIXES and not file.is_dir():
            name = file.relative_to(path.parent).as_posix()
            label = label_of(name, path)
            data = read_bytes(file, "the image", MAX_IMAGE_BYTES, "remove it from the folder")
            yield JpegImage(name, label, data)


class _BoundedHeader(tarfile.TarInfo):
    """A tar header; rejects an extended header that is too long to be read into memory."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _BoundedHeader:
        """See `tarfile.TarInfo.frombuf`."""
        header = super().frombuf(buf, encoding, errors)
        if header.type in _EXTENDING and header.size > _MAX_HEADER_BYTES:
            raise ZooError(
                "the tar is damaged: a header is too long",
                expected=f"at most {_MAX_HEADER_BYTES} bytes",
                got=header.size,
            )
        return header


def _in_tar(path: Path, label_of: Callable[[str, Path], int]) -> Iterator[JpegImage]:
    try:
        with tarfile.open(path, "r:", tarinfo=_BoundedHeader) as tar:
            for number, member in enumerate(tar):
                if number >= 2 * MAX_IMAGES:
                    raise ZooError(
                        "too many entries", where=path, expected=f"at most {2 * MAX_IMAGES}"
                    )
                is_jpeg = PurePosixPath(member.name).suffix.lower() in _SUFFIXES
                if not is_jpeg or not member.isreg() or member.issparse():
                    continue
                label = label_of(member.name, path)
                if member.size > MAX_IMAGE_BYTES:
                    raise ZooError(
                        "an image is too large",
                        where=f"{path}: {member.name}",
                        expected=f"at most {MAX_IMAGE_BYTES} bytes",
                        got=member.size,
                    )
                stream = tar.extractfile(member)
                yield JpegImage(member.name, label, stream.read() if stream else b"")
    except (tarfile.TarError, OSError, EOFError, ValueError, OverflowError) as error:
        raise ZooError(
            "cannot read the tar",
            where=path,
            expected="an uncompressed tar of JPEGs",
            got=error,
            remedy="decompress it, or download it again",
        ) from error


def _no_label(*_: object) -> int:
    return -1


def _label(name: str, where: Path) -> int:
    parts = PurePosixPath(name).parts
    match = re.match(r"(n\d{8})_", parts[-1]) or re.fullmatch(
        r"(n\d{8})(?:_.*)?", parts[-2] if len(parts) > 1 else ""
    )
    if match is None:
        raise ZooError(
            "an image has no label in its name",
            where=f"{where}: {name}",
            expected="n01440764_NAME.jpg or n01440764/NAME.jpg",
        )
    if match[1] not in _INDEX:
        raise ZooError(
            f"{match[1]} is not a class of ILSVRC-2012",
            where=f"{where}: {name}",
            expected=f"one of the 1000 synsets {ILSVRC2012[0]} … {ILSVRC2012[-1]}",
        )
    return _INDEX[match[1]]


def decode(image: JpegImage) -> np.ndarray:
    """Decodes an image to uint8 (height, width, 3) in RGB.

    Raises:
        ZooError: if the image is broken, is not a JPEG or has too many pixels.
    """
    return np.asarray(decoding.rgb(image.data, image.name, formats=("JPEG",), most=MAX_PIXELS))


def central_crops(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resizes the shorter side to 256 pixels and returns all central crops of height × width.

    If the margin is odd, as for a crop of 227 from 256, two crops per axis are equally close to the
    center. All are returned, because the choice can change an accuracy on 1,000 images by more than
    half a percentage point.

    Resizing is bilinear with antialiasing, by TensorFlow, which is imported only if the shorter
    side is not 256 pixels already.

    Args:
        pixels: uint8 (height, width, channels).
        height: Height of the crop in pixels, at most 256.
        width: Width of the crop in pixels, at most 256.

    Returns:
        1, 2 or 4 crops, float32 (crops, height, width, channels), 0 to 255.

    Raises:
        ZooError: if the crop is larger than 256 pixels.
    """
    if max(height, width) > SHORT_SIDE:
        raise ZooError(
            "the network's input is too large for this evaluation",
            expected=f"at most {SHORT_SIDE}×{SHORT_SIDE}",
            got=f"{height}×{width}",
        )
    short = min(pixels.shape[:2])
    if short != SHORT_SIDE:
        import tensorflow as tf

        size = [max(SHORT_SIDE, round(side * SHORT_SIDE / short)) for side in pixels.shape[:2]]
        pixels = tf.clip_by_value(tf.image.resize(pixels, size, antialias=True), 0, 255).numpy()
    starts = [
        sorted({(side - crop) // 2, (side - crop + 1) // 2})
        for side, crop in zip(pixels.shape[:2], (height, width), strict=True)
    ]
    crops = [
        pixels[top : top + height, left : left + width] for top in starts[0] for left in starts[1]
    ]
    return np.stack(crops).astype(np.float32)


def normalize(pixels: np.ndarray, preprocessing: Preprocessing) -> np.ndarray:
    """Converts RGB pixels to the channel order and normalization of a network.

    Args:
        pixels: RGB pixels (…, 3), 0 to 255.
        preprocessing: Normalization the network was trained with.

    Returns:
        float32 (…, 3).

    Raises:
        ZooError: if the network takes gray images.
    """
    if preprocessing.channels == "gray":
        raise ZooError("the network takes gray images", expected="RGB or BGR")
    ordered = pixels[..., ::-1] if preprocessing.channels == "BGR" else pixels
    mean, std = (np.array(values, np.float32) for values in (preprocessing.mean, preprocessing.std))
    return (ordered.astype(np.float32) - mean) / std
