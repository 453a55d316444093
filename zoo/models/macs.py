"""Parameters and multiply-accumulates (MACs) of a Keras network, layer by layer.

Our own counter, so that every network is counted by the same rule: the products of convolutions and
dense layers, each with its addition, for one image. Biases, batch normalization, activations,
pooling, element-wise operations and shifts count nothing, which is the convention of the papers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import tf_keras

from zoo import layers as own
from zoo.errors import ZooError

_keras = tf_keras.layers

# Layers whose weights of rank 2 and more are no matrices to multiply by: PReLU's slopes, and the
# shifts of channels. By our rule interpolating between four pixels counts as nothing, as moving by
# whole pixels does.
_NO_MACS = (_keras.PReLU, own.LearnedShift)


@dataclass(frozen=True)
class LayerCount:
    """One layer of a functional network.

    Attributes:
        name: of the layer.
        kind: its class.
        inputs: names of the layers that feed it.
        output: shape of what it gives for one image.
        parameters: all of them.
        trainable: those that training changes.
        macs: multiply-accumulates for one image.
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    output: tuple[int, ...]
    parameters: int
    trainable: int
    macs: int


def layer_counts(model: tf_keras.Model) -> list[LayerCount]:
    """One row a layer, in the order of the graph.

    Raises:
        ZooError: a layer that is used twice, or one with kernels that there is no rule for.
    """
    return [_count(layer) for layer in model.layers]


def macs(model: tf_keras.Model) -> int:
    """Multiply-accumulates of one inference on one image."""
    return sum(row.macs for row in layer_counts(model))


def trainable_parameters(model: tf_keras.Model) -> int:
    """Parameters that training changes."""
    return sum(_size(weight) for weight in model.trainable_weights)


def _count(layer: tf_keras.layers.Layer) -> LayerCount:
    if len(layer.inbound_nodes) != 1:
        raise ZooError(
            "can't count a layer that is not used exactly once",
            where=layer.name,
            got=f"{len(layer.inbound_nodes)} uses",
        )
    shapes = layer.output_shape
    output = shapes[0] if isinstance(shapes, list) else shapes
    sources = layer.inbound_nodes[0].inbound_layers
    sources = sources if isinstance(sources, list) else [sources]
    return LayerCount(
        name=layer.name,
        kind=type(layer).__name__,
        inputs=tuple(source.name for source in sources),
        output=tuple(output[1:]),
        parameters=layer.count_params(),
        trainable=sum(_size(weight) for weight in layer.trainable_weights),
        macs=_macs(layer, output),
    )


def _macs(layer: tf_keras.layers.Layer, output: tuple[int, ...]) -> int:
    kind = type(layer)
    if kind in (_keras.Conv2D, own.GroupedConv2D):
        # The kernel holds height × width × (input / groups) × output.
        return _size(layer.kernel) * output[1] * output[2]
    if kind is _keras.DepthwiseConv2D:
        return _size(layer.depthwise_kernel) * output[1] * output[2]
    if kind is _keras.Dense:
        return _size(layer.kernel) * math.prod(output[1:-1])
    if not isinstance(layer, _NO_MACS) and any(len(w.shape) > 1 for w in layer.weights):
        raise ZooError("no rule for counting the MACs of a layer", where=layer.name, got=kind)
    return 0


def _size(weight: tf_keras.backend.Variable) -> int:
    return math.prod(weight.shape)
