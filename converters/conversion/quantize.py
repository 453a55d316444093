"""Full-integer quantization of float32 flatbuffers with TensorFlow's calibrator and quantizer.

TensorFlow's converter runs the same step last, after converting the network. Applying it to a
finished flatbuffer gives the same result many times faster.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from tensorflow.lite.python.convert import deduplicate_readonly_buffers, mlir_quantize
from tensorflow.lite.python.optimize import calibrator
from tensorflow.lite.python.util import modify_model_io_type

from converters.tflite import edit
from zoo.errors import ZooError, one_line
from zoo.io.stderr import quiet
from zoo.lowering.operator_forms import IN_FLOAT
from zoo.schema.model import Preprocessing

# Share of the possible pixel range. Real images that span less were normalized incorrectly.
_LEAST_SPAN = 0.1
_TOLERANCE = 1e-3
# Plausible width of an input's or output's range on real images. A width far outside means that
# calibration or quantization-aware training saw no real images: an untrained QAT network has 1e-6.
_SANE_RANGE = (2.5e-4, 2.5e5)
# Share of the median activation range of a network. Narrower ranges are widened to it.
_LEAST_SHARE = 1e-4
_LEVELS = {
    schema.TensorType.INT8: 2**8,
    schema.TensorType.UINT8: 2**8,
    schema.TensorType.INT16: 2**16,
}


@dataclass(frozen=True, eq=False)
class Calibration:
    """Real images that determine the ranges of the activations.

    Attributes:
        images: Network inputs, float32 (n, height, width, channels). They are fed one at a time to
            keep the result deterministic.
        low: Smallest possible pixel value after normalization.
        high: Largest possible pixel value after normalization.
    """

    images: np.ndarray
    low: float
    high: float

    @classmethod
    def of(cls, images: np.ndarray, preprocessing: Preprocessing) -> Calibration:
        """Returns the calibration for images normalized with the given preprocessing."""
        return cls(images, *cls.limits(preprocessing))

    @staticmethod
    def limits(preprocessing: Preprocessing) -> tuple[float, float]:
        """Returns the smallest and the largest possible value of a normalized pixel."""
        mean, std = (np.array(v, np.float32) for v in (preprocessing.mean, preprocessing.std))
        return float(((0 - mean) / std).min()), float(((255 - mean) / std).max())

    def check(self, shape: tuple[int, ...]) -> None:
        """Checks the images against the network's input.

        Args:
            shape: Input shape of the network, (height, width, channels).

        Raises:
            ZooError: if there are no images, or their shape or range of values is wrong.
        """
        images, span = self.images, self.high - self.low
        if images.ndim != 4 or len(images) == 0 or images.shape[1:] != tuple(shape):
            raise ZooError(
                "unfit calibration images",
                expected=f"at least one, of shape {tuple(shape)}",
                got=f"{len(images)} of shape {images.shape[1:]}",
            )
        low, high = float(images.min()), float(images.max())
        inside = self.low - _TOLERANCE * span <= low and high <= self.high + _TOLERANCE * span
        if not (inside and high - low >= _LEAST_SPAN * span):  # the comparison is false for NaN
            raise ZooError(
                "unfit calibration images: their values are not those of normalized images",
                expected=f"most of the range {self.low:g} to {self.high:g}",
                got=f"{low:g} to {high:g}",
                remedy="normalize them exactly once, with the preprocessing used in training",
            )

    def __iter__(self) -> Iterator[list[np.ndarray]]:
        return ([image[np.newaxis]] for image in self.images)


def int8(content: bytes, calibration: Calibration, where: str, float_input: bool = False) -> bytes:
    """Quantizes weights, activations, input and output to int8.

    Args:
        content: Float32 flatbuffer.
        calibration: Images for the activation ranges.
        where: Network name shown in error messages.
        float_input: Keep a float32 input and add an operator that quantizes it.

    Raises:
        ZooError: if the quantizer fails or leaves an implausible scale.
    """
    try:
        with quiet():
            calibrate = calibrator.Calibrator(calibrator.add_intermediate_tensors(content))
            with_ranges = _widened(calibrate.calibrate(lambda: calibration))
            quantized = mlir_quantize(
                with_ranges,
                input_data_type=tf.float32 if float_input else tf.int8,
                output_data_type=tf.int8,
                denylisted_nodes=_in_float(with_ranges),
            )
            quantized = bytes(deduplicate_readonly_buffers(quantized))
    except Exception as error:  # RuntimeError, ValueError and the converter's own types
        raise _failure(error, where, "int8") from error
    check_scales(quantized, where)
    return quantized


def int16x8(
    content: bytes, calibration: Calibration, where: str, float_input: bool = False
) -> bytes:
    """Quantizes weights to int8 and activations, input and output to int16.

    XNNPACK does not support these operators. The arguments are those of `int8`.

    Raises:
        ZooError: if the quantizer fails, for example because an operator such as hard-swish has no
            int16 form, or leaves an implausible scale.
    """
    try:
        with quiet():
            quantized = calibrator.Calibrator(content).calibrate_and_quantize(
                lambda: calibration, tf.float32, tf.float32, False, tf.int16, tf.int64
            )
            source = tf.float32 if float_input else tf.int16
            quantized = bytes(modify_model_io_type(quantized, source, tf.int16))
    except Exception as error:
        raise _failure(error, where, "int16x8") from error
    check_scales(quantized, where)
    return quantized


def check_scales(content: bytes, where: str) -> None:
    """Checks that the scales of the input and the output are plausible for real images.

    Inner tensors are not checked: a dead unit, whose output is always 0, may have any scale.

    Args:
        content: Quantized flatbuffer.
        where: Network name shown in error messages.

    Raises:
        ZooError: if a scale is out of range.
    """
    model = edit.unpacked(content)
    graph = model.subgraphs[0]
    least, most = _SANE_RANGE
    for index in [*graph.inputs, *graph.outputs]:
        tensor = graph.tensors[index]
        levels = _LEVELS.get(tensor.type)
        if levels is None:
            continue
        scale = tensor.quantization.scale[0]
        if not least <= levels * scale <= most:
            raise ZooError(
                "quantization produced an implausible scale",
                where=f"{where}, tensor {edit.name(tensor)}",
                expected=f"{least / levels:g} to {most / levels:g}",
                got=f"{scale:g}",
                remedy="calibrate with real, normalized images, or train the QAT model first",
            )


def _widened(content: bytes) -> bytes:
    """Widens the ranges of activations that hardly vary, for example those of dead units.

    XNNPACK rejects the whole model if the scale of one output is too small relative to its input.
    """
    model = edit.unpacked(content)
    graph = model.subgraphs[0]
    endpoints = {int(index) for index in [*graph.inputs, *graph.outputs]}  # see `check_scales`
    ranges = {
        index: tensor.quantization
        for index, tensor in enumerate(graph.tensors)
        if tensor.quantization is not None and tensor.quantization.max is not None
    }
    spans = [float(limits.max[0] - limits.min[0]) for limits in ranges.values()]
    least = _LEAST_SHARE * float(np.median([span for span in spans if span > 0] or [0]))
    narrow = [
        limits
        for index, limits in ranges.items()
        if index not in endpoints and limits.max[0] - limits.min[0] < least
    ]
    if not narrow:
        return content
    for limits in narrow:
        limits.max = limits.min + np.float32(least)
    return edit.packed(model)


def _in_float(content: bytes) -> list[str]:
    model = edit.unpacked(content)
    graph = model.subgraphs[0]
    names = [edit.name(graph.tensors[i]) for op in graph.operators for i in op.outputs]
    return [name for name in names if f"{IN_FLOAT}/" in name]


def _failure(error: Exception, where: str, precision: str) -> ZooError:
    return ZooError(
        f"TensorFlow's quantizer cannot quantize to {precision}",
        where=where,
        got=one_line(error, 400),
        remedy="choose another precision",
    )
