"""Bytes of no particular kind: the plan and what is left of the file, under the standard LZMA.

Raw LZMA1, without the headers and checks of .xz: the container
has its own checks.
"""

from __future__ import annotations

import lzma
from typing import Any

from zoo.container.sections import damaged

_CHUNK = 1 << 16
_MIN_DICTIONARY, _MAX_DICTIONARY = 12, 24  # as powers of 2; bounds the decoder's memory
# (literal context bits, literal position bits, position bits); flatbuffers are 4-byte aligned.
_SETTINGS = ((3, 0, 0), (0, 2, 2), (1, 2, 2), (2, 2, 2), (3, 0, 2))
_STORED = 255


def compress(data: bytes) -> bytes:
    """The shortest of several ways: one byte that says which, then the coded bytes."""
    power = min(max(_MIN_DICTIONARY, len(data).bit_length()), _MAX_DICTIONARY)
    settings = _SETTINGS if len(data) < 1 << 21 else _SETTINGS[:2]
    ways = [
        bytes([number, power])
        + lzma.compress(data, lzma.FORMAT_RAW, filters=_filters(number, power))
        for number in range(len(settings))
    ]
    return min([*ways, bytes([_STORED, 0]) + data], key=len)


def _filters(number: int, power: int) -> list[dict[str, Any]]:
    context, position, place = _SETTINGS[number]
    return [
        {
            "id": lzma.FILTER_LZMA1,
            "preset": 9 | lzma.PRESET_EXTREME,
            "dict_size": 1 << power,
            "lc": context,
            "lp": position,
            "pb": place,
        }
    ]


class LzmaReader:
    """Reads what `compress` wrote, piece by piece.

    Args:
        data: all of it; may be anything.

    Raises:
        ZooError: it is no such thing.
    """

    def __init__(self, data: bytes):
        if len(data) < 2:
            raise damaged("its general part is missing")
        number, power = data[0], data[1]
        self._rest = memoryview(data)[2:]
        self._decoder: lzma.LZMADecompressor | None = None
        if number != _STORED:
            if number >= len(_SETTINGS) or not _MIN_DICTIONARY <= power <= _MAX_DICTIONARY:
                raise damaged("its general part is of an unknown kind")
            self._decoder = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=_filters(number, power))

    def take(self, count: int) -> bytes:
        """The next bytes, `count` or fewer, at least one.

        Raises:
            ZooError: there are none left.
        """
        count = min(count, _CHUNK)
        if self._decoder is None:
            found, self._rest = bytes(self._rest[:count]), self._rest[count:]
        else:
            try:
                found = self._decoder.decompress(self._rest, count)
            except (lzma.LZMAError, EOFError) as error:
                raise damaged("its general part does not unpack") from error
            self._rest = self._rest[:0]
        if not found:
            raise damaged("its general part is too short")
        return found

    def exactly(self, count: int) -> bytes:
        """The next bytes, `count` of them."""
        parts = bytearray()
        while len(parts) < count:
            parts += self.take(count - len(parts))
        return bytes(parts)

    def close(self) -> None:
        """Checks that nothing is left over."""
        if self._decoder is None:
            left = len(self._rest) > 0
        else:
            try:
                left = not self._decoder.eof and bool(self._decoder.decompress(self._rest, 1))
            except lzma.LZMAError as error:
                raise damaged("its general part does not end well") from error
            left = left or bool(self._decoder.unused_data)
        if left:
            raise damaged("general data is left over")
