"""Puts codes and steps into flatbuffers: as float32 values, or as the integers that they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from converters import flatbuffer_edit as edit
from converters.replay import Replay

# Bits of a bias' significand that are kept: its rounding error is far below that of the weights,
# and the zeros after them cost nothing in a container.
_BIAS_BITS = 8


@dataclass(frozen=True, eq=False)
class Grid:
    """A layer's weights: codes int8 in the shape of the file's tensor, times the step."""

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
