"""Baselines for the training-speed study: standard layers, plain `fit`, and step timers."""

from __future__ import annotations

import time

import numpy as np
import tensorflow as tf
import tf_keras

from zoo import layers as zoo_layers
from zoo.data.dataset import Dataset
from zoo.training import shift_callbacks
from zoo.training.loop import LossGuard
from zoo.training.schedule import TrainingPlan, batches

_keras = tf_keras.layers


def plain(model: tf_keras.Model) -> tf_keras.Model:
    """Returns a copy with new weights in which standard tf_keras layers replace custom ones.

    A shift layer becomes a depthwise convolution with a trained kernel, which is the layer that
    shifts were designed to replace.
    """

    def swap(layer: tf_keras.layers.Layer) -> tf_keras.layers.Layer:
        if isinstance(layer, zoo_layers.Shift):
            kernel, dilation = layer.kernel_size, layer.dilation
        elif isinstance(layer, zoo_layers.LearnedShift):
            kernel, dilation = 3, 1
        elif isinstance(layer, zoo_layers.ChannelMean):
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
    """Trains a network on random data with an SGD optimizer like that of `zoo.training.loop`.

    Args:
        model: Network to train; it is compiled here.
        batch_size: Images per step.
    """

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
        """Runs training steps and measures them.

        Args:
            steps: Number of steps.

        Returns:
            Elapsed time and the CPU time of all threads, in seconds.
        """
        elapsed, processor = time.perf_counter(), time.process_time()
        for _ in range(steps):
            self._model.train_on_batch(self._images, self._labels)
        return time.perf_counter() - elapsed, time.process_time() - processor


class Fitter:
    """Times `fit`, either with this project's input pipeline or with tensors in memory.

    Args:
        model: Network returned by `compiled`. Use the same one for both variants: the addresses of
            its weights affect the step time.
        dataset: Source of the training images.
        schedule: Batch size and augmentation. The plain variant does not augment.
        ours: Whether to use this project's pipeline and the callbacks of `zoo.training.loop`.
    """

    def __init__(self, model: tf_keras.Model, dataset: Dataset, schedule: TrainingPlan, ours: bool):
        self._model, self._dataset, self._schedule, self._ours = model, dataset, schedule, ours
        self._per_epoch = schedule.steps_per_epoch(len(dataset.train))
        self._first = 0

    @staticmethod
    def compiled(model: tf_keras.Model, dataset: Dataset, schedule: TrainingPlan) -> tf_keras.Model:
        """Compiles the model with the optimizer of the schedule and returns it."""
        model.compile(
            schedule.optimizer(model, schedule.steps_per_epoch(len(dataset.train))),
            tf_keras.losses.CategoricalCrossentropy(from_logits=True),
            jit_compile=False,
        )
        return model

    def seconds(self, steps: int) -> tuple[float, float]:
        """Measures training steps like `Stepper.seconds`, after one untimed step."""
        timer = _StepTimer()
        callbacks = [timer]
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
            # The dataset may have fewer images than these steps need.
            indices = np.arange((steps + 1) * self._schedule.batch_size) % len(train)
            x = tf.constant(self._dataset.normalize(train.images[indices]))
            y = tf.one_hot(train.labels[indices], len(self._dataset.labels))
            self._model.fit(x, y, self._schedule.batch_size, verbose=0, callbacks=callbacks)
        return timer.elapsed_s, timer.processor_s


class Feeder:
    """Reads batches from this project's input pipeline and discards them.

    Args:
        dataset: Source of the training images.
        schedule: Batch size and augmentation.
    """

    def __init__(self, dataset: Dataset, schedule: TrainingPlan):
        self._batches = iter(batches(dataset, schedule, 0, 2**40, one_hot=True))

    def seconds(self, steps: int) -> tuple[float, float]:
        """Measures reading `steps` batches, like `Stepper.seconds`."""
        elapsed, processor = time.perf_counter(), time.process_time()
        for _ in range(steps):
            next(self._batches)
        return time.perf_counter() - elapsed, time.process_time() - processor


class _StepTimer(tf_keras.callbacks.Callback):
    """Measures from the end of the first step to the end of the last one, in seconds."""

    elapsed_s = processor_s = 0.0

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        now = time.perf_counter(), time.process_time()
        if batch == 0:
            self._start = now
        self.elapsed_s, self.processor_s = (n - s for n, s in zip(now, self._start, strict=True))
