"""Converts catalog networks to each precision and checks where they run and how accurately."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np
import tf_keras

from converters.conversion.from_keras import Conversions
from converters.conversion.quantize import Calibration
from converters.inspection.inspect import inspect
from converters.parity.difference import compare
from converters.studies.coverage_table import CoverageRow, OnRuntime, file_name
from zoo.catalog import build, model_spec, published_config
from zoo.catalog.precisions import AFTER_QAT
from zoo.compression import qat
from zoo.data import imagenet
from zoo.errors import ZooError
from zoo.io.files import write_bytes
from zoo.runtime.sandbox import Sandbox
from zoo.schema.model import ModelSpec

SETTLING = 32  # images for batch norm statistics and calibration
COMPARED = 16  # further images, on which Keras and TFLite are compared
_LATENCY_S = 0.4
_RANGED = 8  # images that set the ranges of fake quantization
_CHIP = "snapdragon_865_gpu"


def examine(
    name: str,
    precisions: Sequence[str],
    images: SampleImages,
    runners: dict[str, Sandbox],
    to: Path,
) -> Iterator[CoverageRow]:
    """Yields one row per precision.

    The network has random weights and is not trained. Only batch normalization receives the
    statistics of real images, to make activations as large as in a trained network.

    Args:
        name: Catalog name. The network has its published input shape and classes.
        precisions: Precisions, see `zoo.catalog.precisions`.
        images: Real images.
        runners: Sandboxes by runtime name.
        to: Folder that the files are written to, see `file_name`.
    """
    spec = model_spec(name)
    tf_keras.utils.set_random_seed(1)
    model = build(published_config(spec))
    settling, compared = images.of(spec)
    settle(model, settling)
    calibration = Calibration.of(settling, spec.preprocessing)
    conversions = Conversions(model, calibration)
    for precision in precisions:
        try:
            network, source = model, conversions
            if precision in AFTER_QAT:
                network = _fake_quantized(model, settling)
                source = Conversions(network, calibration)
            content = source.flatbuffer(precision)
        except ZooError as error:
            yield CoverageRow(model=name, precision=precision, reason=error.problem)
            continue
        inspection = inspect(content, name, _CHIP)
        file = to / file_name(name, precision)
        write_bytes(file, content)
        reference = network.predict_on_batch(compared)
        yield CoverageRow(
            model=name,
            precision=precision,
            sha256=sha256(content).hexdigest(),
            bytes=len(content),
            operators=sum(row.count for row in inspection.operators),
            gpu_refusals=tuple(
                f"{refusal.count} {refusal.operator}: {refusal.reason}"
                for refusal in inspection.gpu.refusals
            ),
            gpu_warnings=inspection.gpu.warnings,
            oldest_runtime=inspection.runtime.version,
            on={key: _on(runner, file, compared, reference) for key, runner in runners.items()},
        )


def _on(runner: Sandbox, file: Path, images: np.ndarray, reference: np.ndarray) -> OnRuntime:
    try:
        placement = runner.placement(file)
        difference = compare(reference, runner.outputs(file, images))
        latency = statistics.median(runner.latency_us(file, "xnnpack", 1, _LATENCY_S))
    except ZooError as error:
        return OnRuntime(reason=error.problem)
    return OnRuntime(
        placement=placement,
        relative=difference.relative,
        agreement=difference.agreement,
        latency_us=latency,
    )


def settle(model: tf_keras.Model, images: np.ndarray) -> None:
    """Sets the moving statistics of batch normalization to those of the given images.

    Args:
        model: Network, changed in place.
        images: Normalized images, float32 (n, height, width, channels).
    """
    norms = [x for x in model.layers if isinstance(x, tf_keras.layers.BatchNormalization)]
    momentum = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    if norms:
        model(images, training=True)
    for norm, original in zip(norms, momentum, strict=True):
        norm.momentum = original


def _fake_quantized(model: tf_keras.Model, images: np.ndarray) -> tf_keras.Model:
    network = qat.for_qat(model)
    network(images[:_RANGED], training=True)  # sets the activation ranges
    return network


class SampleImages:
    """Real images, read once and resized and normalized for each network.

    Args:
        path: Tar or folder, see `zoo.data.imagenet.read_images`.

    Raises:
        ZooError: if the images are unreadable or there are too few.
    """

    def __init__(self, path: Path):
        self._pixels: list[np.ndarray] = []
        for image in imagenet.read_images(path):
            self._pixels.append(imagenet.decode(image))
            if len(self._pixels) == SETTLING + COMPARED:
                return
        raise ZooError(
            "too few images", where=path, expected=SETTLING + COMPARED, got=len(self._pixels)
        )

    def of(self, spec: ModelSpec) -> tuple[np.ndarray, np.ndarray]:
        """Returns `SETTLING` and `COMPARED` images, normalized, float32 (n, height, width, 3)."""
        import tensorflow as tf

        height, width, _ = spec.input_shape
        squares = [_square(pixels) for pixels in self._pixels]
        resized = [tf.image.resize(s, (height, width), antialias=True).numpy() for s in squares]
        stacked = imagenet.normalize(np.clip(np.stack(resized), 0, 255), spec.preprocessing)
        return stacked[:SETTLING], stacked[SETTLING:]


def _square(pixels: np.ndarray) -> np.ndarray:
    side = min(pixels.shape[:2])
    top, left = ((length - side) // 2 for length in pixels.shape[:2])
    return pixels[top : top + side, left : left + side]
