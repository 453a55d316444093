"""Weight-only compression of float32 flatbuffers: float16 and dynamic-range int8.

TensorFlow's converter applies both only while converting the network. Editing the finished float32
flatbuffer takes about a second. Unlike TensorFlow's, our dynamic-range form skips layers that
XNNPACK would not delegate, see `dynamic_int8`.
"""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from converters.tflite import edit
from zoo.errors import ZooError

_FLOAT16_MAX = float(np.finfo(np.float16).max)
# Smaller weights stay float32, as in TensorFlow's converter: quantizing them saves nothing.
_SMALLEST_QUANTIZED = 1024
_CONV, _DENSE = schema.BuiltinOperator.CONV_2D, schema.BuiltinOperator.FULLY_CONNECTED
# First operator versions that combine int8 weights with float32 activations; for the convolution,
# with one scale per filter.
_DYNAMIC = {_CONV: 5, _DENSE: 3}
_DEQUANTIZE_FLOAT16_VERSION = 3


def float16(content: bytes, where: str) -> bytes:
    """Stores every float32 constant as float16, followed by a DEQUANTIZE that delegates fuse.

    Args:
        content: Float32 flatbuffer with one subgraph.
        where: Network name shown in error messages.

    Raises:
        ZooError: if a weight exceeds the range of float16.
    """
    model = edit.unpacked(content)
    graph = model.subgraphs[0]
    halves: dict[int, int] = {}  # float32 buffer → float16 buffer; shared ones stay shared
    widening = []
    for index in sorted({int(i) for op in graph.operators for i in op.inputs if i >= 0}):
        tensor = graph.tensors[index]
        values = edit.float_constant(model, tensor)
        if values is None:
            continue
        if values.size and np.abs(values).max() > _FLOAT16_MAX:
            raise ZooError(
                "a weight is too large for float16",
                where=f"{where}, tensor {edit.name(tensor)}",
                expected=f"at most {_FLOAT16_MAX:g}",
                got=f"{np.abs(values).max():g}",
                remedy="convert it to float32 or int8",
            )
        if tensor.buffer not in halves:
            halves[tensor.buffer] = edit.add_buffer(model, values.astype(np.float16))
        half = schema.TensorT()
        half.name, half.shape = tensor.name + b"_float16", tensor.shape
        half.type, half.buffer = schema.TensorType.FLOAT16, halves[tensor.buffer]
        tensor.buffer = 0
        graph.tensors.append(half)
        half_index = len(graph.tensors) - 1
        widening.append(edit.dequantize(model, half_index, index, _DEQUANTIZE_FLOAT16_VERSION))
    graph.operators = [*widening, *graph.operators]
    # Lets delegates compute in half precision if the hardware supports it.
    edit.set_metadata(model, "reduced_precision_support", b"fp16accfp32")
    return edit.packed(model)


def dynamic_int8(content: bytes) -> bytes:
    """Stores the weights of convolutions and dense layers as int8; activations stay float32.

    Quantization is symmetric, with one scale per filter of a convolution and one for the whole
    matrix of a dense layer: one per row would need a runtime newer than tflite_runtime 2.14.
    Depthwise convolutions stay float32, because they hold few weights and XNNPACK does not delegate
    their dynamic-range form.

    Args:
        content: Float32 flatbuffer with one subgraph.
    """
    model = edit.unpacked(content)
    graph = model.subgraphs[0]
    kinds = [edit.builtin_code(model, operator) for operator in graph.operators]
    not_weights = {
        int(index)
        for op, kind in zip(graph.operators, kinds, strict=True)
        for position, index in enumerate(op.inputs)
        if kind not in _DYNAMIC or position != 1
    }
    codes: dict[int, int] = {}
    for operator, kind in zip(graph.operators, kinds, strict=True):
        if kind not in _DYNAMIC or int(operator.inputs[1]) in not_weights:
            continue
        tensor = graph.tensors[operator.inputs[1]]
        if tensor.type != schema.TensorType.INT8:  # not yet quantized through another operator
            values = edit.float_constant(model, tensor)
            if values is None or values.size < _SMALLEST_QUANTIZED:
                continue
            quantized, scales = _symmetric(values, per_filter=kind == _CONV)
            tensor.type, tensor.buffer = schema.TensorType.INT8, edit.add_buffer(model, quantized)
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale = scales
            tensor.quantization.zeroPoint = np.zeros(len(scales), np.int64)
            tensor.quantization.quantizedDimension = 0
        if kind not in codes:
            codes[kind] = edit.operator_code(model, kind, _DYNAMIC[kind])
        operator.opcodeIndex = codes[kind]
    return edit.packed(model)


def _symmetric(values: np.ndarray, per_filter: bool) -> tuple[np.ndarray, np.ndarray]:
    axes = tuple(range(1, values.ndim)) if per_filter else None
    largest = np.abs(values).max(axis=axes, keepdims=True).astype(np.float32)
    scales = np.where(largest > 0, largest / np.float32(127), np.float32(1))
    return np.rint(values / scales).astype(np.int8), scales.reshape(-1)
