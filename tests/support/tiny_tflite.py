"""Builds small real `.tflite` files without TensorFlow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from converters.tflite import build as base

_SEED = 7


class Builder(base.Builder):
    """Builds one subgraph from options as the schema has them."""

    def __init__(self) -> None:
        super().__init__("tiny test model")

    def tensor(self, name: str, shape: tuple[int, ...], values: np.ndarray | None = None) -> int:
        constant = None if values is None else values.astype("<f4")
        return self.add_tensor(name, shape, values=constant)

    def integers(
        self,
        name: str,
        shape: tuple[int, ...],
        scale: float,
        zero_point: int = 0,
        values: np.ndarray | None = None,
    ) -> int:
        """Adds a quantized tensor, int32 if its values are int32 and int8 otherwise."""
        kind = "INT32" if values is not None and values.dtype == np.int32 else "INT8"
        return self.add_tensor(name, shape, kind, values, (scale,), zero_point)

    def operator(
        self, code: int, inputs: list[int], output: int, kind: int, options: object
    ) -> None:
        self._append(code, 1, inputs, [output], kind, options)

    def finish(self, source: int, result: int) -> bytes:
        return self.file([source], [result])


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
