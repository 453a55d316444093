"""Makes flatbuffers take the raw pixels of an image decoder: uint8, 0 to 255."""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from converters.tflite import edit

_DEQUANTIZE_UINT8_VERSION = 1


def pixels_in(content: bytes) -> bytes:
    """Returns the flatbuffer with a uint8 input, followed by a DEQUANTIZE operator.

    The scale is 1 and the zero point 0, so the operator outputs the pixel values unchanged.

    Args:
        content: Flatbuffer whose input is float32 pixels, 0 to 255.
    """
    model = edit.unpacked(content)
    graph = model.subgraphs[0]
    old = int(graph.inputs[0])
    floats = graph.tensors[old]
    pixels = schema.TensorT()
    pixels.name, pixels.shape, pixels.buffer = floats.name, floats.shape, 0
    pixels.type = schema.TensorType.UINT8
    pixels.quantization = schema.QuantizationParametersT()
    pixels.quantization.scale = np.ones(1, np.float32)
    pixels.quantization.zeroPoint = np.zeros(1, np.int64)
    floats.name = floats.name + b"_float"
    graph.tensors.append(pixels)
    new = len(graph.tensors) - 1
    graph.inputs = [new]
    for signature in model.signatureDefs or []:
        for entry in signature.inputs:
            entry.tensorIndex = new if entry.tensorIndex == old else entry.tensorIndex
    widen = edit.dequantize(model, new, old, _DEQUANTIZE_UINT8_VERSION)
    graph.operators = [widen, *graph.operators]
    return edit.packed(model)
