"""Reading FlatBuffers tables from a file that may be hostile.

Every offset is checked before it is followed, and what is read is counted against a budget in
proportion to the file: a real file holds each byte of its structure once, whereas a hostile one can
name the same table a million times in a few kilobytes. The format: https://flatbuffers.dev/internals.
"""

from __future__ import annotations

import struct
from typing import Literal

import numpy as np

from zoo.errors import ZooError

Kind = Literal["i1", "u1", "i4", "u4", "f4", "u8"]

_FORMATS: dict[Kind, struct.Struct] = {
    "i1": struct.Struct("<b"),
    "u1": struct.Struct("<B"),
    "i4": struct.Struct("<i"),
    "u4": struct.Struct("<I"),
    "f4": struct.Struct("<f"),
    "u8": struct.Struct("<Q"),
}
_TABLE_COST = 8  # the least a table takes: its vtable's offset, and the offset that points to it
_READS_PER_BYTE = 4  # strings and vtables may be shared by a real file
_FREE = 2**16
_MAX_TABLES = 500_000  # some seconds of reading; real models have up to some ten thousand
_MAX_READ = 2**28


class BoundedBytes:
    """The bytes of a file, and what may still be read of them.

    Args:
        data: the whole file.
        where: its name, for messages.
    """

    def __init__(self, data: bytes, where: object):
        self.data = data
        self.size = len(data)
        self.where = where
        self._budget = min(_READS_PER_BYTE * self.size + _FREE, _MAX_READ)
        self._tables = _MAX_TABLES

    def damaged(self, got: object) -> ZooError:
        """The error that says what is wrong with the file."""
        return ZooError(
            "damaged .tflite file",
            where=self.where,
            got=got,
            remedy="convert or download it again",
        )

    def root(self) -> Table:
        """The table that the file's first four bytes point to."""
        return self.table(int(self.unpack("u4", 0)))

    def table(self, at: int) -> Table:
        """The table at a position.

        Raises:
            ZooError: it, or its vtable, is not within the file.
        """
        self.spend(_TABLE_COST)
        self._tables -= 1
        if self._tables < 0:
            raise self.damaged(f"over {_MAX_TABLES} tables")
        vtable = at - int(self.unpack("i4", at))
        length, inline = self.short(vtable), self.short(vtable + 2)
        if length < 4 or vtable + length > self.size or inline < 4 or at + inline > self.size:
            raise self.damaged(f"a table at byte {at} that is not within the file")
        return Table(self, at, vtable, length)

    def spend(self, count: int) -> None:
        """Takes `count` bytes from the budget.

        Raises:
            ZooError: it is used up.
        """
        self._budget -= count
        if self._budget < 0:
            raise self.damaged("its parts point to the same bytes again and again")

    def unpack(self, kind: Kind, at: int) -> int | float:
        """The number at a position."""
        form = _FORMATS[kind]
        if at < 0 or at + form.size > self.size:
            raise self.damaged(f"a value at byte {at} of {self.size}")
        value: int | float = form.unpack_from(self.data, at)[0]
        return value

    def short(self, at: int) -> int:
        """An unsigned 16-bit number, which only vtables are made of."""
        if at < 0 or at + 2 > self.size:
            raise self.damaged(f"a value at byte {at} of {self.size}")
        return int.from_bytes(self.data[at : at + 2], "little")

    def follow(self, at: int) -> int:
        """Where the offset at a position points to; offsets only point onwards."""
        step = int(self.unpack("u4", at))
        if step == 0 or at + step > self.size - 4:
            raise self.damaged(f"an offset at byte {at} that leaves the file")
        return at + step


class Table:
    """One table: fields by their number in the schema; absent ones give their default."""

    __slots__ = ("_at", "_length", "_reader", "_vtable")

    def __init__(self, reader: BoundedBytes, at: int, vtable: int, length: int):
        self._reader = reader
        self._at = at
        self._vtable = vtable
        self._length = length

    def integer(self, slot: int, kind: Kind, default: int = 0) -> int:
        """An integer, an enumeration or a truth value."""
        place = self._place(slot)
        return default if place is None else int(self._reader.unpack(kind, place))

    def real(self, slot: int, default: float = 0.0) -> float:
        """A 32-bit float."""
        place = self._place(slot)
        return default if place is None else float(self._reader.unpack("f4", place))

    def table(self, slot: int) -> Table | None:
        """A table within this one."""
        place = self._place(slot)
        return None if place is None else self._reader.table(self._reader.follow(place))

    def tables(self, slot: int) -> list[Table]:
        """A vector of tables."""
        start, count = self._vector(slot, 4)
        self._reader.spend(4 * count)
        return [self._reader.table(self._reader.follow(start + 4 * i)) for i in range(count)]

    def numbers(self, slot: int, dtype: Literal["<i4", "<i8", "<f4"]) -> list[int] | list[float]:
        """A vector of numbers."""
        width = np.dtype(dtype).itemsize
        start, count = self._vector(slot, width)
        self._reader.spend(width * count)
        found: list[int] | list[float] = np.frombuffer(
            self._reader.data, dtype, count, start
        ).tolist()
        return found

    def integers(self, slot: int, dtype: Literal["<i4", "<i8"] = "<i4") -> tuple[int, ...]:
        """A vector of integers."""
        return tuple(int(n) for n in self.numbers(slot, dtype))

    def extent(self, slot: int) -> tuple[int, int]:
        """Where a vector of bytes lies: its first byte and its length, (0, 0) without one."""
        return self._vector(slot, 1)

    def text(self, slot: int) -> str:
        """A string; what is no UTF-8 is replaced."""
        start, count = self._vector(slot, 1)
        self._reader.spend(count)
        return self._reader.data[start : start + count].decode(errors="replace")

    def has(self, slot: int) -> bool:
        """Whether the field is there."""
        return self._place(slot) is not None

    def _place(self, slot: int) -> int | None:
        entry = 4 + 2 * slot
        if entry + 2 > self._length:
            return None
        offset = self._reader.short(self._vtable + entry)
        return self._at + offset if offset else None

    def _vector(self, slot: int, width: int) -> tuple[int, int]:
        place = self._place(slot)
        if place is None:
            return 0, 0
        start = self._reader.follow(place)
        count = int(self._reader.unpack("u4", start))
        if start + 4 + width * count > self._reader.size:
            raise self._reader.damaged(f"a vector of {count} at byte {start} that leaves the file")
        return start + 4, count
