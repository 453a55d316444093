"""Counts of operators, parameters and zeros in a `.tflite`. Does not need TensorFlow."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from converters.tflite.model import Model, Tensor
from converters.tflite.reader import read

_WEIGHT_RANK = 2  # biases and folded batch norms have rank 1
_UNPACKED = {"INT2": 2, "INT4": 4, "UINT4": 4}
_NUMPY = {
    "FLOAT32": "<f4",
    "FLOAT16": "<f2",
    "BFLOAT16": "<u2",
    "FLOAT64": "<f8",
    "INT8": "i1",
    "UINT8": "u1",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
}

ByteRange = tuple[int, int]


@dataclass(frozen=True)
class Contents:
    """Counts over a flatbuffer.

    Attributes:
        operators: Operator name → count over all subgraphs.
        parameters: Number of elements in all weight and bias constants; sparse tensors count as
            dense.
        zeros: Share of zeros among the weights of rank 2 or more, 0 to 1. Quantized weights
            count as zero where they equal the zero point.
    """

    operators: dict[str, int]
    parameters: int
    zeros: float


def contents(data: bytes, where: object) -> Contents:
    """Parses a `.tflite` and counts its operators, parameters and zeros.

    Raises:
        ZooError: if the data is not a TFLite flatbuffer or is damaged.
    """
    return count(read(data, where))


def count(model: Model) -> Contents:
    """Counts operators, parameters and zeros; weights shared by subgraphs count once."""
    parameters, weights, zeros = 0, 0, 0
    counted: set[ByteRange] = set()
    # Zeros by tensor contents: several tensors may share one large buffer.
    known: dict[tuple[object, ...], int] = {}
    for graph in model.graphs:
        constants = [t for t in graph.tensors if t.parameter and t.data not in counted]
        for tensor in constants:
            parameters += tensor.elements
            if len(tensor.shape) >= _WEIGHT_RANK:
                key = (tensor.data, tensor.type, tensor.shape, tensor.quantization, tensor.sparse)
                if key not in known:
                    known[key] = _zeros(model, tensor)
                weights += tensor.elements
                zeros += known[key]
        counted.update(t.data for t in constants if t.data is not None)
    operators = Counter(operator.name for _, operator in model.operators())
    return Contents(dict(sorted(operators.items())), parameters, zeros / max(1, weights))


def _zeros(model: Model, tensor: Tensor) -> int:
    values = _values(model, tensor)
    if tensor.sparse:  # elements that are not stored are zero
        return max(0, tensor.elements - int(np.count_nonzero(values)))
    quantized = tensor.quantization
    if quantized is None or not any(quantized.zero_points):
        return int(values.size - np.count_nonzero(values))
    shape = [1] * len(tensor.shape)
    if len(quantized.zero_points) > 1:
        shape[quantized.axis] = -1
    points = np.array(quantized.zero_points, np.int64).reshape(shape)
    return int((values.reshape(tensor.shape) == points).sum())


def _values(model: Model, tensor: Tensor) -> np.ndarray:
    raw = model.raw(tensor.data or (0, 0))
    if tensor.type not in _UNPACKED:
        return np.frombuffer(raw, _NUMPY[tensor.type])
    bits = _UNPACKED[tensor.type]
    packed = np.frombuffer(raw, np.uint8)
    parts = [(packed >> shift) & (2**bits - 1) for shift in range(0, 8, bits)]
    return np.stack(parts, 1).reshape(-1)[: tensor.elements]
