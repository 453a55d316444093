"""Reading what a `.tflite` holds: operators, weights, zeros. No TensorFlow."""

from __future__ import annotations

import struct
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from ai_edge_litert.tools import flatbuffer_utils

from zoo.errors import ZooError

_NUMPY = {0: np.float32, 1: np.float16, 2: np.int32, 9: np.int8}
_WEIGHT_RANK = 2  # biases and folded batch norms have rank 1


@dataclass(frozen=True)
class Contents:
    """What the flatbuffer holds.

    Attributes:
        operators: name → count, over all subgraphs.
        parameters: elements of all constant tensors that hold weights or biases.
        zeros: share of zeros (at the zero point, where quantised) in the weights of rank 2 and
            more, 0 to 1.
    """

    operators: dict[str, int]
    parameters: int
    zeros: float


def contents(data: bytes, where: object) -> Contents:
    """Reads a `.tflite`.

    Raises:
        ZooError: it is no TFLite flatbuffer, or a damaged one.
    """
    if data[4:8] != b"TFL3":
        raise ZooError(
            "not a .tflite file", where=where, expected="TFL3 at byte 4", got=repr(data[4:8])
        )
    try:
        model = flatbuffer_utils.read_model_from_bytearray(bytearray(data))
        return _contents(model)
    except (
        ValueError,
        IndexError,
        KeyError,
        TypeError,
        AttributeError,
        OverflowError,
        struct.error,
    ) as error:
        raise ZooError(
            "damaged .tflite file",
            where=where,
            got=f"{type(error).__name__}: {error}",
            remedy="convert or download it again",
        ) from error


def _contents(model: Any) -> Contents:
    operators: Counter[str] = Counter()
    parameters, weights, zeros = 0, 0, 0
    for graph in model.subgraphs:
        for operator in graph.operators:
            code = flatbuffer_utils.get_builtin_code_from_operator_code(
                model.operatorCodes[operator.opcodeIndex]
            )
            operators[
                flatbuffer_utils.opcode_to_name(model, operator.opcodeIndex) or str(code)
            ] += 1
        for tensor in graph.tensors:
            raw = model.buffers[tensor.buffer].data
            dtype = _NUMPY.get(tensor.type)
            # int32 constants are biases only where they carry a scale; others are shapes and axes.
            scaled = tensor.quantization is not None and tensor.quantization.scale is not None
            if raw is None or dtype is None or (dtype is np.int32 and not scaled):
                continue
            values = np.frombuffer(bytes(raw), dtype)
            parameters += values.size
            if tensor.shape is not None and len(tensor.shape) >= _WEIGHT_RANK:
                weights += values.size
                zeros += int((values == 0).sum())
    return Contents(dict(sorted(operators.items())), parameters, zeros / max(1, weights))
