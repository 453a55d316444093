"""What a `.tflite` computes, tensor by tensor, and which tensors mean the same. No TensorFlow.

The converter names a tensor after the operations that it fused, last first, each a path through the
Keras layer: `net/conv1_relu/Relu;net/conv1_bn/FusedBatchNormV3;net/conv1/Conv2D`. A name that is
taken already gets a number at its end.
"""

from __future__ import annotations

import re
import struct
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ai_edge_litert.tools import flatbuffer_utils

from zoo.errors import ZooError
from zoo.runtime.sandbox import unique

Shape = tuple[int, ...]


@dataclass(frozen=True)
class ComputedTensor:
    """One computed tensor.

    Attributes:
        name: as `zoo.runtime.sandbox.Sandbox.tensors` has it.
        operator: which computes it, `CONV_2D` say.
        inputs: the tensors that it is computed from, without constants; the graph's input included.
    """

    name: str
    operator: str
    inputs: tuple[str, ...]


def steps(content: bytes, where: object) -> tuple[ComputedTensor, ...]:
    """The tensors that depend on the graph's input, in execution order.

    Raises:
        ZooError: it is no TFLite flatbuffer, or a damaged one.
    """
    if content[4:8] != b"TFL3":
        raise ZooError(
            "not a .tflite file", where=where, expected="TFL3 at byte 4", got=repr(content[4:8])
        )
    try:
        return _steps(content)
    except (
        ValueError,
        IndexError,
        KeyError,
        TypeError,
        AttributeError,
        OverflowError,
        struct.error,
    ) as error:
        raise ZooError("damaged .tflite file", where=where, got=error) from error


def _steps(content: bytes) -> tuple[ComputedTensor, ...]:
    model = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
    graph = model.subgraphs[0]
    names = unique([bytes(tensor.name).decode(errors="replace") for tensor in graph.tensors])
    live = {int(index) for index in graph.inputs}
    found = []
    for operator in graph.operators:
        inputs = [int(i) for i in operator.inputs if int(i) in live]
        if not inputs:  # widening float16 weights, say
            continue
        kind = flatbuffer_utils.opcode_to_name(model, operator.opcodeIndex)
        for output in operator.outputs:
            live.add(int(output))
            found.append(
                ComputedTensor(names[output], kind or "CUSTOM", tuple(names[i] for i in inputs))
            )
    return tuple(found)


def pair(ours: Sequence[ComputedTensor], theirs: Sequence[ComputedTensor]) -> dict[str, str]:
    """Which tensors of two flatbuffers of one network are the same: our name → theirs.

    By name; then by name without the numbers that make names unique, in order, where both have
    equally many of that name.
    """
    pairs = {step.name: step.name for step in ours if step.name in {t.name for t in theirs}}
    left: dict[str, tuple[list[str], list[str]]] = defaultdict(lambda: ([], []))
    taken = set(pairs.values())
    for side, graph in enumerate((ours, theirs)):
        for step in graph:
            if step.name not in taken:
                left[re.sub(r"\d*(#\d+)?$", "", step.name)][side].append(step.name)
    for mine, other in left.values():
        if len(mine) == len(other):
            pairs |= zip(mine, other, strict=True)
    return pairs


def pair_layers(
    ours: Sequence[ComputedTensor], shapes: Mapping[str, Shape], layers: Mapping[str, Shape]
) -> dict[str, str]:
    """Which Keras layers' outputs the flatbuffer's tensors are: tensor name → layer name.

    A tensor is the output of the last layer in its name, if the shape is that layer's; of several
    tensors of one layer the last is its output. The last tensor of all is the last layer's output,
    whatever its name.

    Args:
        ours: the flatbuffer's tensors.
        shapes: of the tensors, by name.
        layers: of the layers' outputs, by name in the order of computation, batch 1 included.
    """
    order = {name: place for place, name in enumerate(layers)}
    tensor_of: dict[str, str] = {}
    for step in ours:
        named = [part for part in _parts(step.name) if part in order]
        if named:
            last = max(named, key=order.__getitem__)
            if shapes.get(step.name) == layers[last]:
                tensor_of[last] = step.name
    pairs = {tensor: layer for layer, tensor in tensor_of.items()}
    if ours and layers:
        end, last = ours[-1].name, list(layers)[-1]
        if shapes.get(end) == layers[last]:
            pairs = {tensor: layer for tensor, layer in pairs.items() if layer != last}
            pairs[end] = last
    return pairs


def label(name: str) -> str:
    """A tensor's name for people: `conv1 + conv1_bn + conv1_relu`, in order of computation."""
    layers = []
    for piece in reversed(name.split(";")):
        path = piece.split("/")
        if not path[-1].startswith("ReadVariableOp"):  # of weights: names the layer once more
            layers.append("/".join(path[1:-1]) if len(path) > 2 else piece)
    return " + ".join(dict.fromkeys(layers)) or name


def _parts(name: str) -> list[str]:
    """The layers in a tensor's name: the paths' middles, as the network begins and the op ends."""
    return [part for piece in name.split(";") for part in piece.split("/")[:-1]]
