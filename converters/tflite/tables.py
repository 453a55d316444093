"""Safe reading of FlatBuffers tables from untrusted files.

Every offset is checked before it is followed, and every read is counted against a budget
proportional to the file size: a real file stores each byte of its structure once, whereas a hostile
one can reference the same table a million times in a few kilobytes. The format is described at
https://flatbuffers.dev/internals.
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
_TABLE_COST = 8  # minimum bytes of a table: its vtable offset and the offset that points to it
_READS_PER_BYTE = 4  # real files may share strings and vtables
_FREE = 2**16
_MAX_TABLES = 500_000  # takes a few seconds to read; real models have at most tens of thousands
_MAX_READ = 2**28


class BoundedBytes:
    """The bytes of a file together with the remaining read budget.

    Args:
        data: Contents of the whole file.
        where: File name shown in error messages.
    """

    def __init__(self, data: bytes, where: object):
        self.data = data
        self.size = len(data)
        self.where = where
        self._budget = min(_READS_PER_BYTE * self.size + _FREE, _MAX_READ)
        self._tables = _MAX_TABLES

    def damaged(self, got: object) -> ZooError:
        """Returns the error for a damaged file; `got` describes the damage."""
        return ZooError(
            "damaged .tflite file",
            where=self.where,
            got=got,
            remedy="convert or download it again",
        )

    def root(self) -> Table:
        """Returns the root table, to which the first four bytes of the file point."""
        return self.table(int(self.unpack("u4", 0)))

    def table(self, at: int) -> Table:
        """Returns the table at byte `at`.

        Raises:
            ZooError: if the table or its vtable extends past the file, or if the budget of reads
                or tables is used up.
        """
        self.spend(_TABLE_COST)
        self._tables -= 1
        if self._tables < 0:
            raise self.damaged(f"more than {_MAX_TABLES} tables")
        vtable = at - int(self.unpack("i4", at))
        length, inline = self.short(vtable), self.short(vtable + 2)
        if length < 4 or vtable + length > self.size or inline < 4 or at + inline > self.size:
            raise self.damaged(f"the table at byte {at} is not within the file")
        return Table(self, at, vtable, length)

    def spend(self, count: int) -> None:
        """Subtracts `count` bytes from the read budget.

        Raises:
            ZooError: if the budget is used up.
        """
        self._budget -= count
        if self._budget < 0:
            raise self.damaged("too many references to the same bytes")

    def unpack(self, kind: Kind, at: int) -> int | float:
        """Returns the number at byte `at`."""
        form = _FORMATS[kind]
        if at < 0 or at + form.size > self.size:
            raise self.damaged(f"a value at byte {at}, outside the {self.size}-byte file")
        value: int | float = form.unpack_from(self.data, at)[0]
        return value

    def short(self, at: int) -> int:
        """Returns the unsigned 16-bit number at byte `at`; only vtables contain these."""
        if at < 0 or at + 2 > self.size:
            raise self.damaged(f"a value at byte {at}, outside the {self.size}-byte file")
        return int.from_bytes(self.data[at : at + 2], "little")

    def follow(self, at: int) -> int:
        """Returns the target of the offset at byte `at`; offsets only point forward."""
        step = int(self.unpack("u4", at))
        if step == 0 or at + step > self.size - 4:
            raise self.damaged(f"the offset at byte {at} points past the end of the file")
        return at + step


class Table:
    """A table whose fields are read by schema slot; absent fields return their default."""

    __slots__ = ("_at", "_length", "_reader", "_vtable")

    def __init__(self, reader: BoundedBytes, at: int, vtable: int, length: int):
        self._reader = reader
        self._at = at
        self._vtable = vtable
        self._length = length

    def integer(self, slot: int, kind: Kind, default: int = 0) -> int:
        """Returns an integer, enum or boolean field."""
        place = self._place(slot)
        return default if place is None else int(self._reader.unpack(kind, place))

    def real(self, slot: int, default: float = 0.0) -> float:
        """Returns a 32-bit float field."""
        place = self._place(slot)
        return default if place is None else float(self._reader.unpack("f4", place))

    def table(self, slot: int) -> Table | None:
        """Returns a nested table; None if the field is absent."""
        place = self._place(slot)
        return None if place is None else self._reader.table(self._reader.follow(place))

    def tables(self, slot: int) -> list[Table]:
        """Returns a vector of tables; empty if the field is absent."""
        start, count = self._vector(slot, 4)
        self._reader.spend(4 * count)
        return [self._reader.table(self._reader.follow(start + 4 * i)) for i in range(count)]

    def numbers(self, slot: int, dtype: Literal["<i4", "<i8", "<f4"]) -> list[int] | list[float]:
        """Returns a vector of numbers; empty if the field is absent."""
        width = np.dtype(dtype).itemsize
        start, count = self._vector(slot, width)
        self._reader.spend(width * count)
        values: list[int] | list[float] = np.frombuffer(
            self._reader.data, dtype, count, start
        ).tolist()
        return values

    def integers(self, slot: int, dtype: Literal["<i4", "<i8"] = "<i4") -> tuple[int, ...]:
        """Returns a vector of integers; empty if the field is absent."""
        return tuple(int(n) for n in self.numbers(slot, dtype))

    def extent(self, slot: int) -> tuple[int, int]:
        """Returns the start offset and length of a byte vector; (0, 0) if the field is absent."""
        return self._vector(slot, 1)

    def text(self, slot: int) -> str:
        """Returns a string field; invalid UTF-8 is replaced."""
        start, count = self._vector(slot, 1)
        self._reader.spend(count)
        return self._reader.data[start : start + count].decode(errors="replace")

    def has(self, slot: int) -> bool:
        """Returns whether the field is present."""
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
            raise self._reader.damaged(
                f"the vector of {count} at byte {start} extends past the end of the file"
            )
        return start + 4, count
