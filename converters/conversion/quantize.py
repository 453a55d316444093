"""From a float32 flatbuffer to full-integer ones, by TensorFlow's own calibrator and quantizer.

TensorFlow's converter does the same as its last step, after it has converted the network; on a
finished flatbuffer it is many times faster, and the result is the same.
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

# Of the range that pixels can have: a set of real pictures that spans less was scaled wrongly.
_LEAST_SPAN = 0.1
_TOLERANCE = 1e-3
# Between an input's or output's least and largest value, where real pictures were seen. One far
# outside says that the calibration, or the quantization-aware training, never did: a QAT network
# that was not trained leaves 1e-6.
_SANE_RANGE = (2.5e-4, 2.5e5)
# Of the median range of a network's activations: what a narrower one is widened to.
_LEAST_SHARE = 1e-4
_LEVELS = {
    schema.TensorType.INT8: 2**8,
    schema.TensorType.UINT8: 2**8,
    schema.TensorType.INT16: 2**16,
}


@dataclass(frozen=True, eq=False)
class Calibration:
    """Real pictures as the network gets them; activations' ranges are those that they cause.

    Attributes:
        images: float32 (n, height, width, channels), fed one after the other, so that the result
            is deterministic.
        low: the least value that a pixel can have, after normalization.
        high: the largest.
    """

    images: np.ndarray
    low: float
    high: float

    @classmethod
    def of(cls, images: np.ndarray, preprocessing: Preprocessing) -> Calibration:
        """Of images that were normalized so."""
        return cls(images, *cls.limits(preprocessing))

    @staticmethod
    def limits(preprocessing: Preprocessing) -> tuple[float, float]:
        """The least and the largest value that a normalized pixel can have."""
        mean, std = (np.array(v, np.float32) for v in (preprocessing.mean, preprocessing.std))
        return float(((0 - mean) / std).min()), float(((255 - mean) / std).max())

    def check(self, shape: tuple[int, ...]) -> None:
        """Raises ZooError unless the images fit a network whose input has that shape."""
        images, span = self.images, self.high - self.low
        if images.ndim != 4 or len(images) == 0 or images.shape[1:] != tuple(shape):
            raise ZooError(
                "unfit calibration images",
                expected=f"at least one, of shape {tuple(shape)}",
                got=f"{len(images)} of shape {images.shape[1:]}",
            )
        low, high = float(images.min()), float(images.max())
        inside = self.low - _TOLERANCE * span <= low and high <= self.high + _TOLERANCE * span
        if not (inside and high - low >= _LEAST_SPAN * span):  # false for NaN as well
            raise ZooError(
                "unfit calibration images: their values do not look like normalized pictures",
                expected=f"most of {self.low:g} to {self.high:g}",
                got=f"{low:g} to {high:g}",
                remedy="normalize them as the network was trained, neither twice nor not at all",
            )

    def __iter__(self) -> Iterator[list[np.ndarray]]:
        return ([image[np.newaxis]] for image in self.images)


def int8(content: bytes, calibration: Calibration, where: str, float_input: bool = False) -> bytes:
    """Weights, activations, input and output in int8.

    Args:
        content: a float32 flatbuffer.
        calibration: what its input gets.
        where: its name, for messages.
        float_input: leave the input float32, quantized by an operator of its own.

    Raises:
        ZooError: the quantizer refuses, or leaves an absurd scale.
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
    except Exception as error:  # bare RuntimeError, ValueError and the converter's own
        raise _refusal(error, where, "int8") from error
    check_scales(quantized, where)
    return quantized


def int16x8(
    content: bytes, calibration: Calibration, where: str, float_input: bool = False
) -> bytes:
    """Weights in int8, activations, input and output in int16. Never delegated by XNNPACK.

    Args: as `int8`.

    Raises:
        ZooError: the quantizer refuses: it knows no int16 form of hard-swish, for one.
    """
    try:
        with quiet():
            quantized = calibrator.Calibrator(content).calibrate_and_quantize(
                lambda: calibration, tf.float32, tf.float32, False, tf.int16, tf.int64
            )
            source = tf.float32 if float_input else tf.int16
            quantized = bytes(modify_model_io_type(quantized, source, tf.int16))
    except Exception as error:
        raise _refusal(error, where, "int16x8") from error
    check_scales(quantized, where)
    return quantized


def check_scales(content: bytes, where: str) -> None:
    """Raises ZooError where the input or the output has a scale that no real picture causes.

    Within a network a dead unit, always 0, may have any.
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
                "quantization left an absurd scale",
                where=f"{where}, tensor {edit.name(tensor)}",
                expected=f"{least / levels:g} to {most / levels:g}",
                got=f"{scale:g}",
                remedy="calibrate with real, normalized images; train a QAT model first",
            )


def _widened(content: bytes) -> bytes:
    """Gives activations that hardly vary, dead units say, a range that kernels can compute with.

    XNNPACK refuses a whole model where the scale of one output is too far below its input's.
    """
    model = edit.unpacked(content)
    graph = model.subgraphs[0]
    borders = {int(index) for index in [*graph.inputs, *graph.outputs]}  # see `check_scales`
    ranges = {
        index: tensor.quantization
        for index, tensor in enumerate(graph.tensors)
        if tensor.quantization is not None and tensor.quantization.max is not None
    }
    spans = [float(each.max[0] - each.min[0]) for each in ranges.values()]
    least = _LEAST_SHARE * float(np.median([span for span in spans if span > 0] or [0]))
    narrow = [
        each
        for index, each in ranges.items()
        if index not in borders and each.max[0] - each.min[0] < least
    ]
    if not narrow:
        return content
    for each in narrow:
        each.max = each.min + np.float32(least)
    return edit.packed(model)


def _in_float(content: bytes) -> list[str]:
    model = edit.unpacked(content)
    graph = model.subgraphs[0]
    names = [edit.name(graph.tensors[i]) for op in graph.operators for i in op.outputs]
    return [name for name in names if f"{IN_FLOAT}/" in name]


def _refusal(error: Exception, where: str, precision: str) -> ZooError:
    return ZooError(
        f"TensorFlow's quantizer refuses {precision}",
        where=where,
        got=one_line(error, 400),
        remedy="choose another precision",
    )
