"""Computed tensors of a `.tflite` and their counterparts in a file or network. No TensorFlow.

The converter names a tensor after the operations that it fused, last first, each a path through the
Keras layer: `net/conv1_relu/Relu;net/conv1_bn/FusedBatchNormV3;net/conv1/Conv2D`. It appends a
number to a name that is already taken.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from converters.tflite.reader import read
from zoo.runtime.sandbox import unique

Shape = tuple[int, ...]


@dataclass(frozen=True)
class ComputedTensor:
    """A tensor computed by the graph.

    Attributes:
        name: Name as in `zoo.runtime.sandbox.Sandbox.tensors`.
        operator: Operator that computes it, for example `CONV_2D`.
        inputs: Names of the tensors that it is computed from, including the graph's input but
            without constants.
    """

    name: str
    operator: str
    inputs: tuple[str, ...]


def steps(content: bytes, where: object) -> tuple[ComputedTensor, ...]:
    """Returns the tensors that depend on the graph's input, in execution order.

    Args:
        content: Contents of the `.tflite` file.
        where: File name shown in error messages.

    Raises:
        ZooError: if the data is not a TFLite flatbuffer or is damaged.
    """
    graph = read(content, where).main
    names = unique([tensor.name for tensor in graph.tensors])
    live = set(graph.inputs)
    computed = []
    for operator in graph.operators:
        inputs = [index for index in operator.inputs if index in live]
        if not inputs:  # only constants, for example widening of float16 weights
            continue
        for output in operator.outputs:
            live.add(output)
            computed.append(
                ComputedTensor(names[output], operator.name, tuple(names[i] for i in inputs))
            )
    return tuple(computed)


def pair(ours: Sequence[ComputedTensor], theirs: Sequence[ComputedTensor]) -> dict[str, str]:
    """Matches tensors of two flatbuffers of the same network: our name → their name.

    Matches equal names first. The remaining tensors are matched by name without the trailing
    number, in order, if both files have the same number of tensors with that name.
    """
    pairs = {step.name: step.name for step in ours if step.name in {t.name for t in theirs}}
    unmatched: dict[str, tuple[list[str], list[str]]] = defaultdict(lambda: ([], []))
    taken = set(pairs.values())
    for side, graph in enumerate((ours, theirs)):
        for step in graph:
            if step.name not in taken:
                unmatched[re.sub(r"\d*(#\d+)?$", "", step.name)][side].append(step.name)
    for our_names, their_names in unmatched.values():
        if len(our_names) == len(their_names):
            pairs |= zip(our_names, their_names, strict=True)
    return pairs


def pair_layers(
    ours: Sequence[ComputedTensor], shapes: Mapping[str, Shape], layers: Mapping[str, Shape]
) -> dict[str, str]:
    """Matches the flatbuffer's tensors to Keras layer outputs: tensor name → layer name.

    A tensor is the output of the last layer in its name if the shapes match; if a layer has several
    tensors, the last one is its output. The last tensor of the graph is the output of the last
    layer regardless of its name.

    Args:
        ours: Computed tensors of the flatbuffer.
        shapes: Shape of each tensor by name.
        layers: Output shape of each layer by name, batch size 1 included, in order of computation.
    """
    order = {name: place for place, name in enumerate(layers)}
    tensor_of: dict[str, str] = {}
    for step in ours:
        matches = [part for part in _parts(step.name) if part in order]
        if matches:
            last = max(matches, key=order.__getitem__)
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
    """Returns a readable tensor name in order of computation: `conv1 + conv1_bn + conv1_relu`."""
    layers = []
    for piece in reversed(name.split(";")):
        path = piece.split("/")
        if not path[-1].startswith("ReadVariableOp"):  # reads weights and would repeat the layer
            layers.append("/".join(path[1:-1]) if len(path) > 2 else piece)
    return " + ".join(dict.fromkeys(layers)) or name


def _parts(name: str) -> list[str]:
    """Returns the path components of a tensor's name, without the operation at each path's end."""
    return [part for piece in name.split(";") for part in piece.split("/")[:-1]]
