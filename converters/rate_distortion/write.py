"""Puts codes and steps into flatbuffers: as float32 values, or as the integers that they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from converters.rate_distortion.replay import Replay
from converters.tflite import edit

# Bits of a bias' significand that are kept: its rounding error is far below that of the weights,
# and the zeros after them cost nothing in a container.
_BIAS_BITS = 8
_INT8 = 127


@dataclass(frozen=True, eq=False)
class Grid:
    """A layer's weights: codes int16 in the shape of the file's tensor, times the step."""

    codes: np.ndarray
    step: float

    @property
    def values(self) -> np.ndarray:
        """float32."""
        return self.codes.astype(np.float32) * np.float32(self.step)


def float32(
    content: bytes, replay: Replay, grids: Mapping[str, Grid], biases: Mapping[int, np.ndarray]
) -> bytes:
    """The file with weights of the grids (by tensor name) and biases (by tensor index)."""
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
    """float32 values with a significand of `_BIAS_BITS` bits, to the nearest."""
    significand, exponent = np.frexp(values.astype(np.float64))
    scale = 2.0**_BIAS_BITS
    return np.ldexp(np.rint(significand * scale) / scale, exponent).astype(np.float32)


def integers(content: bytes, grids: Mapping[str, Grid]) -> bytes:
    """The file with its int8 weights replaced by the codes that they were made from.

    A quantizer stretches each filter's weights to 127, so that equal codes become different
    integers, filter by filter, which compresses worse and rounds once more. A layer whose codes
    leave int8 is left as the quantizer made it.

    Args:
        content: of `quantize.int8` or `weights_only.dynamic_int8`, of a file of `float32`.
        grids: by the name of the weights' tensor.
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
        moved = np.rint(stored * (old / new)).astype(np.int32)
        bias.buffer = edit.add_buffer(model, moved)
        source = np.float32(graph.tensors[operator.inputs[0]].quantization.scale[0])
        bias.quantization.scale = source * new[: len(np.atleast_1d(bias.quantization.scale))]
    return edit.packed(model)
