"""Converts Keras networks to TFLite: once to float32, then quantized to each precision."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cached_property

import numpy as np
import tensorflow as tf
import tf_keras

from converters.conversion import quantize
from converters.conversion.engine_forms import for_every_engine
from converters.conversion.makers import MAKERS
from converters.conversion.quantize import Calibration
from converters.conversion.raw_input import pixels_in
from converters.inspection import runtimes
from converters.tflite import edit
from converters.tflite.reader import read
from zoo.catalog import precisions
from zoo.errors import ZooError, one_line
from zoo.io.stderr import quiet
from zoo.layers.grouped import whole_convolutions
from zoo.lowering.network import lower
from zoo.schema.model import Preprocessing

CALIBRATION_IMAGES = 200


class Conversions:
    """Converts one network to any precision; steps shared by several precisions run once.

    Each flatbuffer has one signature, `image` → `logits`, and a fixed batch size of 1.

    Args:
        model: Functional model, one image in, logits out. With fake quantization, only
            `precisions.AFTER_QAT` are supported.
        calibration: Images for `precisions.CALIBRATED`; unnormalized pixels if `raw` is set.
        raw: Preprocessing to perform inside the graph. The input is then uint8, RGB or gray, as an
            image decoder returns it. None leaves preprocessing to the caller.
    """

    def __init__(
        self,
        model: tf_keras.Model,
        calibration: Calibration,
        raw: Preprocessing | None = None,
    ):
        self.name = model.name
        self._model = model
        self._calibration = calibration
        self._raw = raw

    def flatbuffer(self, precision: str) -> bytes:
        """Returns the network's flatbuffer in one of `zoo.catalog.precisions`.

        Raises:
            ZooError: if the precision is unknown, the converter or the quantizer fails, the
                calibration images do not fit the network, or a scale is implausible.
        """
        row = precisions.precision(precision)
        content = MAKERS[row.name](self)
        if row.after_qat:
            return content
        return _stamped(content if self._raw is None else pixels_in(content))

    @cached_property
    def for_floats(self) -> bytes:
        """Float32 flatbuffer that floating-point precisions are made from."""
        content = _converted(lower(self._model), precisions.BASE, self._raw)
        return self._prepared(for_every_engine(content, integers=False), "floats")

    @cached_property
    def for_integers(self) -> bytes:
        """Float32 flatbuffer that integer precisions are made from."""
        # Some operators have one form that delegates support in int8 and another that is faster
        # in float.
        lowered = lower(self._model, integer=True)
        if lowered is self._model:
            return self.for_floats
        content = _converted(lowered, precisions.BASE, self._raw)
        return self._prepared(for_every_engine(content, integers=False), "integers")

    def _prepared(self, content: bytes, form: str) -> bytes:
        """Hook for subclasses: changes the float32 file that the other precisions start from.

        Args:
            content: Float32 flatbuffer.
            form: `floats`, or `integers` if integer precisions need different operators.
        """
        del form
        return content

    def calibrated(self, quantizer: Callable[[bytes, Calibration, str, bool], bytes]) -> bytes:
        """Returns the flatbuffer of one of the quantizers of `converters.conversion.quantize`."""
        self._calibration.check(self._model.input_shape[1:])
        raw = self._raw is not None
        content = quantizer(self.for_integers, self._calibration, self.name, raw)
        return for_every_engine(content, integers=True)

    def quantized_in_training(self, precision: str) -> bytes:
        """Returns the int8 flatbuffer of a model with fake quantization.

        Args:
            precision: Its name in error messages.
        """
        content = for_every_engine(_converted(self._model, precision, integer=True), integers=True)
        quantize.check_scales(content, f"{self.name} in {precision}")
        return content


def _stamped(content: bytes) -> bytes:
    # Neither our edits nor the quantizer update the minimum runtime version of the float32 file.
    oldest = runtimes.oldest(read(content, "converted")).version
    model = edit.unpacked(content)
    if oldest is not None:
        edit.set_metadata(model, "min_runtime_version", oldest.encode().ljust(16, b"\0"))
    return edit.packed(model)


def _traced(
    model: tf_keras.Model, raw: Preprocessing | None
) -> tf.types.experimental.ConcreteFunction:
    """Returns the inference function of a network.

    Converting the Keras model itself would first save it as a Keras SavedModel, which traces every
    layer several times. That is 6 to 10 times slower and yields the same flatbuffer.
    """
    shape = (1, *model.input_shape[1:])  # a dynamic batch size breaks delegation

    @tf.function(input_signature=[tf.TensorSpec(shape, tf.float32, name="image")])
    def infer(image: tf.Tensor) -> tf.Tensor:
        if raw is not None:
            image = _normalized(image, raw)
        return model(image, training=False)

    with whole_convolutions():
        return infer.get_concrete_function()


def _normalized(pixels: tf.Tensor, preprocessing: Preprocessing) -> tf.Tensor:
    # A 1×1 convolution scales, shifts and reorders the channels: every delegate supports it, and in
    # int8 it has one scale per channel. Folding it into the network's first convolution would not
    # be exact, because that convolution pads with zeros.
    mean, std = (np.array(v, np.float32) for v in (preprocessing.mean, preprocessing.std))
    kernel = np.diag(1 / std)
    if preprocessing.channels == "BGR":
        kernel = kernel[::-1]
    return tf.nn.conv2d(pixels, kernel[np.newaxis, np.newaxis], 1, "VALID") - mean / std


def _converted(
    model: tf_keras.Model, precision: str, raw: Preprocessing | None = None, integer: bool = False
) -> bytes:
    traced = _traced(model, raw)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([traced], model)
    # Going through a SavedModel yields the same operators and is up to six times slower.
    converter.experimental_lower_to_saved_model = False
    if integer:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.inference_input_type = tf.int8
        converter.inference_output_type = tf.int8
    try:
        with quiet():
            content = bytes(converter.convert())
    except Exception as error:  # the converter raises bare Exception subclasses of many kinds
        raise ZooError(
            f"TensorFlow's converter cannot convert {model.name} to {precision}",
            where=_place(traced.graph, str(error)),
            got=one_line(_TRACED.sub(" ", str(error)), 400),
            remedy="use only operators that are built into TFLite",
        ) from error
    converted = edit.unpacked(content)
    edit.sign(converted, "image", "logits")  # lowering to a SavedModel would have added it
    return edit.packed(converted)


_TRACED = re.compile(r"/\S+\.py:\d+:\d+: (note: called from)?")  # local paths in the traceback


def _place(graph: tf.Graph, message: str) -> str | None:
    # The message gives only operator types (`'tf.Igamma' op`). Their names in the graph start with
    # the layer's name.
    kinds = set(re.findall(r"'?tf\.([A-Z]\w*)'? ", message))
    names = [node.name for node in graph.get_operations() if node.type in kinds]
    return f"operator {names[0]}" if names else None
