"""Keras to TFLite in every precision: converted once to float32, then quantized."""

from __future__ import annotations

import re
from functools import cached_property

import numpy as np
import tensorflow as tf
import tf_keras

from converters.conversion import quantize, weights_only
from converters.conversion.quantize import Calibration
from converters.conversion.raw_input import pixels_in
from converters.inspection import runtimes
from converters.tflite import edit
from converters.tflite.reader import read
from zoo.errors import ZooError, one_line
from zoo.io.stderr import quiet
from zoo.layers.grouped import whole_convolutions
from zoo.lowering.network import lower
from zoo.schema.model import Preprocessing

CALIBRATION_IMAGES = 200


class Conversions:
    """One network's flatbuffers; what precisions have in common is done once.

    Each has one signature, `image` → `logits`, and a fixed batch of 1.

    Args:
        model: functional, one image in, logits out; with fake quantization for `int8_qat`, which
            is then the only precision.
        calibration: for `int8` and `int16x8`; with `raw`, of whole pixels.
        raw: the network's preprocessing, to be done inside the graph: the input then is uint8,
            RGB or gray, as an image decoder gives it.
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
        """The network in one of `converters.conversion.precisions`.

        Raises:
            ZooError: the converter or the quantizer refuses, unfit calibration images, or an
                absurd scale.
        """
        if precision == "int8_qat":
            return self._quantized_in_training()
        content = self._of_normalized(precision)
        return _stamped(content if self._raw is None else pixels_in(content))

    def _of_normalized(self, precision: str) -> bytes:
        if precision == "float16":
            return weights_only.float16(self._for_floats, self.name)
        if precision == "dynamic_int8":
            return weights_only.dynamic_int8(self._for_floats)
        if precision == "float32":
            return self._for_floats
        self._calibration.check(self._model.input_shape[1:])
        quantizer = quantize.int8 if precision == "int8" else quantize.int16x8
        return quantizer(
            self._for_integers, self._calibration, self.name, float_input=self._raw is not None
        )

    @cached_property
    def _for_floats(self) -> bytes:
        return self._prepared(_converted(lower(self._model), "float32", self._raw), "floats")

    @cached_property
    def _for_integers(self) -> bytes:
        # Some operators have an integer form that delegates take and a float one that is faster.
        lowered = lower(self._model, integer=True)
        if lowered is self._model:
            return self._for_floats
        return self._prepared(_converted(lowered, "float32", self._raw), "integers")

    def _prepared(self, content: bytes, form: str) -> bytes:
        """What is done to a float32 file before precisions are made of it; here nothing.

        Args:
            content: the file.
            form: `floats`, or `integers` where those need other operators.
        """
        del form
        return content

    def _quantized_in_training(self) -> bytes:
        content = _converted(self._model, "int8_qat", integer=True)
        quantize.check_scales(content, f"{self.name} in int8_qat")
        return content


def _stamped(content: bytes) -> bytes:
    # Our edits and the quantizer leave the float32 file's word on the oldest runtime.
    oldest = runtimes.oldest(read(content, "converted")).version
    model = edit.unpacked(content)
    if oldest is not None:
        edit.set_metadata(model, "min_runtime_version", oldest.encode().ljust(16, b"\0"))
    return edit.packed(model)


def _traced(
    model: tf_keras.Model, raw: Preprocessing | None
) -> tf.types.experimental.ConcreteFunction:
    """The network without its Keras shell.

    Converting the Keras model itself first saves it as a Keras SavedModel, which traces every layer
    several times: 6 to 10 times slower, with the same flatbuffer in the end.
    """
    shape = (1, *model.input_shape[1:])  # a fixed batch: a dynamic one breaks delegation

    @tf.function(input_signature=[tf.TensorSpec(shape, tf.float32, name="image")])
    def infer(image: tf.Tensor) -> tf.Tensor:
        if raw is not None:
            image = _normalized(image, raw)
        return model(image, training=False)

    with whole_convolutions():
        return infer.get_concrete_function()


def _normalized(pixels: tf.Tensor, preprocessing: Preprocessing) -> tf.Tensor:
    # One 1×1 convolution scales, shifts and orders the channels: every delegate takes it, and in
    # int8 its scales are those of each channel. Folding it into the network's first convolution
    # would not be exact, as that one pads with zeros.
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
    # By way of a plain SavedModel the same operators come out, up to six times slower.
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
            f"TensorFlow's converter refuses {model.name} in {precision}",
            where=_place(traced.graph, str(error)),
            got=one_line(_TRACED.sub(" ", str(error)), 400),
            remedy="keep to operators that TFLite has built in",
        ) from error
    converted = edit.unpacked(content)
    edit.sign(converted, "image", "logits")  # what lowering to a SavedModel would have done
    return edit.packed(converted)


_TRACED = re.compile(
    r"/\S+\.py:\d+:\d+: (note: called from)?"
)  # where this computer has TensorFlow


def _place(graph: tf.Graph, message: str) -> str | None:
    # The message tells operators, `'tf.Igamma' op`, and only the graph what they are called, after
    # their layers.
    kinds = set(re.findall(r"'?tf\.([A-Z]\w*)'? ", message))
    names = [node.name for node in graph.get_operations() if node.type in kinds]
    return f"operator {names[0]}" if names else None
