"""Encoded images that are decoded on access, so a dataset need not fit into memory."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np

from zoo.data import decode
from zoo.errors import ZooError
from zoo.io.log import Log

_PROCESSORS = 4
_MAX_NAMES = 5  # broken images named in a message


class ImageSource(Protocol):
    """Encoded images by number."""

    def name(self, number: int) -> str:
        """Returns the name of an image for messages."""
        ...

    def read(self, number: int) -> bytes:
        """Returns the encoded image."""
        ...


class EncodedImages:
    """A selection of a source's images that acts like a uint8 RGB array (n, size, size, 3).

    Indexing decodes: an integer returns (size, size, 3); a slice or an array of integers returns
    (n, size, size, 3). Each image is center-cropped as in `zoo.data.decode.central`.

    Args:
        source: Source of the encoded images.
        numbers: Numbers of the selected images in the source.
        size: Height and width of the decoded images in pixels.
    """

    def __init__(self, source: ImageSource, numbers: Sequence[int] | np.ndarray, size: int):
        self.source, self.numbers, self.size = source, np.asarray(numbers, np.int64), size

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Shape of the array, (n, size, size, 3)."""
        return (len(self.numbers), self.size, self.size, 3)

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, key: Any) -> np.ndarray:
        if isinstance(key, int | np.integer):
            return self._central(self.numbers[key])
        images = list(map(self._central, self.numbers[key]))
        return np.stack(images) if images else np.zeros((0, *self.shape[1:]), np.uint8)

    def __iter__(self) -> Iterator[np.ndarray]:
        return map(self._central, self.numbers)

    def part(self, which: np.ndarray) -> EncodedImages:
        """Returns the images at the given indices of this selection, without decoding any."""
        return EncodedImages(self.source, self.numbers[which], self.size)

    def crop(self, place: int, least: float, seed: Sequence[int]) -> np.ndarray:
        """Returns a random crop of an image; see `zoo.data.decode.resized_crop`.

        Args:
            place: Index of the image in this selection.
            least: Smallest fraction of the image's area that a crop may have.
            seed: Seed of the random generator; the same seed gives the same crop.

        Returns:
            Pixels, uint8 (size, size, 3).
        """
        draw = np.random.default_rng(seed)
        image = self._decoded(self.numbers[place], self.size / math.sqrt(least))
        return decode.resized_crop(image, self.size, least, draw)

    def _central(self, number: int) -> np.ndarray:
        return decode.central(self._decoded(number, self.size), self.size)

    def _decoded(self, number: int, size: float) -> Any:
        data, name = self.source.read(int(number)), self.source.name(int(number))
        return decode.rgb(data, name, short=decode.enough(size))


def broken(source: ImageSource, numbers: Sequence[int]) -> dict[int, str]:
    """Decodes all given images and returns the reason for each one that fails, by number."""

    def problem(number: int) -> str | None:
        try:
            # JPEGs are decoded at the smallest scale, which is fastest.
            decode.rgb(source.read(number), source.name(number), short=1)
        except ZooError as error:
            return str(error)
        return None

    with ThreadPoolExecutor(_PROCESSORS) as pool:
        return {n: why for n, why in zip(numbers, pool.map(problem, numbers), strict=True) if why}


def without_broken(source: ImageSource, numbers: Sequence[int], skip: bool, log: Log) -> list[int]:
    """Returns the numbers of the images that can be decoded.

    Args:
        source: Source of the encoded images.
        numbers: Numbers of the images to check.
        skip: Leave out broken images instead of raising.
        log: Called with a message for each image that is left out.

    Raises:
        ZooError: if an image is broken and `skip` is false.
    """
    bad = broken(source, numbers)
    if bad and not skip:
        (_, why), *others = bad.items()
        names = [source.name(number) for number, _ in others[: _MAX_NAMES - 1]]
        names += ["…"] if len(bad) > _MAX_NAMES else []
        raise ZooError(
            f"cannot decode {len(bad)} of {len(numbers)} images",
            got=why + (f"; also {', '.join(names)}" if names else ""),
            remedy="repair or remove them, or skip them with --skip_broken",
        )
    for why in bad.values():
        log(f"skipped: {why}")
    return [number for number in numbers if number not in bad]
