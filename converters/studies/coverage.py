"""What becomes of a catalog network in a precision: where it runs, and how close it stays."""

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
from converters.studies.coverage_table import CoverageRow, OnRuntime
from zoo.catalog import build, model_spec, published_config
from zoo.compression import qat
from zoo.data import imagenet
from zoo.errors import ZooError
from zoo.io.files import write_bytes
from zoo.runtime.sandbox import Sandbox
from zoo.schema.model import ModelSpec

SETTLING = 32  # pictures that batch norm's statistics, and the integer ranges, come from
COMPARED = 16  # other pictures, on which Keras and TFLite are compared
_LATENCY_S = 0.4
_RANGED = 8  # pictures that give the ranges of fake quantization
_CHIP = "snapdragon_865_gpu"


def examine(
    name: str,
    precisions: Sequence[str],
    pictures: SampleImages,
    runners: dict[str, Sandbox],
    to: Path,
) -> Iterator[CoverageRow]:
    """One row for each precision.

    The network has random weights. Batch normalization gets the statistics of real pictures, so
    that activations are as large as in a trained network; nothing else is trained.

    Args:
        name: catalog name; the network has its published input and classes.
        precisions: of `converters.conversion.precisions`.
        pictures: real ones.
        runners: by runtime.
        to: folder for the files.
    """
    spec = model_spec(name)
    tf_keras.utils.set_random_seed(1)
    model = build(published_config(spec))
    settling, others = pictures.of(spec)
    settle(model, settling)
    calibration = Calibration.of(settling, spec.preprocessing)
    conversions = Conversions(model, calibration)
    for precision in precisions:
        try:
            network, source = model, conversions
            if precision == "int8_qat":
                network = _fake_quantized(model, settling)
                source = Conversions(network, calibration)
            content = source.flatbuffer(precision)
        except ZooError as error:
            yield CoverageRow(model=name, precision=precision, reason=error.problem)
            continue
        found = inspect(content, name, _CHIP)
        file = to / f"{name}-{precision}.tflite"
        write_bytes(file, content)
        reference = network.predict_on_batch(others)
        yield CoverageRow(
            model=name,
            precision=precision,
            sha256=sha256(content).hexdigest(),
            bytes=len(content),
            operators=sum(row.count for row in found.operators),
            gpu_refusals=tuple(
                f"{one.count} {one.operator}: {one.reason}" for one in found.gpu.refusals
            ),
            gpu_warnings=found.gpu.warnings,
            oldest_runtime=found.runtime.version,
            on={key: _on(runner, file, others, reference) for key, runner in runners.items()},
        )
        file.unlink()


def _on(runner: Sandbox, file: Path, pictures: np.ndarray, reference: np.ndarray) -> OnRuntime:
    try:
        placement = runner.placement(file)
        difference = compare(reference, runner.outputs(file, pictures))
        latency = statistics.median(runner.latency_us(file, "xnnpack", 1, _LATENCY_S))
    except ZooError as error:
        return OnRuntime(reason=error.problem)
    return OnRuntime(
        placement=placement,
        relative=difference.relative,
        agreement=difference.agreement,
        latency_us=latency,
    )


def settle(model: tf_keras.Model, pictures: np.ndarray) -> None:
    """Gives batch normalization the statistics of these pictures, (n, h, w, c) as the input is."""
    norms = [x for x in model.layers if isinstance(x, tf_keras.layers.BatchNormalization)]
    momentum = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    if norms:
        model(pictures, training=True)
    for norm, before in zip(norms, momentum, strict=True):
        norm.momentum = before


def _fake_quantized(model: tf_keras.Model, pictures: np.ndarray) -> tf_keras.Model:
    network = qat.for_qat(model)
    network(pictures[:_RANGED], training=True)  # gives the activations their ranges
    return network


class SampleImages:
    """Real pictures for any network: read once, brought to each network's input.

    Args:
        path: a tar or a folder, see `zoo.data.imagenet.pictures`.

    Raises:
        ZooError: they can't be read, or are too few.
    """

    def __init__(self, path: Path):
        self._pixels: list[np.ndarray] = []
        for picture in imagenet.pictures(path):
            self._pixels.append(imagenet.decode(picture))
            if len(self._pixels) == SETTLING + COMPARED:
                return
        raise ZooError(
            "too few pictures", where=path, expected=SETTLING + COMPARED, got=len(self._pixels)
        )

    def of(self, spec: ModelSpec) -> tuple[np.ndarray, np.ndarray]:
        """Those to settle with and those to compare on: float32 (n, h, w, c), normalized."""
        import tensorflow as tf

        height, width, _ = spec.input_shape
        square = [_square(pixels) for pixels in self._pixels]
        sized = [tf.image.resize(each, (height, width), antialias=True).numpy() for each in square]
        stacked = imagenet.normalize(np.clip(np.stack(sized), 0, 255), spec.preprocessing)
        return stacked[:SETTLING], stacked[SETTLING:]


def _square(pixels: np.ndarray) -> np.ndarray:
    side = min(pixels.shape[:2])
    top, left = ((have - side) // 2 for have in pixels.shape[:2])
    return pixels[top : top + side, left : left + side]
