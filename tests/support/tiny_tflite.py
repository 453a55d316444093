"""Builds small real `.tflite` files without TensorFlow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils

_SEED = 7


class Builder:
    """Collects tensors, buffers and operators of one subgraph."""

    def __init__(self) -> None:
        self.model = schema.ModelT()
        self.model.version = 3
        self.model.description = "tiny test model"
        self.model.buffers = [schema.BufferT()]  # buffer 0 is empty by definition
        self.model.operatorCodes = []
        self.graph = schema.SubGraphT()
        self.graph.name = "main"
        self.graph.tensors, self.graph.operators = [], []

    def tensor(self, name: str, shape: tuple[int, ...], values: np.ndarray | None = None) -> int:
        tensor = schema.TensorT()
        tensor.name, tensor.shape = name, list(shape)
        tensor.type = schema.TensorType.FLOAT32
        tensor.buffer = 0
        if values is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(values.astype("<f4").tobytes(), np.uint8)
            self.model.buffers.append(buffer)
            tensor.buffer = len(self.model.buffers) - 1
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def integers(
        self,
        name: str,
        shape: tuple[int, ...],
        scale: float,
        zero_point: int = 0,
        values: np.ndarray | None = None,
    ) -> int:
        """Adds a quantized tensor, int32 if its values are int32 and int8 otherwise."""
        index = self.tensor(name, shape)
        tensor = self.graph.tensors[index]
        kind = schema.TensorType
        wide = values is not None and values.dtype == np.int32
        tensor.type = kind.INT32 if wide else kind.INT8
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.scale, tensor.quantization.zeroPoint = [scale], [zero_point]
        if values is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(values.tobytes(), np.uint8)
            self.model.buffers.append(buffer)
            tensor.buffer = len(self.model.buffers) - 1
        return index

    def operator(
        self, code: int, inputs: list[int], output: int, kind: int, options: object
    ) -> None:
        operator_code = schema.OperatorCodeT()
        operator_code.builtinCode = operator_code.deprecatedBuiltinCode = code
        operator_code.version = 1
        self.model.operatorCodes.append(operator_code)
        operator = schema.OperatorT()
        operator.opcodeIndex = len(self.model.operatorCodes) - 1
        operator.inputs, operator.outputs = inputs, [output]
        operator.builtinOptionsType, operator.builtinOptions = kind, options
        self.graph.operators.append(operator)

    def finish(self, source: int, result: int) -> bytes:
        self.graph.inputs, self.graph.outputs = [source], [result]
        self.model.subgraphs = [self.graph]
        return bytes(flatbuffer_utils.convert_object_to_bytearray(self.model))


def tiny_model(
    path: Path,
    *,
    image_size: int = 16,
    filters: int = 8,
    classes: int = 10,
    flatten: bool = False,
) -> Path:
    """Writes a float32 model to `path`: image → 3×3 convolution, ReLU → dense → softmax.

    Args:
        path: File to write; its folder must exist.
        image_size: Height and width in pixels; the input is (1, image_size, image_size, 1).
        filters: Filters of the convolution; more make it slower.
        classes: Length of the output.
        flatten: Whether a RESHAPE makes a vector of the maps, which the dense layer does otherwise.
    """
    random = np.random.default_rng(_SEED)
    options = schema.BuiltinOptions
    build = Builder()
    flat = image_size * image_size * filters
    image = build.tensor("image", (1, image_size, image_size, 1))
    kernel_shape = (filters, 3, 3, 1)
    kernel = build.tensor("conv/kernel", kernel_shape, random.normal(0, 0.3, kernel_shape))
    bias = build.tensor("conv/bias", (filters,), np.zeros(filters))
    hidden = build.tensor("conv/relu", (1, image_size, image_size, filters))
    dense_shape = (classes, flat)
    dense = build.tensor("dense/kernel", dense_shape, random.normal(0, 0.05, dense_shape))
    dense_bias = build.tensor("dense/bias", (classes,), np.zeros(classes))
    logits = build.tensor("dense/logits", (1, classes))
    probabilities = build.tensor("probabilities", (1, classes))

    convolution = schema.Conv2DOptionsT()
    convolution.padding = schema.Padding.SAME
    convolution.strideH = convolution.strideW = 1
    convolution.dilationHFactor = convolution.dilationWFactor = 1
    convolution.fusedActivationFunction = schema.ActivationFunctionType.RELU
    softmax = schema.SoftmaxOptionsT()
    softmax.beta = 1.0
    code = schema.BuiltinOperator
    inputs = [image, kernel, bias]
    build.operator(code.CONV_2D, inputs, hidden, options.Conv2DOptions, convolution)
    fully = schema.FullyConnectedOptionsT()
    if flatten:
        vector = build.tensor("flat", (1, flat))
        flatten_into(build, hidden, vector, flat)
        hidden = vector
    inputs = [hidden, dense, dense_bias]
    build.operator(code.FULLY_CONNECTED, inputs, logits, options.FullyConnectedOptions, fully)
    build.operator(code.SOFTMAX, [logits], probabilities, options.SoftmaxOptions, softmax)
    path.write_bytes(build.finish(image, probabilities))
    return path


def flatten_into(build: Builder, source: int, result: int, length: int) -> None:
    """Adds a RESHAPE from tensor `source` to the vector `result`, of `length` values."""
    options = schema.ReshapeOptionsT()
    options.newShape = [1, length]
    kind = schema.BuiltinOptions.ReshapeOptions
    build.operator(schema.BuiltinOperator.RESHAPE, [source], result, kind, options)


def tiny_int8_model(
    path: Path, *, image_size: int = 8, classes: int = 10, flatten: bool = False
) -> Path:
    """Writes an int8 model to `path`: image → dense. Its input range is about -2 to 2.

    Args:
        path: File to write; its folder must exist.
        image_size: Height and width in pixels; the input is (1, image_size, image_size, 1).
        classes: Length of the output.
        flatten: Whether a RESHAPE makes a vector of the image first.
    """
    random = np.random.default_rng(_SEED)
    build = Builder()
    flat = image_size * image_size
    image = build.integers("image", (1, image_size, image_size, 1), 4 / 255, 3)
    weights = random.integers(-127, 128, (classes, flat)).astype(np.int8)
    dense = build.integers("dense/kernel", (classes, flat), 0.01, 0, weights)
    zeros = np.zeros(classes, np.int32)
    bias = build.integers("dense/bias", (classes,), 0.01 * 4 / 255, 0, zeros)
    logits = build.integers("logits", (1, classes), 0.15, -4)
    options = schema.FullyConnectedOptionsT()
    kinds, code = schema.BuiltinOptions, schema.BuiltinOperator
    source = image
    if flatten:
        source = build.integers("flat", (1, flat), 4 / 255, 3)
        flatten_into(build, image, source, flat)
    inputs = [source, dense, bias]
    build.operator(code.FULLY_CONNECTED, inputs, logits, kinds.FullyConnectedOptions, options)
    build.model.operatorCodes[-1].version = 4  # the first version with int8
    path.write_bytes(build.finish(image, logits))
    return path
