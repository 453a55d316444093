"""Parameters and multiply-accumulates (MACs) of a Keras network, layer by layer.

All networks are counted by the same rule: one MAC for each multiplication and addition in
convolutions and dense layers, for one image. Biases, batch normalization, activations, pooling,
element-wise operations and shifts don't count, which is the convention of the papers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import tf_keras

from zoo import layers as zoo_layers
from zoo.errors import ZooError

_keras = tf_keras.layers

# Layers whose weights of rank 2 and above are not kernels: slopes of PReLU, shifts of channels.
# Interpolation between four pixels counts no MACs, just like moving by whole pixels.
_NO_MACS = (_keras.PReLU, zoo_layers.LearnedShift)


@dataclass(frozen=True)
class LayerCount:
    """Counts of one layer of a functional model.

    Attributes:
        name: Name of the layer.
        kind: Name of its class.
        inputs: Names of its input layers.
        output: Shape of its output without the batch dimension.
        parameters: Number of all parameters.
        trainable: Number of trainable parameters.
        macs: Multiply-accumulates for one image.
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    output: tuple[int, ...]
    parameters: int
    trainable: int
    macs: int


def layer_counts(model: tf_keras.Model) -> list[LayerCount]:
    """Counts every layer, in the order of the graph.

    Raises:
        ZooError: if a layer is used more than once, or has kernels but no counting rule.
    """
    return [_count(layer) for layer in model.layers]


def macs(model: tf_keras.Model) -> int:
    """Returns the multiply-accumulates per inference of one image."""
    return sum(row.macs for row in layer_counts(model))


def trainable_parameters(model: tf_keras.Model) -> int:
    """Returns the number of trainable parameters."""
    return sum(_size(weight) for weight in model.trainable_weights)


def _count(layer: tf_keras.layers.Layer) -> LayerCount:
    if len(layer.inbound_nodes) != 1:
        raise ZooError(
            "MACs can only be counted for layers that are used exactly once",
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
    if kind in (_keras.Conv2D, zoo_layers.GroupedConv2D):
        # The kernel is (height, width, input channels / groups, output channels).
        return _size(layer.kernel) * output[1] * output[2]
    if kind is _keras.DepthwiseConv2D:
        return _size(layer.depthwise_kernel) * output[1] * output[2]
    if kind is _keras.Dense:
        return _size(layer.kernel) * math.prod(output[1:-1])
    if not isinstance(layer, _NO_MACS) and any(len(w.shape) > 1 for w in layer.weights):
        raise ZooError("no rule for counting the MACs of this layer", where=layer.name, got=kind)
    return 0


def _size(weight: tf_keras.backend.Variable) -> int:
    return math.prod(weight.shape)
