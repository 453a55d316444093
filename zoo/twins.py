"""A network's twin in plain tf_keras layers, and a stopwatch for training steps of both."""

from __future__ import annotations

import time

import numpy as np
import tf_keras

from zoo import layers as own

_keras = tf_keras.layers


def plain(model: tf_keras.Model) -> tf_keras.Model:
    """A copy with fresh weights in which each layer of ours is the nearest one of tf_keras.

    A shift becomes a depthwise convolution with a trained kernel, as in the networks that shifts
    were invented to replace.
    """

    def swap(layer: tf_keras.layers.Layer) -> tf_keras.layers.Layer:
        if isinstance(layer, own.Shift):
            kernel, dilation = layer.kernel_size, layer.dilation
        elif isinstance(layer, own.LearnedShift):
            kernel, dilation = 3, 1
        elif isinstance(layer, own.ChannelMean):
            return _keras.Lambda(
                lambda x: tf_keras.backend.mean(x, axis=-1, keepdims=True), name=layer.name
            )
        else:
            return layer.__class__.from_config(layer.get_config())
        return _keras.DepthwiseConv2D(
            kernel,
            strides=getattr(layer, "strides", 1),
            dilation_rate=dilation,
            padding="same",
            use_bias=False,
            name=layer.name,
        )

    return tf_keras.models.clone_model(model, clone_function=swap)


class Stepper:
    """Trains a network on noise with the solver that `zoo.train` uses."""

    def __init__(self, model: tf_keras.Model, batch_size: int):
        random = np.random.default_rng(1)
        self._model = model
        self._images = random.standard_normal((batch_size, *model.input_shape[1:]), np.float32)
        self._labels = random.integers(0, model.output_shape[-1], batch_size)
        model.compile(
            tf_keras.optimizers.SGD(
                1e-3, momentum=0.9, nesterov=True, weight_decay=5e-4, jit_compile=False
            ),
            tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            jit_compile=False,
        )

    def seconds(self, steps: int) -> tuple[float, float]:
        """Trains so many steps; says how long that took, and the processor time of all threads."""
        elapsed, processor = time.perf_counter(), time.process_time()
        for _ in range(steps):
            self._model.train_on_batch(self._images, self._labels)
        return time.perf_counter() - elapsed, time.process_time() - processor
