"""Edits of finished flatbuffers: what `weights_only`, `pixels` and `card` share.

Only for flatbuffers that this project's converter has just made; others are read by
`converters.tflite.counts`, which bounds everything.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils


def unpacked(content: bytes) -> Any:
    """The flatbuffer as objects that can be changed, a `schema.ModelT`."""
    return flatbuffer_utils.read_model_from_bytearray(bytearray(content))


def packed(model: Any) -> bytes:
    """The flatbuffer of the objects; buffers that nothing uses any more are empty."""
    used = {int(tensor.buffer) for graph in model.subgraphs for tensor in graph.tensors}
    used |= {int(entry.buffer) for entry in model.metadata or []}
    for index, buffer in enumerate(model.buffers):
        if index not in used:
            buffer.data = None
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def name(tensor: Any) -> str:
    """A tensor's name."""
    return bytes(tensor.name).decode(errors="replace")


def float_constant(model: Any, tensor: Any) -> np.ndarray | None:
    """The values of a float32 constant, in its shape; None for anything else."""
    raw = model.buffers[tensor.buffer].data
    if tensor.type != schema.TensorType.FLOAT32 or raw is None or not len(raw):
        return None
    return np.frombuffer(bytes(raw), np.float32).reshape(tensor.shape)


def add_buffer(model: Any, values: np.ndarray) -> int:
    """Stores the array's bytes; returns the buffer's index."""
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(values.tobytes(), np.uint8)
    model.buffers.append(buffer)
    return len(model.buffers) - 1


def builtin_code(model: Any, operator: Any) -> int:
    """Which `schema.BuiltinOperator` an operator is."""
    code = model.operatorCodes[operator.opcodeIndex]
    return int(flatbuffer_utils.get_builtin_code_from_operator_code(code))


def operator_code(model: Any, builtin: int, version: int) -> int:
    """Index of the operator code with that version, which is added where it is missing."""
    for index, code in enumerate(model.operatorCodes):
        own = flatbuffer_utils.get_builtin_code_from_operator_code(code)
        if (own, code.version) == (builtin, version):
            return index
    code = schema.OperatorCodeT()
    # The old field has one byte; newer operators are told by the new field alone.
    code.builtinCode, code.deprecatedBuiltinCode = builtin, min(builtin, 127)
    code.version = version
    model.operatorCodes.append(code)
    return len(model.operatorCodes) - 1


def dequantize(model: Any, source: int, target: int, version: int) -> Any:
    """A DEQUANTIZE operator from one tensor to another; not yet in the graph."""
    operator = schema.OperatorT()
    operator.opcodeIndex = operator_code(model, schema.BuiltinOperator.DEQUANTIZE, version)
    operator.inputs, operator.outputs = [source], [target]
    operator.builtinOptionsType = schema.BuiltinOptions.DequantizeOptions
    operator.builtinOptions = schema.DequantizeOptionsT()
    return operator


def sign(model: Any, source: str, result: str) -> None:
    """Gives the only input and output these names, and the graph a signature that says them."""
    graph = model.subgraphs[0]
    sides = []
    for index, called in ((graph.inputs[0], source), (graph.outputs[0], result)):
        graph.tensors[index].name = called.encode()
        side = schema.TensorMapT()
        side.name, side.tensorIndex = called.encode(), index
        sides.append(side)
    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = b"serving_default", 0
    signature.inputs, signature.outputs = [sides[0]], [sides[1]]
    model.signatureDefs = [signature]


def set_metadata(model: Any, key: str, value: bytes) -> None:
    """Stores a named buffer in the model, in the place of one of that name."""
    entry = schema.MetadataT()
    entry.name, entry.buffer = key.encode(), add_buffer(model, np.frombuffer(value, np.uint8))
    others = [one for one in model.metadata or [] if bytes(one.name) != entry.name]
    model.metadata = [*others, entry]
