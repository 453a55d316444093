"""Small files with operators that LiteRT's GPU engine takes and computes wrong.

They are as networks were lowered before `converters.conversion.engine_forms`. Each function writes
a file and returns the operator's position, its name and a part of its options. With `classes`, the
file is a classifier of gray 8×8 images.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tests.support.tiny_tflite import Builder, flatten_into

CODE, OPTIONS = schema.BuiltinOperator, schema.BuiltinOptions
SIZE = 8
Wrong = tuple[int, str, str]


def leaky_relu(path: Path, classes: int = 0) -> Wrong:
    """A: a negative slope, as of a PReLU that was trained."""
    build = Builder()
    shape = (1, SIZE, SIZE, 1 if classes else 4)
    image = build.tensor("image", shape)
    negative, out, end = (build.tensor(name, shape) for name in ("neg", "leaky", "end"))
    build.operator(CODE.NEG, [image], negative, OPTIONS.NegOptions, schema.NegOptionsT())
    options = schema.LeakyReluOptionsT()
    options.alpha = -0.25
    build.operator(CODE.LEAKY_RELU, [negative], out, OPTIONS.LeakyReluOptions, options)
    if classes:
        end = _logits(build, out, int(np.prod(shape)), classes)
    else:
        build.operator(CODE.ABS, [out], end, OPTIONS.AbsOptions, schema.AbsOptionsT())
    path.write_bytes(build.finish(image, end))
    return 1, "LEAKY_RELU", "alpha=-0.25"


def pointwise_stride_2(path: Path, classes: int = 0) -> Wrong:
    """B: a quantized 1×1 convolution of stride 2, as of a shortcut."""
    build = Builder()
    channels = 1 if classes else 4
    image = build.integers("image", (1, SIZE, SIZE, channels), 4 / 255, 3)
    weights = _draw().integers(-127, 128, (6, 1, 1, channels)).astype(np.int8)
    kernel = build.integers("kernel", (6, 1, 1, channels), 0.01, 0, weights)
    zeros = np.zeros(6, np.int32)
    bias = build.integers("bias", (6,), 0.01 * 4 / 255, 0, zeros)
    half = SIZE // 2
    out = build.integers("conv", (1, half, half, 6), 0.1, -5)
    options = schema.Conv2DOptionsT()
    options.padding, options.strideH, options.strideW = schema.Padding.SAME, 2, 2
    options.dilationHFactor = options.dilationWFactor = 1
    build.operator(CODE.CONV_2D, [image, kernel, bias], out, OPTIONS.Conv2DOptions, options)
    build.model.operatorCodes[-1].version = 3
    end = _integer_logits(build, out, half * half * 6, classes) if classes else out
    path.write_bytes(build.finish(image, end))
    return 0, "CONV_2D", "stride_w=2, stride_h=2"


def pointwise_multiplier(path: Path, classes: int = 0) -> Wrong:
    """C: a 1×1 depthwise convolution with a multiplier, as of the end of a CSE network."""
    build = Builder()
    size, channels = (SIZE, 4) if classes else (4, 320)
    many = 4 * channels
    image = maps = build.tensor("image", (1, size, size, 1 if classes else channels))
    if classes:  # of a single channel it is right
        maps = build.tensor("maps", (1, size, size, channels))
        _convolve(build, image, maps, channels)
    kernel = build.tensor("kernel", (1, 1, 1, many), _draw().normal(0, 1, (1, 1, 1, many)))
    bias = build.tensor("bias", (many,), _draw().normal(0, 1, many))
    out = build.tensor("depthwise", (1, size, size, many))
    options = schema.DepthwiseConv2DOptionsT()
    options.padding, options.strideH, options.strideW = schema.Padding.SAME, 1, 1
    options.depthMultiplier, options.dilationHFactor, options.dilationWFactor = 4, 1, 1
    kind = OPTIONS.DepthwiseConv2DOptions
    build.operator(CODE.DEPTHWISE_CONV_2D, [maps, kernel, bias], out, kind, options)
    end = _logits(build, out, size * size * many, classes) if classes else out
    path.write_bytes(build.finish(image, end))
    return int(classes > 0), "DEPTHWISE_CONV_2D", "depth_multiplier=4"


ALL = (leaky_relu, pointwise_stride_2, pointwise_multiplier)


def _draw() -> np.random.Generator:
    return np.random.default_rng(5)


def _convolve(build: Builder, source: int, result: int, filters: int) -> None:
    """Adds a 1×1 convolution of one channel."""
    shape = (filters, 1, 1, 1)
    kernel = build.tensor("conv", shape, _draw().normal(0, 1, shape))
    bias = build.tensor("conv_bias", (filters,), np.zeros(filters))
    options = schema.Conv2DOptionsT()
    options.padding, options.strideH, options.strideW = schema.Padding.SAME, 1, 1
    options.dilationHFactor = options.dilationWFactor = 1
    build.operator(CODE.CONV_2D, [source, kernel, bias], result, OPTIONS.Conv2DOptions, options)


def _logits(build: Builder, source: int, length: int, classes: int) -> int:
    flat = build.tensor("flat", (1, length))
    flatten_into(build, source, flat, length)
    shape = (classes, length)
    weights = build.tensor("dense", shape, _draw().normal(0, 1, shape))
    zeros = build.tensor("zeros", (classes,), np.zeros(classes))
    logits = build.tensor("logits", (1, classes))
    _dense(build, [flat, weights, zeros], logits)
    return logits


def _integer_logits(build: Builder, source: int, length: int, classes: int) -> int:
    flat = build.integers("flat", (1, length), 0.1, -5)
    flatten_into(build, source, flat, length)
    values = _draw().integers(-127, 128, (classes, length)).astype(np.int8)
    weights = build.integers("dense", (classes, length), 0.01, 0, values)
    zeros = build.integers("zeros", (classes,), 0.001, 0, np.zeros(classes, np.int32))
    logits = build.integers("logits", (1, classes), 0.3, 0)
    _dense(build, [flat, weights, zeros], logits)
    build.model.operatorCodes[-1].version = 4
    return logits


def _dense(build: Builder, inputs: list[int], logits: int) -> None:
    options = schema.FullyConnectedOptionsT()
    build.operator(CODE.FULLY_CONNECTED, inputs, logits, OPTIONS.FullyConnectedOptions, options)
