"""A minimal reader of the protocol buffer wire format, safe for untrusted input."""

from __future__ import annotations

from collections.abc import Iterator

from zoo.errors import ZooError

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MAX_FIELDS = 200_000  # per message; limits the time for a malicious file


def fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yields the fields of a message in order as (field number, value).

    The value is an int for a varint and bytes for length-delimited and fixed-width fields.

    Raises:
        ZooError: if `message` is not a valid message.
    """
    at = 0
    for _ in range(_MAX_FIELDS):
        if at == len(message):
            return
        tag, at = _varint(message, at)
        number, kind = tag >> 3, tag & 7
        if number == 0:
            break
        if kind == _VARINT:
            value, at = _varint(message, at)
            yield number, value
            continue
        if kind == _BYTES:
            size, at = _varint(message, at)
        elif kind in (_FIXED32, _FIXED64):
            size = 4 if kind == _FIXED32 else 8
        else:
            break
        if at + size > len(message):
            break
        yield number, message[at : at + size]
        at += size
    raise ZooError("not a protocol buffer", got=f"{len(message)} bytes, invalid at byte {at}")


def integers(packed: bytes) -> list[int]:
    """Decodes a packed list of varints.

    Raises:
        ZooError: if `packed` is not such a list.
    """
    values, at = [], 0
    while at < len(packed):
        value, at = _varint(packed, at)
        values.append(value)
    return values


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            break
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80 and value < 1 << 64:
            return value, at
    raise ZooError("not a protocol buffer", got=f"an invalid varint at byte {at}")
