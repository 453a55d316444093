"""Builds small `.tflite` files, for studies and tests. Does not need TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils

_HALF_BYTE = ("INT4", "UINT4")


class Builder:
    """Collects the tensors, buffers and operators of one subgraph.

    Args:
        description: Description stored in the file.
    """

    def __init__(self, description: str = "") -> None:
        self.model = schema.ModelT()
        self.model.version = 3
        self.model.description = description
        self.model.buffers = [schema.BufferT()]  # buffer 0 is empty by definition
        self.model.operatorCodes = []
        self.graph = schema.SubGraphT()
        self.graph.name = "main"
        self.graph.tensors, self.graph.operators = [], []

    def add_tensor(
        self,
        name: str,
        shape: Sequence[int],
        kind: str = "FLOAT32",
        values: np.ndarray | None = None,
        scales: Sequence[float] = (),
        zero_point: int = 0,
        axis: int = 0,
    ) -> int:
        """Adds a tensor and returns its index.

        Args:
            name: Name of the tensor.
            shape: Shape; −1 for dimensions known only at run time.
            kind: Name of its type in the schema, for example `FLOAT32`.
            values: Values of a constant in the NumPy type of `kind`; int8 or uint8 for half bytes,
                of which two are packed into a byte.
            scales: One scale, or one per slice along `axis`; empty if it is not quantized.
            zero_point: Zero point of all scales.
            axis: Quantized dimension of several scales.
        """
        tensor = schema.TensorT()
        tensor.name, tensor.shape = name, [max(1, side) for side in shape]
        if min(shape, default=1) < 0:
            tensor.shapeSignature = list(shape)
        tensor.type, tensor.buffer = getattr(schema.TensorType, kind), 0
        if len(scales):
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale = list(scales)
            tensor.quantization.zeroPoint = [zero_point] * len(scales)
            tensor.quantization.quantizedDimension = axis
        if values is not None:
            buffer = schema.BufferT()
            raw = np.frombuffer(values.tobytes(), np.uint8)
            buffer.data = _packed(raw) if kind in _HALF_BYTE else raw
            self.model.buffers.append(buffer)
            tensor.buffer = len(self.model.buffers) - 1
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def add_operator(
        self,
        name: str,
        inputs: Sequence[int],
        outputs: Sequence[int],
        options: tuple[str, Mapping[str, Any]] | None = None,
        version: int = 1,
    ) -> None:
        """Appends an operator to the graph.

        Args:
            name: Name in the schema, for example `CONV_2D`.
            inputs: Indices of tensors; −1 for an omitted one.
            outputs: Indices of tensors.
            options: Name of the options' table in the schema, for example `Conv2DOptions`, and the
                fields that differ from their defaults, by their names in LiteRT's reader.
            version: Version of the operator.
        """
        kind, made = 0, None
        if options is not None:
            kind = getattr(schema.BuiltinOptions, options[0])
            made = getattr(schema, options[0] + "T")()
            for field, value in options[1].items():
                if not hasattr(made, field):
                    raise AttributeError(f"{options[0]} has no field {field}")
                setattr(made, field, value)
        self._append(getattr(schema.BuiltinOperator, name), version, inputs, outputs, kind, made)

    def _append(
        self,
        builtin: int,
        version: int,
        inputs: Sequence[int],
        outputs: Sequence[int],
        kind: int,
        options: object,
    ) -> None:
        code = schema.OperatorCodeT()
        code.builtinCode, code.version = builtin, version
        code.deprecatedBuiltinCode = min(builtin, 127)  # one byte wide
        self.model.operatorCodes.append(code)
        operator = schema.OperatorT()
        operator.opcodeIndex = len(self.model.operatorCodes) - 1
        operator.inputs, operator.outputs = list(inputs), list(outputs)
        operator.builtinOptionsType, operator.builtinOptions = kind, options
        self.graph.operators.append(operator)

    def file(self, inputs: Sequence[int], outputs: Sequence[int]) -> bytes:
        """Returns the `.tflite` with these inputs and outputs of the graph."""
        self.graph.inputs, self.graph.outputs = list(inputs), list(outputs)
        self.model.subgraphs = [self.graph]
        return bytes(flatbuffer_utils.convert_object_to_bytearray(self.model))


def _packed(values: np.ndarray) -> np.ndarray:
    pairs = np.append(values, np.zeros(len(values) % 2, np.uint8)) & 15
    packed: np.ndarray = pairs[::2] | pairs[1::2] << 4
    return packed
