"""Sets of encoded pictures: decoded when they are looked at, whatever their size and number."""

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
_SAID = 5  # names of broken pictures in a message


class ImageSource(Protocol):
    """Encoded pictures by number."""

    def name(self, number: int) -> str:
        """What to call a picture in messages."""
        ...

    def read(self, number: int) -> bytes:
        """A picture's bytes."""
        ...


class EncodedImages:
    """Some pictures of a source, as if they were an array uint8 (n, size, size, 3) of RGB pixels.

    Indexing decodes: a number gives (size, size, 3), a slice or an array of numbers (n, size, size,
    3), the middle of each picture as `decoding.central` has it.

    Args:
        source: of all pictures.
        numbers: of those that are here.
        size: height and width.
    """

    def __init__(self, source: ImageSource, numbers: Sequence[int] | np.ndarray, size: int):
        self.source, self.numbers, self.size = source, np.asarray(numbers, np.int64), size

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(n, size, size, 3)."""
        return (len(self.numbers), self.size, self.size, 3)

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, key: Any) -> np.ndarray:
        if isinstance(key, int | np.integer):
            return self._central(self.numbers[key])
        found = list(map(self._central, self.numbers[key]))
        return np.stack(found) if found else np.zeros((0, *self.shape[1:]), np.uint8)

    def __iter__(self) -> Iterator[np.ndarray]:
        return map(self._central, self.numbers)

    def part(self, which: np.ndarray) -> EncodedImages:
        """Some of them, by their places here."""
        return EncodedImages(self.source, self.numbers[which], self.size)

    def crop(self, place: int, least: float, seed: Sequence[int]) -> np.ndarray:
        """A random part of a picture, uint8 (size, size, 3), the same for the same seed."""
        draw = np.random.default_rng(seed)
        picture = self._decoded(self.numbers[place], self.size / math.sqrt(least))
        return decode.resized_crop(picture, self.size, least, draw)

    def _central(self, number: int) -> np.ndarray:
        return decode.central(self._decoded(number, self.size), self.size)

    def _decoded(self, number: int, size: float) -> Any:
        data, name = self.source.read(int(number)), self.source.name(int(number))
        return decode.rgb(data, name, short=decode.enough(size))


def broken(source: ImageSource, numbers: Sequence[int]) -> dict[int, str]:
    """The pictures that can't be decoded: number → why. Looks at all of them."""

    def problem(number: int) -> str | None:
        try:
            decode.rgb(source.read(number), source.name(number), short=1)  # as small as may be
        except ZooError as error:
            return str(error)
        return None

    with ThreadPoolExecutor(_PROCESSORS) as pool:
        return {n: why for n, why in zip(numbers, pool.map(problem, numbers), strict=True) if why}


def without_broken(source: ImageSource, numbers: Sequence[int], skip: bool, log: Log) -> list[int]:
    """The pictures that can be decoded.

    Args:
        source: of all pictures.
        numbers: of those to look at.
        skip: leave broken ones out, naming each; else refuse them.
        log: gets a line about each.

    Raises:
        ZooError: there are broken ones, which are not to be skipped.
    """
    bad = broken(source, numbers)
    if bad and not skip:
        (_, why), *others = bad.items()
        names = [source.name(number) for number, _ in others[: _SAID - 1]]
        names += ["…"] if len(bad) > _SAID else []
        raise ZooError(
            f"{len(bad)} of {len(numbers)} pictures can't be decoded",
            got=why + (f"; likewise {', '.join(names)}" if names else ""),
            remedy="mend or remove them, or leave them out by --skip_broken",
        )
    for why in bad.values():
        log(f"left out: {why}")
    return [number for number in numbers if number not in bad]
