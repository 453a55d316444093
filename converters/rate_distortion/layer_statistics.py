"""What quantizing a layer's weights would do to the network: measured on pictures without labels.

The loss is the Kullback–Leibler divergence of the quantized network's class probabilities from the
float one's. To second order it is half the weights' error in the metric of the Fisher information,
which is approximated a layer at a time, for all its filters alike, as

    importance × covariance of the layer's inputs,

an error of one filter being weighed by how far it moves the filter's output. The importance is the
Fisher's trace over that of the covariance. Finer weights, one a filter or one a position, describe
the calibration pictures rather than the network and did worse (WORKSPACE.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from converters.rate_distortion.replay import Replay, WeightedLayer
from zoo.errors import ZooError

_BATCH = 16


@dataclass(frozen=True)
class Statistics:
    """One layer's inputs and its weight in the loss.

    Attributes:
        mean: (groups, k) mean of the inputs that a weight is multiplied with; `groups` is 1, or the
            channels of a depthwise convolution.
        covariance: (groups, k, k), of one output position.
        importance: nats for an output error of variance 1 in each filter, times two.
    """

    mean: np.ndarray
    covariance: np.ndarray
    importance: float


def collect(replay: Replay, images: np.ndarray, seed: int = 1) -> dict[int, Statistics]:
    """Statistics of every layer by the index of its weights' tensor.

    Args:
        replay: the float network.
        images: (n, height, width, channels) as the network takes them.
        seed: labels are drawn from the network's own probabilities.

    Raises:
        ZooError: no pictures, or outputs that are not finite.
    """
    if not len(images):
        raise ZooError("no pictures to measure the network on", expected="at least one")
    totals: dict[int, list[np.ndarray]] = {}
    # Nothing in it depends on values, so that there is no Python to be rewritten, which takes long.
    step = tf.function(lambda batch, number: _batch(replay, batch, (seed, number)), autograph=False)
    for number, batch in enumerate(_batches(images)):
        found = step(tf.constant(batch), tf.constant(number))
        for layer, sums in zip(replay.layers, found, strict=True):
            numbers = [np.asarray(value, np.float64) for value in sums]
            if not all(np.isfinite(value).all() for value in numbers):
                raise ZooError("a layer's values are not finite", where=layer.name)
            if layer.weight in totals:
                pairs = zip(totals[layer.weight], numbers, strict=True)
                numbers = [old + new for old, new in pairs]
            totals[layer.weight] = numbers
    return {
        layer.weight: _statistics(totals[layer.weight], len(images), _filters(replay, layer))
        for layer in replay.layers
    }


def _batches(images: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(images), _BATCH):
        yield images[start : start + _BATCH]


def _filters(replay: Replay, layer: WeightedLayer) -> int:
    shape = replay.constants[layer.weight].shape
    return int(shape[-1] if layer.kind == "DEPTHWISE_CONV_2D" else shape[0])


def _statistics(sums: list[np.ndarray], images: int, filters: int) -> Statistics:
    first, second, gradients, positions = sums
    mean, moment = first / positions, second / positions
    covariance = moment - mean[:, :, np.newaxis] * mean[:, np.newaxis, :]
    trace = float(np.trace(moment, axis1=1, axis2=2).mean())
    importance = float(gradients) / images / (filters * trace) if trace > 0 else 0.0
    return Statistics(mean, covariance, importance)


def _batch(replay: Replay, images: tf.Tensor, seed: tuple[int, tf.Tensor]) -> list[tuple]:
    """Sums over a batch: inputs, their products, squared gradients, number of positions."""
    offsets: dict[int, tf.Tensor] = {}
    outputs = {layer.output for layer in replay.layers}
    with tf.GradientTape() as tape:

        def watched(index: int) -> Callable[[tf.Tensor], tf.Tensor]:
            def add(value: tf.Tensor) -> tf.Tensor:
                offsets[index] = tf.zeros_like(value)
                tape.watch(offsets[index])
                return value + offsets[index]

            return add

        logits, kept = replay.run(
            images,
            keep={layer.input for layer in replay.layers},
            before={index: watched(index) for index in outputs},
        )
        log_p = tf.nn.log_softmax(logits)
        noise = tf.random.stateless_uniform(tf.shape(logits), seed, minval=1e-20)
        drawn = tf.argmax(log_p - tf.math.log(-tf.math.log(noise)), 1)  # Gumbel's way to draw one
        loss = -tf.reduce_sum(tf.gather(log_p, drawn, batch_dims=1))
    gradients = tape.gradient(loss, offsets)
    return [
        _sums(replay, layer, kept[layer.input], gradients[layer.output]) for layer in replay.layers
    ]


def _sums(replay: Replay, layer: WeightedLayer, inputs: tf.Tensor, gradient: tf.Tensor) -> tuple:
    patches = replay.patches(layer, inputs)  # (n, positions, groups, k)
    count, positions = tf.shape(patches)[0], tf.shape(patches)[1]
    groups, filters = patches.shape[2], gradient.shape[-1]
    gradient = tf.reshape(gradient, (count, -1, groups, filters // groups))
    # A group at a time each is a product of matrices, (k, positions) by (positions, k or filters).
    patches, gradient = (tf.transpose(value, (0, 2, 1, 3)) for value in (patches, gradient))
    weights = tf.matmul(patches, gradient, transpose_a=True)  # each picture's own gradient
    products = tf.reduce_sum(tf.matmul(patches, patches, transpose_a=True), 0)
    return (
        tf.reduce_sum(patches, (0, 2)),
        products,
        tf.reduce_sum(weights**2),
        tf.cast(count * positions, tf.float32),
    )
