"""The container's outer form, and unpacking it.

    magic "ZTFL", version (1 byte), restored size (8), its SHA-256 (32), length of the general
    part (4), length of the raw part (8), CRC-32 of all else (4); general part; raw part; coded part

Numbers are little endian. Unpacking needs NumPy and constriction, nothing that knows TFLite.
"""

from __future__ import annotations

import hashlib
import io
import struct
import zlib
from typing import BinaryIO

from zoo.container import sections
from zoo.container.ans import Decoder
from zoo.container.codec import Codec
from zoo.container.lzma_stream import LzmaReader
from zoo.container.sections import damaged
from zoo.errors import ZooError

MAGIC = b"ZTFL"
VERSION = 3
DEFAULT_LIMIT = 1 << 30
_HEADER = struct.Struct("<4sBQ32sIQ")
_CRC = struct.Struct("<I")
MAX_PLAN = 1 << 20
_MAX_CONTAINER = 2 << 30


def assemble(content: bytes, general: bytes, raw: bytes, coded: bytes) -> bytes:
    """A container of its parts; `content` is what they restore."""
    digest = hashlib.sha256(content).digest()
    header = _HEADER.pack(MAGIC, VERSION, len(content), digest, len(general), len(raw))
    crc = zlib.crc32(header)
    for part in (general, raw, coded):
        crc = zlib.crc32(part, crc)
    return b"".join((header, _CRC.pack(crc), general, raw, coded))


def unpack(source: BinaryIO, target: BinaryIO, limit: int = DEFAULT_LIMIT) -> int:
    """Restores a file, written as it is decoded.

    What is written is right only when this returns: write to a temporary file, and drop it where
    this raises. Memory is bounded by the container's own size and the largest section's.

    Args:
        source: the container.
        target: gets the restored file.
        limit: how many bytes it may have.

    Returns:
        How many bytes it has.

    Raises:
        ZooError: no container, of another version, damaged, or larger than `limit`.
    """
    data = source.read(_MAX_CONTAINER + 1)
    size, digest, general, raw, coded = _parts(data, limit)
    reader = LzmaReader(general)
    # The plan's length comes first: three bytes.
    length = int.from_bytes(reader.exactly(3), "little")
    if length > MAX_PLAN:
        raise damaged("its plan is too long")
    plan = sections.from_bytes(reader.exactly(length), size)
    decoder, rest = Decoder(coded), _Raw(raw)
    codec = Codec(decoder, reader, rest)
    found, written = hashlib.sha256(), 0
    for section in plan:
        for piece in codec.decode(section):
            found.update(piece)
            written += len(piece)
            target.write(piece)
    reader.close()
    rest.close()
    decoder.close()
    if written != size or found.digest() != digest:
        raise damaged("what it restores is not the file that was packed")
    return written


def unpack_bytes(data: bytes, limit: int = DEFAULT_LIMIT) -> bytes:
    """As `unpack`, from bytes to bytes."""
    target = io.BytesIO()
    unpack(io.BytesIO(data), target, limit)
    return target.getvalue()


def _parts(data: bytes, limit: int) -> tuple[int, bytes, bytes, bytes, bytes]:
    start = _HEADER.size + _CRC.size
    if data[:4] != MAGIC[: len(data)] or not data:
        raise ZooError("not a container of scripts.pack", expected=repr(MAGIC), got=repr(data[:4]))
    if len(data) > 4 and data[4] != VERSION:
        raise ZooError(
            "a container of another version",
            expected=VERSION,
            got=data[4],
            remedy="unpack it with the release that packed it",
        )
    if len(data) < start:
        raise damaged("it is cut off")
    _, _, size, digest, general, raw = _HEADER.unpack_from(data)
    if size > limit:
        raise ZooError(
            "the file in the container is too large",
            expected=f"at most {limit} bytes",
            got=f"{size} bytes",
            remedy="allow more by --limit, if you know where it comes from",
        )
    body = memoryview(data)[start:]
    crc = zlib.crc32(body, zlib.crc32(data[: _HEADER.size]))
    if crc != _CRC.unpack_from(data, _HEADER.size)[0]:
        raise damaged("its checksum is wrong")
    if general + raw > len(body):
        raise damaged("its parts are longer than it is")
    middle = general + raw
    return size, digest, bytes(body[:general]), bytes(body[general:middle]), bytes(body[middle:])


class _Raw:
    """Reads bytes that no coder made smaller."""

    def __init__(self, data: bytes):
        self._data, self._at = data, 0

    def take(self, count: int) -> bytes:
        found = self._data[self._at : self._at + count]
        if not found:
            raise damaged("its raw part is too short")
        self._at += len(found)
        return found

    def close(self) -> None:
        if self._at != len(self._data):
            raise damaged("raw data is left over")
