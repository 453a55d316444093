"""Builds artifacts from public weights, which a release may not redistribute, on this computer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from converters.conversion import manifest, metadata
from converters.conversion.from_keras import Conversions
from converters.conversion.quantize import Calibration
from converters.imagenet import scoring
from zoo.catalog.precisions import CALIBRATED
from zoo.data import resize
from zoo.data.imagenet_synsets import ILSVRC2012
from zoo.errors import ZooError
from zoo.io.files import write_bytes, write_text
from zoo.io.log import Log
from zoo.io.provenance import Provenance
from zoo.pretrained.transfer import Initial
from zoo.schema.artifact import Artifact
from zoo.schema.recipe import Recipe
from zoo.schema.run import ModelConfig, Run

DATASET = "imagenet"


def build(
    start: Initial,
    requested: Sequence[str],
    images: Path | None,
    folder: Path,
    provenance: Provenance,
    log: Log,
) -> list[Artifact]:
    """Converts public ImageNet weights.

    Writes FOLDER/artifacts/MODEL-imagenet-PRECISION.tflite and the manifest .json next to it.

    Args:
        start: Public weights.
        requested: Precisions, see `zoo.catalog.precisions`.
        images: Calibration images for `CALIBRATED` precisions, a path for
            `zoo.data.imagenet.read_images`. None is allowed if none of them is requested.
        folder: Model store of `zoo.hub.local`, or an --output folder.
        provenance: Written to the manifests.
        log: Called with one line per file.

    Returns:
        The manifests, in the order of `requested`.

    Raises:
        ZooError: if the weights do not fit the network, calibration images are missing, or the
            converter fails.
    """
    calibrated = [precision for precision in requested if precision in CALIBRATED]
    if calibrated and images is None:
        raise ZooError(
            f"{calibrated[0]} requires calibration images",
            where="--images",
            remedy="give a tar or folder of JPEGs named by synset, or drop that precision",
        )
    spec, model = scoring.network(start)
    run = Run(
        name=f"{spec.name}-{DATASET}",
        stage="train",
        config=ModelConfig(model=spec.name, input_shape=spec.input_shape, classes=spec.classes),
        dataset=DATASET,
        recipe=Recipe(name="public_weights", model=spec.name, dataset=DATASET),
        init_from=start.source,
        init_sha256=start.sha256,
        weights=start.source,
        weights_sha256=start.sha256,
        validation_accuracy=0.0,  # not scored here; scripts.evaluate scores the weights
        best_epoch=0,
        versions=provenance.versions,
    )
    normalization = spec.preprocessing
    preprocessing = {
        "channels": normalization.channels,
        "geometry": resize.central_in_words(spec.input_shape[0]),
        "formula": "(pixel - mean) / std, pixel in 0..255",
        "mean": list(normalization.mean),
        "std": list(normalization.std),
    }
    calibration = (
        scoring.calibration(spec, images)
        if calibrated and images is not None
        else Calibration.of(np.zeros((1, *spec.input_shape), np.float32), normalization)
    )
    conversions = Conversions(model, calibration)
    artifacts = []
    for precision in requested:
        card = manifest.card_of(run, precision, preprocessing, ILSVRC2012, provenance)
        content = metadata.attach(conversions.flatbuffer(precision), card)
        artifact = manifest.describe(content, run, precision, card, provenance)
        path = folder / "artifacts" / f"{artifact.name}.tflite"
        write_bytes(path, content)
        write_text(path.with_suffix(".json"), artifact.model_dump_json(indent=1) + "\n")
        log(f"{artifact.name}: {path}, {artifact.bytes:,} bytes")
        artifacts.append(artifact)
    return artifacts
