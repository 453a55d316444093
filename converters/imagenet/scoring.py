"""Public ImageNet weights scored on labeled pictures, in Keras and converted."""

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
from zoo.data import imagenet
from zoo.errors import ZooError
from zoo.io.files import write_bytes
from zoo.io.log import Log
from zoo.pretrained.transfer import Initial, apply
from zoo.runtime.sandbox import Sandbox
from zoo.schema.model import ModelSpec

CALIBRATION_PICTURES = 100
_BATCH = 10  # pictures; four crops of each are 25 MB


def score(
    start: Initial,
    path: Path,
    precisions: Sequence[str],
    files: Sequence[Path],
    keep: Path | None,
    log: Log,
) -> Scores:
    """Scores the weights on every central crop of every picture.

    The calibration gets the first crop of pictures evenly spread over the set, without labels.

    Args:
        start: public weights.
        path: see `zoo.data.imagenet.pictures`.
        precisions: none, or those to convert to and run on LiteRT with XNNPACK.
        files: other `.tflite` of the same network to run so, whoever made them.
        keep: folder for the converted files; None leaves none.
        log: gets a line now and then.

    Raises:
        ZooError: weights that do not fit, pictures that can't be used, outputs that are not
            finite, and what converting raises.
    """
    spec, model = network(start)
    calibrating = _spread(path) if set(precisions) & {"int8", "int16x8"} else frozenset()
    with ExitStack() as stack:
        run: dict[str, Callable[[np.ndarray], np.ndarray]] = {KERAS: model.predict_on_batch}
        sizes = {}
        if precisions or files:
            runner = stack.enter_context(Sandbox("litert"))
            folder = keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
            conversions = Conversions(model, calibration(spec, path, calibrating))
            made = {}
            for precision in precisions:
                log(f"converting to {precision}")
                made[precision] = folder / f"{spec.name}-{precision}.tflite"
                write_bytes(made[precision], conversions.flatbuffer(precision))
            for name, file in {**made, **{str(file): file for file in files}}.items():
                runner.placement(file)  # a file that can't run is told of before the long part
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
    found: dict[str, list[np.ndarray]] = {name: [] for name in run}
    labels: list[int] = []
    pictures = _cropped(spec, path)
    while group := list(islice(pictures, _BATCH)):
        crops = np.concatenate([each for _, each in group])
        ends = np.cumsum([len(each) for _, each in group])[:-1]
        for name, infer in run.items():
            logits = infer(crops)
            if not np.isfinite(logits).all():
                raise ZooError("the network's outputs are not finite", where=f"{spec.name}, {name}")
            for (label, _), own in zip(group, np.split(logits, ends), strict=True):
                order = np.argsort(-own, axis=1, kind="stable")
                found[name].append(np.argmax(order == label, axis=1))
        labels += [label for label, _ in group]
        log(f"{len(labels)} pictures scored")
    # A margin that is even on one axis has fewer crops: repeated, their mean stays the same.
    most = max(len(place) for place in found[KERAS])
    return Scores(
        {name: np.stack([np.resize(p, most) for p in places]) for name, places in found.items()},
        np.array(labels),
        np.isin(np.arange(len(labels)), sorted(calibrating)),
        sizes,
    )


def _cropped(spec: ModelSpec, path: Path) -> Iterator[tuple[int, np.ndarray]]:
    height, width, _ = spec.input_shape
    for picture in imagenet.pictures(path):
        crops = imagenet.central_crops(imagenet.decode(picture), height, width)
        yield picture.label, imagenet.normalize(crops, spec.preprocessing)


def _spread(path: Path) -> frozenset[int]:
    count = sum(1 for _ in imagenet.pictures(path))
    return frozenset(
        np.linspace(0, count - 1, min(count, CALIBRATION_PICTURES)).astype(int).tolist()
    )


def network(start: Initial) -> tuple[ModelSpec, tf_keras.Model]:
    """The published network with public weights.

    Raises:
        ZooError: the weights do not fit it.
    """
    spec = model_spec(start.model)
    model = build(published_config(spec))
    apply(model, spec.name, start, spec.preprocessing)
    return spec, model


def calibration(spec: ModelSpec, path: Path, chosen: frozenset[int] | None = None) -> Calibration:
    """The first central crop of pictures; of `chosen` ones, else evenly spread over the set."""
    chosen = _spread(path) if chosen is None else chosen
    height, width, _ = spec.input_shape
    pixels = [
        imagenet.central_crops(imagenet.decode(picture), height, width)[0]
        for index, picture in enumerate(imagenet.pictures(path))
        if index in chosen
    ]
    stacked = np.array(pixels, np.float32).reshape(-1, height, width, 3)
    return Calibration.of(imagenet.normalize(stacked, spec.preprocessing), spec.preprocessing)
