"""Measures how sensitive a network is to quantization errors in each layer, on unlabeled images.

The loss is the Kullback–Leibler divergence between the class probabilities of the quantized and the
float network. To second order it is half the squared weight error in the metric of the Fisher
information matrix, which is approximated per layer, equally for all its filters, as

    importance × covariance of the layer's inputs.

The covariance measures how much a weight error changes the filter's output. The importance is the
trace of the Fisher matrix divided by that of the covariance. Finer importances, per filter or per
position, overfit the calibration images and gave worse results (WORKSPACE.md).
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
    """Input statistics of one layer and its importance in the loss.

    Attributes:
        mean: Mean of the inputs that each weight is multiplied with, float64 (groups, k). A
            depthwise convolution has one group per channel.
        covariance: Covariance of the inputs at one output position, float64 (groups, k, k).
        importance: Twice the loss, in nats, of an output error of variance 1 in each filter.
    """

    mean: np.ndarray
    covariance: np.ndarray
    importance: float


def collect(replay: Replay, images: np.ndarray, seed: int = 1) -> dict[int, Statistics]:
    """Returns the statistics of each layer, keyed by the tensor index of its weights.

    Args:
        replay: Float network.
        images: Normalized images, float32 (n, height, width, channels).
        seed: Seed for drawing labels from the network's predicted probabilities.

    Raises:
        ZooError: if there are no images, or a value in the network is not finite.
    """
    if not len(images):
        raise ZooError("no images to measure the network on", expected="at least one")
    totals: dict[int, list[np.ndarray]] = {}
    # AutoGraph is slow and not needed: the control flow does not depend on tensor values.
    step = tf.function(lambda batch, number: _batch(replay, batch, (seed, number)), autograph=False)
    for number, batch in enumerate(_batches(images)):
        batch_sums = step(tf.constant(batch), tf.constant(number))
        for layer, sums in zip(replay.layers, batch_sums, strict=True):
            arrays = [np.asarray(value, np.float64) for value in sums]
            if not all(np.isfinite(array).all() for array in arrays):
                raise ZooError("a layer's values are not finite", where=layer.name)
            if layer.weight in totals:
                pairs = zip(totals[layer.weight], arrays, strict=True)
                arrays = [old + new for old, new in pairs]
            totals[layer.weight] = arrays
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
    """Returns, per layer, sums over a batch: see `_sums`."""
    offsets: dict[int, tf.Tensor] = {}
    outputs = {layer.output for layer in replay.layers}
    with tf.GradientTape() as tape:

        def watched(index: int) -> Callable[[tf.Tensor], tf.Tensor]:
            def add(value: tf.Tensor) -> tf.Tensor:
                offsets[index] = tf.zeros_like(value)
                tape.watch(offsets[index])
                return value + offsets[index]

            return add

        logits, inputs = replay.run(
            images,
            keep={layer.input for layer in replay.layers},
            before={index: watched(index) for index in outputs},
        )
        log_p = tf.nn.log_softmax(logits)
        noise = tf.random.stateless_uniform(tf.shape(logits), seed, minval=1e-20)
        # Draws a label per image with the Gumbel-max trick.
        drawn = tf.argmax(log_p - tf.math.log(-tf.math.log(noise)), 1)
        loss = -tf.reduce_sum(tf.gather(log_p, drawn, batch_dims=1))
    gradients = tape.gradient(loss, offsets)
    return [
        _sums(replay, layer, inputs[layer.input], gradients[layer.output])
        for layer in replay.layers
    ]


def _sums(replay: Replay, layer: WeightedLayer, inputs: tf.Tensor, gradient: tf.Tensor) -> tuple:
    """Returns the sums of inputs, input products, squared gradients, and the position count."""
    patches = replay.patches(layer, inputs)  # (n, positions, groups, k)
    count, positions = tf.shape(patches)[0], tf.shape(patches)[1]
    groups, filters = patches.shape[2], gradient.shape[-1]
    gradient = tf.reshape(gradient, (count, -1, groups, filters // groups))
    # Per group, both are matrix products: (k, positions) by (positions, k or filters).
    patches, gradient = (tf.transpose(value, (0, 2, 1, 3)) for value in (patches, gradient))
    weights = tf.matmul(patches, gradient, transpose_a=True)  # one gradient per image
    products = tf.reduce_sum(tf.matmul(patches, patches, transpose_a=True), 0)
    return (
        tf.reduce_sum(patches, (0, 2)),
        products,
        tf.reduce_sum(weights**2),
        tf.cast(count * positions, tf.float32),
    )
