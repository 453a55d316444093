"""Forms of operators that every engine computes right, as edits of the converter's flatbuffers.

- LiteRT's GPU engine takes two kinds of 1×1 convolutions and computes something else: depthwise
  ones with a multiplier above 1, and those with int8 weights and a stride. With zeros around the
  kernel it computes them right, and every other engine the same as before.
- It computes something else of maps times a vector of their channels, too, in integers: the
  converter drops the RESHAPE that makes a map of the vector. It is put back.
- Qualcomm's compiler for the NPU does not end for an int8 network with a dense layer of a single
  input inside; a product with the kernel is the same.

docs/conversion.md has a table of what engines compute wrong.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from converters.tflite import edit

_CONV, _DEPTHWISE = schema.BuiltinOperator.CONV_2D, schema.BuiltinOperator.DEPTHWISE_CONV_2D
_DENSE, _MUL = schema.BuiltinOperator.FULLY_CONNECTED, schema.BuiltinOperator.MUL
_BROADCASTING = (_MUL, schema.BuiltinOperator.ADD, schema.BuiltinOperator.SUB)
_TYPES = {schema.TensorType.FLOAT32: np.float32, schema.TensorType.INT8: np.int8}


def for_every_engine(content: bytes, integers: bool) -> bytes:
    """Returns a file in which every engine computes each operator right.

    Args:
        content: A file that the converter or the quantizer has just written, with weights in
            float32 or int8.
        integers: Whether its activations are quantized, too.
    """
    model = edit.unpacked(content)
    graph = model.subgraphs[0]
    users: dict[int, int] = {}
    for operator in graph.operators:
        for index in operator.inputs:
            users[int(index)] = users.get(int(index), 0) + 1
    changed = False
    for operator in list(graph.operators):
        padding = _padding(model, operator)
        if padding is not None:
            _pad(model, operator, padding, alone=users[int(operator.inputs[1])] == 1)
            changed = True
        if integers and _is_outer_product(model, operator):
            _multiply(model, operator)
            changed = True
        for place in _vectors(model, operator) if integers else ():
            _reshape(model, operator, place)
            changed = True
    return edit.packed(model) if changed else content


def _padding(model: Any, operator: Any) -> tuple[int, int] | None:
    """Returns the rows and columns of zeros that a kernel needs, or None."""
    code, options = edit.builtin_code(model, operator), operator.builtinOptions
    if code not in (_CONV, _DEPTHWISE):
        return None
    kernel = model.subgraphs[0].tensors[int(operator.inputs[1])]
    constant = model.buffers[kernel.buffer].data is not None
    if list(kernel.shape[1:3]) != [1, 1] or kernel.type not in _TYPES or not constant:
        return None
    if code == _DEPTHWISE:
        # One column: XNNPACK's smallest int8 kernels have three taps.
        return (0, 1) if options.depthMultiplier > 1 and options.strideH == 1 else None
    strided = max(options.strideH, options.strideW) > 1
    return (1, 1) if strided and kernel.type == schema.TensorType.INT8 else None


def _pad(model: Any, operator: Any, padding: tuple[int, int], alone: bool) -> None:
    graph = model.subgraphs[0]
    kernel = graph.tensors[int(operator.inputs[1])]
    if not alone:  # another operator needs it as it is
        graph.tensors.append(edit.copied(kernel))
        operator.inputs[1] = len(graph.tensors) - 1
        kernel = graph.tensors[-1]
    raw = bytes(model.buffers[kernel.buffer].data)
    values = np.frombuffer(raw, _TYPES[kernel.type]).reshape(kernel.shape)
    around = np.pad(values, ((0, 0), (0, padding[0]), (0, padding[1]), (0, 0)))
    kernel.buffer, kernel.shape = edit.add_buffer(model, around), list(around.shape)
    if kernel.shapeSignature is not None and len(kernel.shapeSignature):
        kernel.shapeSignature = list(around.shape)
    # Of a kernel this small, all padding is behind the map, where its zeros are.
    operator.builtinOptions.padding = schema.Padding.SAME


def _is_outer_product(model: Any, operator: Any) -> bool:
    """Returns whether it is a dense layer (1, 1) → (1, n) without a bias."""
    if edit.builtin_code(model, operator) != _DENSE:
        return False
    tensors = model.subgraphs[0].tensors
    source, kernel = (tensors[int(index)] for index in operator.inputs[:2])
    constant = model.buffers[kernel.buffer].data is not None
    # Weights of 8 bits with activations of 16 have no product.
    if not constant or kernel.type != source.type or list(source.shape) != [1, 1]:
        return False
    bias = [tensors[int(index)] for index in operator.inputs[2:] if int(index) >= 0]
    # The converter adds a bias of zeros to a layer that has none.
    return not any(np.any(model.buffers[each.buffer].data) for each in bias)


def _multiply(model: Any, operator: Any) -> None:
    graph = model.subgraphs[0]
    kernel = graph.tensors[int(operator.inputs[1])]
    raw = np.frombuffer(bytes(model.buffers[kernel.buffer].data), _TYPES[kernel.type])
    factors = edit.copied(kernel)
    values = raw.reshape(1, -1)
    if kernel.quantization is not None and kernel.quantization.scale is not None:
        # A product has one scale for all.
        scales = np.broadcast_to(np.asarray(kernel.quantization.scale, np.float32), values.shape)
        scale = scales.max()
        values = np.rint(values * scales / scale).astype(raw.dtype)
        factors.quantization = schema.QuantizationParametersT()
        factors.quantization.scale, factors.quantization.zeroPoint = [scale], [0]
    factors.shape = list(values.shape)
    factors.shapeSignature = None
    factors.buffer = edit.add_buffer(model, values)
    graph.tensors.append(factors)
    activation = operator.builtinOptions.fusedActivationFunction
    version = 2 if factors.type == schema.TensorType.INT8 else 1
    operator.inputs = [int(operator.inputs[0]), len(graph.tensors) - 1]
    operator.opcodeIndex = edit.operator_code(model, _MUL, version)
    operator.builtinOptionsType = schema.BuiltinOptions.MulOptions
    operator.builtinOptions = schema.MulOptionsT()
    operator.builtinOptions.fusedActivationFunction = activation


def _vectors(model: Any, operator: Any) -> list[int]:
    """Returns the places of computed inputs that have fewer dimensions than the other input."""
    if edit.builtin_code(model, operator) not in _BROADCASTING:
        return []
    tensors = [model.subgraphs[0].tensors[int(index)] for index in operator.inputs]
    most = max(map(_rank, tensors))
    return [
        place
        for place, tensor in enumerate(tensors)
        if 0 < _rank(tensor) < most and model.buffers[tensor.buffer].data is None
    ]


def _rank(tensor: Any) -> int:
    return 0 if tensor.shape is None else len(tensor.shape)


def _reshape(model: Any, operator: Any, place: int) -> None:
    """Gives an input of an operator leading dimensions of 1, as many as the other input has."""
    graph = model.subgraphs[0]
    rank = max(_rank(graph.tensors[int(index)]) for index in operator.inputs)
    source = int(operator.inputs[place])
    vector = graph.tensors[source]
    shape = [1] * (rank - len(vector.shape)) + [int(side) for side in vector.shape]
    whole = edit.copied(vector)
    whole.name, whole.shape, whole.shapeSignature = vector.name + b"/map", shape, None
    sides = schema.TensorT()
    sides.name, sides.type, sides.shape = vector.name + b"/shape", schema.TensorType.INT32, [rank]
    sides.buffer = edit.add_buffer(model, np.array(shape, np.int32))
    graph.tensors += [whole, sides]
    made = len(graph.tensors) - 2
    reshape = schema.OperatorT()
    reshape.opcodeIndex = edit.operator_code(model, schema.BuiltinOperator.RESHAPE, 1)
    reshape.inputs, reshape.outputs = [source, made + 1], [made]
    reshape.builtinOptionsType = schema.BuiltinOptions.ReshapeOptions
    reshape.builtinOptions = schema.ReshapeOptionsT()
    reshape.builtinOptions.newShape = shape
    operator.inputs = [made if at == place else int(i) for at, i in enumerate(operator.inputs)]
    graph.operators.insert(graph.operators.index(operator), reshape)
