"""Keras to TFLite in every precision."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import tensorflow as tf
import tf_keras

from zoo import runtime
from zoo.errors import ZooError, one_line

CALIBRATION_IMAGES = 200
# Activations of a normalised network stay far inside; a scale outside says that calibration, or
# quantisation-aware training, never saw real data (an untrained one leaves 3.9e-9).
_SANE_SCALE = (1e-6, 1e3)


class _Network(tf.Module):
    """The network without its Keras shell.

    Converting the Keras model itself first saves it as a Keras SavedModel, which traces every layer
    several times: 6 to 10 times slower, with the same flatbuffer in the end.
    """

    def __init__(self, model: tf_keras.Model):
        super().__init__()
        self._variables = list(model.variables)  # tf.Module saves what its attributes hold
        shape = (1, *model.input_shape[1:])  # a fixed batch: a dynamic one breaks delegation

        @tf.function(input_signature=[tf.TensorSpec(shape, tf.float32, name="image")])
        def infer(image: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"logits": model(image, training=False)}

        self.infer = infer


def convert(model: tf_keras.Model, precision: str, calibration: np.ndarray) -> bytes:
    """Converts a Keras model to a flatbuffer with one signature, `image` → `logits`.

    Args:
        model: functional, one image in, logits out; with fake quantisation for `int8_qat`.
        precision: see `converters.precisions`.
        calibration: float32 normalised images (n, height, width, channels), used by `int8` only,
            one after the other, so that the result is deterministic.

    Raises:
        ZooError: the converter refuses, or the calibration leaves an absurd scale.
    """
    network = _Network(model)
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [network.infer.get_concrete_function()], network
    )
    if precision != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if precision in ("int8", "int8_qat"):
        converter.inference_input_type = tf.int8
        converter.inference_output_type = tf.int8
    if precision == "int8":
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        _check_calibration(calibration, model.input_shape[1:])

        def images() -> Iterable[list[np.ndarray]]:
            for image in calibration:
                yield [image[np.newaxis]]

        converter.representative_dataset = images
    try:
        content: bytes = converter.convert()
    except Exception as error:  # the converter raises bare Exception subclasses of many kinds
        raise ZooError(
            f"TensorFlow's converter refuses {model.name} in {precision}",
            got=one_line(error, 400),
            remedy="keep to operators that TFLite has built in",
        ) from error
    _check_scales(content, precision)
    return content


def _check_calibration(images: np.ndarray, shape: tuple[int, ...]) -> None:
    if len(images) == 0 or images.shape[1:] != tuple(shape) or not np.isfinite(images).all():
        raise ZooError(
            "unfit calibration images",
            expected=f"at least one, of shape {tuple(shape)}, with finite values",
            got=f"{len(images)} of shape {images.shape[1:]}",
        )


def _check_scales(content: bytes, precision: str) -> None:
    net = runtime.load(content, "litert", "none", threads=1, where=precision)
    low, high = _SANE_SCALE
    for tensor in net.inputs() + net.outputs():
        if tensor.scale is not None and not low <= tensor.scale <= high:
            raise ZooError(
                "quantisation left an absurd scale",
                where=f"{precision}, tensor {tensor.name}",
                expected=f"{low:g} to {high:g}",
                got=f"{tensor.scale:g}",
                remedy="calibrate with real, normalised images; train a QAT model first",
            )
