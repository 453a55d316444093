"""Scores public ImageNet weights on labeled images, in Keras and after conversion."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import tf_keras

from converters.conversion.from_keras import Conversions
from converters.conversion.quantize import Calibration
from converters.imagenet.scores import KERAS, Scores
from zoo.catalog import build, model_spec, published_config
from zoo.catalog.precisions import CALIBRATED
from zoo.data import imagenet
from zoo.errors import ZooError
from zoo.io.files import write_bytes
from zoo.io.log import Log
from zoo.pretrained.transfer import Initial, apply
from zoo.runtime.sandbox import Sandbox
from zoo.schema.model import ModelSpec

CALIBRATION_IMAGES = 100
_BATCH = 10  # images; with four crops per image, 25 MB


def score(
    start: Initial,
    path: Path,
    precisions: Sequence[str],
    files: Sequence[Path],
    keep: Path | None,
    log: Log,
) -> Scores:
    """Scores the weights on every central crop of every image.

    Integer precisions are calibrated on the first crop of images spread evenly over the set. Labels
    are not used for it.

    Args:
        start: Public weights.
        path: Labeled images, see `zoo.data.imagenet.read_images`.
        precisions: Precisions to convert to and run on LiteRT with XNNPACK; may be empty.
        files: Other `.tflite` files of the same network to run in the same way.
        keep: Folder for the converted files. None deletes them afterwards.
        log: Called with progress messages.

    Raises:
        ZooError: if the weights do not fit the network, the images are unusable, outputs are not
            finite, or a conversion fails.
    """
    spec, model = network(start)
    calibrating = _spread(path) if set(precisions) & set(CALIBRATED) else frozenset()
    with ExitStack() as stack:
        run: dict[str, Callable[[np.ndarray], np.ndarray]] = {KERAS: model.predict_on_batch}
        sizes = {}
        if precisions or files:
            runner = stack.enter_context(Sandbox("litert"))
            folder = keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
            conversions = Conversions(model, calibration(spec, path, calibrating))
            converted = {}
            for precision in precisions:
                log(f"converting to {precision}")
                converted[precision] = folder / f"{spec.name}-{precision}.tflite"
                write_bytes(converted[precision], conversions.flatbuffer(precision))
            for name, file in {**converted, **{str(file): file for file in files}}.items():
                runner.placement(file)  # fails now, not after the long scoring of the others
                sizes[name] = file.stat().st_size
                run[name] = partial(runner.outputs, file)
        return _scored(spec, path, run, calibrating, sizes, log)


def _scored(
    spec: ModelSpec,
    path: Path,
    run: dict[str, Callable[[np.ndarray], np.ndarray]],
    calibrating: frozenset[int],
    sizes: dict[str, int],
    log: Log,
) -> Scores:
    ranks: dict[str, list[np.ndarray]] = {name: [] for name in run}
    labels: list[int] = []
    images = _cropped(spec, path)
    while batch := list(islice(images, _BATCH)):
        crops = np.concatenate([image_crops for _, image_crops in batch])
        ends = np.cumsum([len(image_crops) for _, image_crops in batch])[:-1]
        for name, infer in run.items():
            logits = infer(crops)
            if not np.isfinite(logits).all():
                raise ZooError("the network's outputs are not finite", where=f"{spec.name}, {name}")
            for (label, _), crop_logits in zip(batch, np.split(logits, ends), strict=True):
                order = np.argsort(-crop_logits, axis=1, kind="stable")
                ranks[name].append(np.argmax(order == label, axis=1))
        labels += [label for label, _ in batch]
        log(f"{len(labels)} images scored")
    # An image has fewer crops if a margin is even. Repeating them does not change the mean.
    most = max(len(image_ranks) for image_ranks in ranks[KERAS])
    return Scores(
        {name: np.stack([np.resize(r, most) for r in rows]) for name, rows in ranks.items()},
        np.array(labels),
        np.isin(np.arange(len(labels)), sorted(calibrating)),
        sizes,
    )


def _cropped(spec: ModelSpec, path: Path) -> Iterator[tuple[int, np.ndarray]]:
    height, width, _ = spec.input_shape
    for image in imagenet.read_images(path):
        crops = imagenet.central_crops(imagenet.decode(image), height, width)
        yield image.label, imagenet.normalize(crops, spec.preprocessing)


def _spread(path: Path) -> frozenset[int]:
    count = sum(1 for _ in imagenet.read_images(path))
    return frozenset(np.linspace(0, count - 1, min(count, CALIBRATION_IMAGES)).astype(int).tolist())


def network(start: Initial) -> tuple[ModelSpec, tf_keras.Model]:
    """Returns the published network, loaded with public weights.

    Raises:
        ZooError: if the weights do not fit the network.
    """
    spec = model_spec(start.model)
    model = build(published_config(spec))
    apply(model, spec.name, start, spec.preprocessing)
    return spec, model


def calibration(spec: ModelSpec, path: Path, chosen: frozenset[int] | None = None) -> Calibration:
    """Returns calibration images for a network: the first central crop of each selected image.

    Args:
        spec: Catalog entry of the network.
        path: Images, see `zoo.data.imagenet.read_images`.
        chosen: Indices of the images. None selects up to `CALIBRATION_IMAGES` spread evenly over
            the set.
    """
    chosen = _spread(path) if chosen is None else chosen
    height, width, _ = spec.input_shape
    pixels = [
        imagenet.central_crops(imagenet.decode(image), height, width)[0]
        for index, image in enumerate(imagenet.read_images(path))
        if index in chosen
    ]
    stacked = np.array(pixels, np.float32).reshape(-1, height, width, 3)
    return Calibration.of(imagenet.normalize(stacked, spec.preprocessing), spec.preprocessing)
