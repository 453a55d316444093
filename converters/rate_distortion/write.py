"""Writes quantized weights into flatbuffers, as float32 values or as integer codes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from converters.rate_distortion.replay import Replay
from converters.tflite import edit

# Bits kept of a bias's significand. The rounding error is far below that of the weights, and the
# trailing zeros cost nothing in a container.
_BIAS_BITS = 8
_INT8 = 127


@dataclass(frozen=True, eq=False)
class Grid:
    """Weights of a layer as codes times a step.

    Attributes:
        codes: int16, in the shape of the tensor in the file.
        step: Quantization step.
    """

    codes: np.ndarray
    step: float

    @property
    def values(self) -> np.ndarray:
        """The weights, float32."""
        return self.codes.astype(np.float32) * np.float32(self.step)


def float32(
    content: bytes, replay: Replay, grids: Mapping[str, Grid], biases: Mapping[int, np.ndarray]
) -> bytes:
    """Returns the float32 file with new weights and biases.

    Args:
        content: Float32 flatbuffer.
        replay: The same file, parsed.
        grids: Weights by tensor name, for every layer.
        biases: Biases by tensor index; missing ones stay unchanged.
    """
    model = edit.unpacked(content)
    tensors = model.subgraphs[0].tensors
    for layer in replay.layers:
        grid = grids[replay.graph.tensors[layer.weight].name]
        tensors[layer.weight].buffer = edit.add_buffer(model, grid.values)
        if layer.bias in biases:
            rounded = rounded_bias(biases[layer.bias])
            tensors[layer.bias].buffer = edit.add_buffer(model, rounded)
    return edit.packed(model)


def rounded_bias(values: np.ndarray) -> np.ndarray:
    """Rounds float32 values to the nearest ones with a significand of `_BIAS_BITS` bits."""
    significand, exponent = np.frexp(values.astype(np.float64))
    scale = 2.0**_BIAS_BITS
    return np.ldexp(np.rint(significand * scale) / scale, exponent).astype(np.float32)


def integers(content: bytes, grids: Mapping[str, Grid]) -> bytes:
    """Replaces the int8 weights of a quantized file with the original codes.

    A quantizer scales the weights of each filter to ±127. That rounds a second time and turns equal
    codes into different integers in different filters, which compress worse. Layers whose codes do
    not fit into int8 stay as the quantizer left them.

    Args:
        content: Output of a quantizer for a file made by `float32`; its weights are int8.
        grids: Weights by tensor name.
    """
    model = edit.unpacked(content)
    graph = model.subgraphs[0]
    for operator in graph.operators:
        if len(operator.inputs) < 2 or operator.inputs[1] < 0:
            continue
        weights = graph.tensors[operator.inputs[1]]
        grid = grids.get(edit.name(weights))
        if grid is None or weights.type != schema.TensorType.INT8:
            continue
        if np.abs(grid.codes).max() > _INT8:
            continue
        old = np.asarray(weights.quantization.scale, np.float64)
        new = np.full(len(old), grid.step, np.float32)
        weights.buffer = edit.add_buffer(model, grid.codes.astype(np.int8))
        weights.quantization.scale = new
        if len(operator.inputs) < 3 or operator.inputs[2] < 0:
            continue
        bias = graph.tensors[operator.inputs[2]]
        if bias.type != schema.TensorType.INT32:
            continue
        stored = np.frombuffer(bytes(model.buffers[bias.buffer].data), np.int32)
        rescaled = np.rint(stored * (old / new)).astype(np.int32)
        bias.buffer = edit.add_buffer(model, rescaled)
        source = np.float32(graph.tensors[operator.inputs[0]].quantization.scale[0])
        bias.quantization.scale = source * new[: len(np.atleast_1d(bias.quantization.scale))]
    return edit.packed(model)
