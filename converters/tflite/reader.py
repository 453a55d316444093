"""Parser for the structure of untrusted `.tflite` files.

Offsets, lengths, indices and shapes are all checked, and the work is bounded by the file size (see
`converters.tflite.tables`). Field numbers follow the public schema,
tflite/converter/schema/schema.fbs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from types import MappingProxyType
from typing import TypeVar

from converters.tflite import options
from converters.tflite.model import (
    BITS,
    Graph,
    Metadata,
    Model,
    Operator,
    Signature,
    Tensor,
    TensorQuantization,
)
from converters.tflite.tables import BoundedBytes, Table
from zoo.errors import ZooError

_MAX_ELEMENTS = 2**40
_MAX_RANK = 32
_CUSTOM = 32
_FLEX = "Flex"
_QUANTIZATION_KINDS = ("affine", "custom", "blockwise", "multi-axis")

ByteRange = tuple[int, int]
T = TypeVar("T")


def read(data: bytes, where: object) -> Model:
    """Parses the structure of a `.tflite`; weights stay in `data` and are not copied.

    Args:
        data: Contents of the whole file.
        where: File name shown in error messages.

    Raises:
        ZooError: if the data is not a TFLite flatbuffer, is damaged, or stores weights in
            external files.
    """
    if data[4:8] != b"TFL3":
        raise ZooError(
            "not a .tflite file", where=where, expected="TFL3 at byte 4", got=repr(data[4:8])
        )
    reader = BoundedBytes(data, where)
    root = reader.root()
    if root.extent(9)[1]:
        raise ZooError(
            "the .tflite stores its weights in external files",
            where=where,
            remedy="embed the weights in the .tflite",
        )
    buffers = [_buffer(reader, table) for table in root.tables(4)]
    codes = [_code(table) for table in root.tables(1)]
    graphs = tuple(
        _graph(reader, table, number, codes, buffers) for number, table in enumerate(root.tables(2))
    )
    if not graphs:
        raise reader.damaged("no subgraph")
    metadata = tuple(
        Metadata(table.text(0), _at(reader, buffers, table.integer(1, "u4"), "metadata"))
        for table in root.tables(6)
    )
    signatures = tuple(_signature(reader, table, graphs) for table in root.tables(7))
    return Model(data, root.integer(0, "u4"), root.text(3), graphs, signatures, metadata)


def _buffer(reader: BoundedBytes, table: Table) -> ByteRange:
    start, length = table.extent(0)
    # Files above 2 GB keep data after the flatbuffer; offsets 0 and 1 mean that this one does not.
    if length == 0 and (outside := table.integer(1, "u8")) > 1:
        length = table.integer(2, "u8")
        if outside + length > reader.size:
            raise reader.damaged(f"the buffer at byte {outside} extends past the end of the file")
        return outside, length
    return start, length


def _at(reader: BoundedBytes, items: Sequence[T], index: int, what: str) -> T:
    if not 0 <= index < len(items):
        raise reader.damaged(f"{what} refers to entry {index} of {len(items)}")
    return items[index]


def _code(table: Table) -> tuple[str, str, int]:
    """Returns name, kind and version of an operator code."""
    # Codes above 127 are in the second field and the first is then 127. Old files only have the
    # first.
    number = max(table.integer(0, "i1"), table.integer(3, "i4"))
    version = table.integer(2, "i4", 1)
    if number != _CUSTOM:
        return _operator_names().get(number, f"UNKNOWN_{number}"), "builtin", version
    name = table.text(1) or "unnamed custom operator"
    return name, "flex" if name.startswith(_FLEX) else "custom", version


def _graph(
    reader: BoundedBytes,
    table: Table,
    number: int,
    codes: list[tuple[str, str, int]],
    buffers: list[ByteRange],
) -> Graph:
    tensors = tuple(
        _tensor(reader, entry, index, buffers) for index, entry in enumerate(table.tables(0))
    )

    def checked(indices: tuple[int, ...], what: str) -> tuple[int, ...]:
        for index in indices:
            if not -1 <= index < len(tensors):
                raise reader.damaged(
                    f"subgraph {number}: {what} refers to tensor {index} of {len(tensors)}"
                )
        return indices

    operators = []
    for index, entry in enumerate(table.tables(3)):
        what = f"operator {index}"
        name, kind, version = _at(reader, codes, entry.integer(0, "u4"), what)
        operators.append(
            Operator(
                index=index,
                name=name,
                kind=kind,
                version=version,
                inputs=checked(entry.integers(1), what),
                outputs=checked(entry.integers(2), what),
                options=options.read(entry.integer(3, "u1"), entry.table(4)),
            )
        )
    inputs, outputs = (checked(table.integers(slot), "an input or output") for slot in (1, 2))
    if -1 in inputs + outputs:
        raise reader.damaged(f"subgraph {number}: an input or output is tensor -1")
    return Graph(table.text(4), tensors, tuple(operators), inputs, outputs)


def _tensor(reader: BoundedBytes, table: Table, index: int, buffers: list[ByteRange]) -> Tensor:
    what = f"tensor {index}"
    number = table.integer(1, "i1")
    kind = _type_names().get(number, f"UNKNOWN_{number}")
    shape, signature = table.integers(0), table.integers(7)
    if len(shape) > _MAX_RANK or any(n < 0 for n in shape):
        raise reader.damaged(f"{what} has the invalid shape {list(shape[:_MAX_RANK])}")
    elements = math.prod(shape)
    if elements > _MAX_ELEMENTS:
        raise reader.damaged(f"{what} has {elements:.3g} elements")
    if signature and len(signature) != len(shape):
        raise reader.damaged(f"{what} has shape {list(shape)} but signature {list(signature)}")
    sparse = table.has(6)
    start, length = _at(reader, buffers, table.integer(2, "u4"), what)
    bits = BITS.get(kind)
    if length and bits is not None:
        mismatch = 8 * length % bits if sparse else length != (elements * bits + 7) // 8
        if mismatch:
            raise reader.damaged(f"{what} ({kind} {list(shape)}) has {length} bytes of data")
    quantization = table.table(4)
    return Tensor(
        index=index,
        name=table.text(3),
        shape=shape,
        signature=signature,
        type=kind,
        data=(start, length) if length else None,
        quantization=_quantization(reader, quantization, shape, what) if quantization else None,
        sparse=sparse,
        variable=bool(table.integer(5, "u1")),
    )


def _quantization(
    reader: BoundedBytes, table: Table, shape: tuple[int, ...], what: str
) -> TensorQuantization | None:
    kind = table.integer(4, "u1")
    scales = tuple(table.numbers(2, "<f4"))
    points = table.integers(3, "<i8")
    axis = table.integer(6, "i4")
    if kind:
        name = _QUANTIZATION_KINDS[kind] if kind < len(_QUANTIZATION_KINDS) else f"kind {kind}"
        return TensorQuantization(scales, points, axis, name)
    if not scales:
        return None  # only a min/max range, possibly left over from training
    if not all(math.isfinite(scale) for scale in scales):
        raise reader.damaged(f"{what} has a quantization scale that is not finite")
    if len(points) <= 1:
        points = (points or (0,)) * len(scales)
    slices = shape[axis] if 0 <= axis < len(shape) else None
    if len(points) != len(scales) or (len(scales) > 1 and len(scales) != slices):
        raise reader.damaged(
            f"{what} of shape {list(shape)} has {len(scales)} scales and {len(points)} zero points"
            f" along axis {axis}"
        )
    return TensorQuantization(scales, points, axis)


def _signature(reader: BoundedBytes, table: Table, graphs: tuple[Graph, ...]) -> Signature:
    number = table.integer(4, "u4")
    tensors = _at(reader, graphs, number, "a signature").tensors

    def names(slot: int) -> MappingProxyType[str, int]:
        tensor_of = {entry.text(0): entry.integer(1, "u4") for entry in table.tables(slot)}
        for index in tensor_of.values():
            _at(reader, tensors, index, "a signature")
        return MappingProxyType(tensor_of)

    return Signature(table.text(2), names(0), names(1), number)


@cache
def _operator_names() -> dict[int, str]:
    return _names("BuiltinOperator")


@cache
def _type_names() -> dict[int, str]:
    return _names("TensorType")


def _names(enumeration: str) -> dict[int, str]:
    from ai_edge_litert import schema_py_generated as schema

    members = vars(getattr(schema, enumeration))
    return {number: name for name, number in members.items() if isinstance(number, int)}
