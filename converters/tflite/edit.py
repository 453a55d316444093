"""Edits of finished flatbuffers, shared by the modules that write them.

For flatbuffers that this project's converter has just produced. Files from elsewhere are read with
`converters.tflite.reader`, which bounds all reads, and may be edited once it has accepted them.
"""

from __future__ import annotations

import copy
import struct
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils

from zoo.errors import ZooError

# What the generated code raises on a damaged file.
_DAMAGE = (
    ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError, struct.error,
)  # fmt: skip


def unpacked(content: bytes, where: object = None) -> Any:
    """Returns the flatbuffer as an editable `schema.ModelT`.

    Args:
        content: Content of the file.
        where: File name shown in error messages.

    Raises:
        ZooError: if the file is damaged.
    """
    try:
        return flatbuffer_utils.read_model_from_bytearray(bytearray(content))
    except _DAMAGE as error:
        raise ZooError("damaged .tflite file", where=where, got=error) from error


def packed(model: Any) -> bytes:
    """Serializes the model; buffers that are no longer used become empty."""
    used = {int(tensor.buffer) for graph in model.subgraphs for tensor in graph.tensors}
    used |= {int(entry.buffer) for entry in model.metadata or []}
    for index, buffer in enumerate(model.buffers):
        if index not in used:
            buffer.data = None
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def name(tensor: Any) -> str:
    """Returns the tensor's name as a string."""
    return bytes(tensor.name).decode(errors="replace")


def float_constant(model: Any, tensor: Any) -> np.ndarray | None:
    """Returns the values of a float32 constant in its shape; None for any other tensor."""
    raw = model.buffers[tensor.buffer].data
    if tensor.type != schema.TensorType.FLOAT32 or raw is None or not len(raw):
        return None
    return np.frombuffer(bytes(raw), np.float32).reshape(tensor.shape)


def add_buffer(model: Any, values: np.ndarray) -> int:
    """Appends the array's bytes as a new buffer and returns its index."""
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(values.tobytes(), np.uint8)
    model.buffers.append(buffer)
    return len(model.buffers) - 1


def copied(tensor: Any) -> Any:
    """Returns a copy of a tensor, which shares its buffer and quantization."""
    return copy.copy(tensor)


def builtin_code(model: Any, operator: Any) -> int:
    """Returns the operator's `schema.BuiltinOperator` value."""
    code = model.operatorCodes[operator.opcodeIndex]
    return int(flatbuffer_utils.get_builtin_code_from_operator_code(code))


def operator_code(model: Any, builtin: int, version: int) -> int:
    """Returns the index of the operator code with this version, adding it if missing."""
    for index, code in enumerate(model.operatorCodes):
        existing = flatbuffer_utils.get_builtin_code_from_operator_code(code)
        if (existing, code.version) == (builtin, version):
            return index
    code = schema.OperatorCodeT()
    # The deprecated field is one byte wide; codes above 127 only fit in the new field.
    code.builtinCode, code.deprecatedBuiltinCode = builtin, min(builtin, 127)
    code.version = version
    model.operatorCodes.append(code)
    return len(model.operatorCodes) - 1


def dequantize(model: Any, source: int, target: int, version: int) -> Any:
    """Returns a DEQUANTIZE operator between two tensors, without adding it to the graph."""
    operator = schema.OperatorT()
    operator.opcodeIndex = operator_code(model, schema.BuiltinOperator.DEQUANTIZE, version)
    operator.inputs, operator.outputs = [source], [target]
    operator.builtinOptionsType = schema.BuiltinOptions.DequantizeOptions
    operator.builtinOptions = schema.DequantizeOptionsT()
    return operator


def sign(model: Any, source: str, result: str) -> None:
    """Names the single input and output and adds a `serving_default` signature with these names."""
    graph = model.subgraphs[0]
    sides = []
    for index, label in ((graph.inputs[0], source), (graph.outputs[0], result)):
        graph.tensors[index].name = label.encode()
        side = schema.TensorMapT()
        side.name, side.tensorIndex = label.encode(), index
        sides.append(side)
    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = b"serving_default", 0
    signature.inputs, signature.outputs = [sides[0]], [sides[1]]
    model.signatureDefs = [signature]


def set_metadata(model: Any, key: str, value: bytes) -> None:
    """Stores a named metadata buffer in the model, replacing any entry with the same name."""
    entry = schema.MetadataT()
    entry.name, entry.buffer = key.encode(), add_buffer(model, np.frombuffer(value, np.uint8))
    others = [other for other in model.metadata or [] if bytes(other.name) != entry.name]
    model.metadata = [*others, entry]
