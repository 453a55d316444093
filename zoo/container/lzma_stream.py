"""LZMA compression of the general part: the plan, and file bytes of unknown structure.

Uses raw LZMA1 without the headers and checksums of .xz, since the container has its own checksums.
"""

from __future__ import annotations

import lzma
from typing import Any

from zoo.container.sections import damaged

_CHUNK = 1 << 16
_MIN_DICTIONARY, _MAX_DICTIONARY = 12, 24  # exponents of 2; bounds the decoder's memory
# (literal context bits, literal position bits, position bits); flatbuffers are 4-byte aligned.
_SETTINGS = ((3, 0, 0), (0, 2, 2), (1, 2, 2), (2, 2, 2), (3, 0, 2))
_STORED = 255


def compress(data: bytes) -> bytes:
    """Compresses bytes with several LZMA settings and returns the shortest result.

    Returns:
        One byte with the index of the setting or 255 for uncompressed data, one byte with the
        exponent of the dictionary size, and the data.
    """
    power = min(max(_MIN_DICTIONARY, len(data).bit_length()), _MAX_DICTIONARY)
    settings = _SETTINGS if len(data) < 1 << 21 else _SETTINGS[:2]
    candidates = [
        bytes([number, power])
        + lzma.compress(data, lzma.FORMAT_RAW, filters=_filters(number, power))
        for number in range(len(settings))
    ]
    return min([*candidates, bytes([_STORED, 0]) + data], key=len)


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
    """Decompresses the output of `compress` piece by piece.

    Args:
        data: Output of `compress`; untrusted.

    Raises:
        ZooError: if the data is missing or has an unknown encoding.
    """

    def __init__(self, data: bytes):
        if len(data) < 2:
            raise damaged("its general part is missing")
        number, power = data[0], data[1]
        self._rest = memoryview(data)[2:]
        self._decoder: lzma.LZMADecompressor | None = None
        if number != _STORED:
            if number >= len(_SETTINGS) or not _MIN_DICTIONARY <= power <= _MAX_DICTIONARY:
                raise damaged("its general part has an unknown encoding")
            self._decoder = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=_filters(number, power))

    def take(self, count: int) -> bytes:
        """Returns the next bytes: at least one, at most `count`.

        Raises:
            ZooError: if no bytes are left or the data is invalid.
        """
        count = min(count, _CHUNK)
        if self._decoder is None:
            piece, self._rest = bytes(self._rest[:count]), self._rest[count:]
        else:
            try:
                piece = self._decoder.decompress(self._rest, count)
            except (lzma.LZMAError, EOFError) as error:
                raise damaged("its general part can't be decompressed") from error
            self._rest = self._rest[:0]
        if not piece:
            raise damaged("its general part is too short")
        return piece

    def exactly(self, count: int) -> bytes:
        """Returns the next `count` bytes.

        Raises:
            ZooError: if fewer bytes are left or the data is invalid.
        """
        parts = bytearray()
        while len(parts) < count:
            parts += self.take(count - len(parts))
        return bytes(parts)

    def close(self) -> None:
        """Checks that all data was read.

        Raises:
            ZooError: if data is left.
        """
        if self._decoder is None:
            left = len(self._rest) > 0
        else:
            try:
                left = not self._decoder.eof and bool(self._decoder.decompress(self._rest, 1))
            except lzma.LZMAError as error:
                raise damaged("its general part has an invalid end") from error
            left = left or bool(self._decoder.unused_data)
        if left:
            raise damaged("its general part has trailing data")
