"""Labeled ImageNet pictures from a tar or a folder: read, decoded and cropped for a network.

The label is the WordNet synset in a picture's name, `n01440764_tench.jpg`, or in its folder's,
`n01440764/anything.JPEG`; its index is the place among the sorted 1000 of ILSVRC-2012. Any subset
of the classes can be scored so; a synset that is not among them is refused.

Nothing is unpacked to disk and every size is bounded, since the pictures may come from anyone.
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

MAX_PICTURES = 100_000  # the validation set has 50,000
MAX_PICTURE_BYTES = 32 * 2**20
MAX_PIXELS = decoding.MAX_PIXELS
SHORT_SIDE = 256

_INDEX = {synset: index for index, synset in enumerate(ILSVRC2012)}
_SUFFIXES = (".jpg", ".jpeg")
_LONGEST_HEADER = 2**16
_EXTENDING = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)


@dataclass(frozen=True)
class Picture:
    """An encoded JPEG: its name within the set, its class's index from 0 (or -1), its bytes."""

    name: str
    label: int
    data: bytes


def pictures(path: Path, labeled: bool = True) -> Iterator[Picture]:
    """All JPEGs of an uncompressed tar, in its order, or of a folder, by name.

    Args:
        path: the tar or folder.
        labeled: whether names must tell the class; without, every label is -1.

    Raises:
        ZooError: missing, damaged or without JPEGs; a picture that is too large, or, with labels,
            without a synset or of one that ILSVRC-2012 does not have.
    """
    label_of = _label if labeled else _no_label
    if not path.exists():
        raise ZooError(
            "no such pictures",
            where=path,
            expected="a .tar or a folder of JPEGs",
            remedy="give --images=PATH",
        )
    count = 0
    for picture in (_in_folder if path.is_dir() else _in_tar)(path, label_of):
        count += 1
        if count > MAX_PICTURES:
            raise ZooError("too many pictures", where=path, expected=f"at most {MAX_PICTURES}")
        yield picture
    if not count:
        raise ZooError(
            "no pictures in there", where=path, expected=f"files that end in {_SUFFIXES}"
        )


def _in_folder(path: Path, label_of: Callable[[str, Path], int]) -> Iterator[Picture]:
    for file in sorted(path.rglob("*")):
        if file.suffix.lower() in _SUFFIXES and not file.is_dir():
            name = file.relative_to(path.parent).as_posix()
            label = label_of(name, path)
            data = read_bytes(file, "a picture", MAX_PICTURE_BYTES, "take it out of the folder")
            yield Picture(name, label, data)


class _BoundedHeader(tarfile.TarInfo):
    """A tar header; refuses an extended one so long that reading it would fill the memory."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _BoundedHeader:
        """As TarInfo's."""
        header = super().frombuf(buf, encoding, errors)
        if header.type in _EXTENDING and header.size > _LONGEST_HEADER:
            raise ZooError(
                "a damaged tar: too long a header",
                expected=f"at most {_LONGEST_HEADER} bytes",
                got=header.size,
            )
        return header


def _in_tar(path: Path, label_of: Callable[[str, Path], int]) -> Iterator[Picture]:
    try:
        with tarfile.open(path, "r:", tarinfo=_BoundedHeader) as tar:
            for number, member in enumerate(tar):
                if number >= 2 * MAX_PICTURES:
                    raise ZooError("too many entries", where=path, expected=2 * MAX_PICTURES)
                named = PurePosixPath(member.name).suffix.lower() in _SUFFIXES
                if not named or not member.isreg() or member.issparse():
                    continue
                label = label_of(member.name, path)
                if member.size > MAX_PICTURE_BYTES:
                    raise ZooError(
                        "a picture is too large",
                        where=f"{path}: {member.name}",
                        expected=f"at most {MAX_PICTURE_BYTES} bytes",
                        got=member.size,
                    )
                stream = tar.extractfile(member)
                yield Picture(member.name, label, stream.read() if stream else b"")
    except (tarfile.TarError, OSError, EOFError, ValueError, OverflowError) as error:
        raise ZooError(
            "the tar can't be read",
            where=path,
            expected="an uncompressed tar of JPEGs",
            got=error,
            remedy="unpack it where it is compressed, or get it again",
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
            "a picture without a label",
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


def decode(picture: Picture) -> np.ndarray:
    """The picture's pixels, uint8 (height, width, 3) in RGB.

    Raises:
        ZooError: broken, no JPEG, or too large when decoded.
    """
    return np.asarray(decoding.rgb(picture.data, picture.name, formats=("JPEG",), most=MAX_PIXELS))


def central_crops(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Every central height × width of a picture whose shorter side is brought to 256 pixels first.

    Where the margin is odd, as for 227 of 256, no crop is in the middle and two are equally near
    it, on each axis. They are all returned, since which one is taken can move an accuracy on 1,000
    pictures by more than half a point.

    A picture that has the right size already is not resampled. Others are, bilinearly with
    antialiasing. Imports TensorFlow where it resamples.

    Args:
        pixels: uint8 (h, w, c).
        height: of the crop, at most 256.
        width: of the crop, at most 256.

    Returns:
        float32 (crops, height, width, c), 0 to 255; 1, 2 or 4 crops.

    Raises:
        ZooError: a crop larger than 256 pixels.
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
        sorted({(have - want) // 2, (have - want + 1) // 2})
        for have, want in zip(pixels.shape[:2], (height, width), strict=True)
    ]
    crops = [
        pixels[top : top + height, left : left + width] for top in starts[0] for left in starts[1]
    ]
    return np.stack(crops).astype(np.float32)


def normalize(pixels: np.ndarray, preprocessing: Preprocessing) -> np.ndarray:
    """RGB pixels (…, 3), 0 to 255 → what the network was trained on, float32 in its channels.

    Raises:
        ZooError: a network that wants gray pictures.
    """
    if preprocessing.channels == "gray":
        raise ZooError("the network wants gray pictures", expected="RGB or BGR")
    ordered = pixels[..., ::-1] if preprocessing.channels == "BGR" else pixels
    mean, std = (np.array(values, np.float32) for values in (preprocessing.mean, preprocessing.std))
    return (ordered.astype(np.float32) - mean) / std
