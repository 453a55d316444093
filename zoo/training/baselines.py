"""What training is compared with: a network's twin in plain layers, plain `fit`; stopwatches."""

from __future__ import annotations

import time

import numpy as np
import tensorflow as tf
import tf_keras

from zoo import layers as own
from zoo.data.dataset import Dataset
from zoo.training import shift_callbacks
from zoo.training.loop import LossGuard
from zoo.training.schedule import TrainingPlan, batches

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
    """Trains a network on noise with the solver that `zoo.training.loop` uses."""

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


class Fitter:
    """Times `fit` on the project's pipeline, or plainly on tensors in memory.

    Args:
        model: of the data set's shape, `compiled`; two that are compared share it, since where
            weights lie in memory moves the time of a step, too.
        dataset: whose training images are learned.
        schedule: augmentation; plain training has none.
        ours: whether the pipeline feeds it, with the callbacks that `zoo.training.loop` has.
    """

    def __init__(self, model: tf_keras.Model, dataset: Dataset, schedule: TrainingPlan, ours: bool):
        self._model, self._dataset, self._schedule, self._ours = model, dataset, schedule, ours
        self._per_epoch = schedule.steps_per_epoch(len(dataset.train))
        self._first = 0

    @staticmethod
    def compiled(model: tf_keras.Model, dataset: Dataset, schedule: TrainingPlan) -> tf_keras.Model:
        """The model, with the schedule's solver."""
        model.compile(
            schedule.solver(model, schedule.steps_per_epoch(len(dataset.train))),
            tf_keras.losses.CategoricalCrossentropy(from_logits=True),
            jit_compile=False,
        )
        return model

    def seconds(self, steps: int) -> tuple[float, float]:
        """As `Stepper.seconds`, from the end of one more step before them."""
        watch = _Between()
        callbacks = [watch]
        if self._ours:
            callbacks += [
                *shift_callbacks.callbacks(self._model, self._schedule.epochs, self._per_epoch),
                LossGuard(lambda line: None, steps, 1),
            ]
            first, self._first = self._first, self._first + steps + 1
            images = batches(self._dataset, self._schedule, first, self._first, one_hot=True)
            self._model.fit(images, verbose=0, callbacks=callbacks)
        else:
            train = self._dataset.train
            which = np.arange((steps + 1) * self._schedule.batch_size) % len(train)  # may be few
            x = tf.constant(self._dataset.normalize(train.images[which]))
            y = tf.one_hot(train.labels[which], len(self._dataset.labels))
            self._model.fit(x, y, self._schedule.batch_size, verbose=0, callbacks=callbacks)
        return watch.elapsed_s, watch.processor_s


class Feeder:
    """Takes batches out of the project's pipeline and does nothing with them.

    Args:
        dataset: whose training images.
        schedule: batch size and augmentation.
    """

    def __init__(self, dataset: Dataset, schedule: TrainingPlan):
        self._batches = iter(batches(dataset, schedule, 0, 2**40, one_hot=True))

    def seconds(self, steps: int) -> tuple[float, float]:
        """As `Stepper.seconds`."""
        elapsed, processor = time.perf_counter(), time.process_time()
        for _ in range(steps):
            next(self._batches)
        return time.perf_counter() - elapsed, time.process_time() - processor


class _Between(tf_keras.callbacks.Callback):
    """The time from the end of the first step to that of the last one."""

    elapsed_s = processor_s = 0.0

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        now = time.perf_counter(), time.process_time()
        if batch == 0:
            self._began = now
        self.elapsed_s, self.processor_s = (n - b for n, b in zip(now, self._began, strict=True))
