"""File format of the container, and unpacking.

    magic "ZTFL", version (1 byte), size (8) and SHA-256 (32) of the restored file, length of the
    general part (4), length of the raw part (8), CRC-32 of all other bytes (4); general part; raw
    part; coded part

Numbers are little-endian. Unpacking needs only NumPy and constriction, no TFLite code.
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
    """Assembles a container from its parts.

    Args:
        content: The restored file, for the size and SHA-256 in the header.
        general: Output of `lzma_stream.compress`.
        raw: Bytes that are stored without coding.
        coded: Output of `ans.Encoder.finish`.
    """
    digest = hashlib.sha256(content).digest()
    header = _HEADER.pack(MAGIC, VERSION, len(content), digest, len(general), len(raw))
    crc = zlib.crc32(header)
    for part in (general, raw, coded):
        crc = zlib.crc32(part, crc)
    return b"".join((header, _CRC.pack(crc), general, raw, coded))


def unpack(source: BinaryIO, target: BinaryIO, limit: int = DEFAULT_LIMIT) -> int:
    """Restores a file, writing it while it is decoded.

    The written data is verified only when this function returns: write to a temporary file, and
    delete it if this raises. Memory use is bounded by the sizes of the container and of the largest
    section.

    Args:
        source: The container; untrusted.
        target: Receives the restored file.
        limit: Maximum size of the restored file in bytes.

    Returns:
        Size of the restored file in bytes.

    Raises:
        ZooError: if the source is not a container, has an unsupported version, is damaged, or
            restores a file larger than `limit`.
    """
    data = source.read(_MAX_CONTAINER + 1)
    size, digest, general, raw, coded = _parts(data, limit)
    reader = LzmaReader(general)
    # The general part starts with the plan's length in three bytes.
    length = int.from_bytes(reader.exactly(3), "little")
    if length > MAX_PLAN:
        raise damaged("its plan is too long")
    plan = sections.from_bytes(reader.exactly(length), size)
    decoder, raw_reader = Decoder(coded), _Raw(raw)
    codec = Codec(decoder, reader, raw_reader)
    sha256, written = hashlib.sha256(), 0
    for section in plan:
        for piece in codec.decode(section):
            sha256.update(piece)
            written += len(piece)
            target.write(piece)
    reader.close()
    raw_reader.close()
    decoder.close()
    if written != size or sha256.digest() != digest:
        raise damaged("the restored file is not the file that was packed")
    return written


def unpack_bytes(data: bytes, limit: int = DEFAULT_LIMIT) -> bytes:
    """Returns the restored file; see `unpack`."""
    target = io.BytesIO()
    unpack(io.BytesIO(data), target, limit)
    return target.getvalue()


def _parts(data: bytes, limit: int) -> tuple[int, bytes, bytes, bytes, bytes]:
    start = _HEADER.size + _CRC.size
    if data[:4] != MAGIC[: len(data)] or not data:
        raise ZooError(
            "not a container written by zoo pack", expected=repr(MAGIC), got=repr(data[:4])
        )
    if len(data) > 4 and data[4] != VERSION:
        raise ZooError(
            "unsupported container version",
            expected=VERSION,
            got=data[4],
            remedy="unpack it with the release that packed it",
        )
    if len(data) < start:
        raise damaged("it is truncated")
    _, _, size, digest, general, raw = _HEADER.unpack_from(data)
    if size > limit:
        raise ZooError(
            "the file in the container is too large",
            expected=f"at most {limit} bytes",
            got=f"{size} bytes",
            remedy="raise --limit if you trust the source of the container",
        )
    body = memoryview(data)[start:]
    crc = zlib.crc32(body, zlib.crc32(data[: _HEADER.size]))
    if crc != _CRC.unpack_from(data, _HEADER.size)[0]:
        raise damaged("its checksum is wrong")
    if general + raw > len(body):
        raise damaged("its parts are longer than the container")
    middle = general + raw
    return size, digest, bytes(body[:general]), bytes(body[general:middle]), bytes(body[middle:])


class _Raw:
    """Reads the raw part, which is stored without coding."""

    def __init__(self, data: bytes):
        self._data, self._at = data, 0

    def take(self, count: int) -> bytes:
        piece = self._data[self._at : self._at + count]
        if not piece:
            raise damaged("its raw part is too short")
        self._at += len(piece)
        return piece

    def close(self) -> None:
        if self._at != len(self._data):
            raise damaged("its raw part has trailing data")
