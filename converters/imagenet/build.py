"""Public weights as artifacts: what may not be stored in a release is built where it is used."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from converters.conversion import manifest, metadata
from converters.conversion.from_keras import Conversions
from converters.conversion.quantize import Calibration
from converters.imagenet import scoring
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
_CALIBRATED = ("int8", "int16x8")


def build(
    start: Initial,
    wanted: Sequence[str],
    pictures: Path | None,
    folder: Path,
    provenance: Provenance,
    log: Log,
) -> list[Artifact]:
    """Converts public ImageNet weights: FOLDER/artifacts/MODEL-imagenet-PRECISION.tflite, .json.

    Args:
        start: the weights.
        wanted: precisions.
        pictures: for the calibration of int8 and int16x8, as `zoo.data.imagenet.pictures`.
        folder: a store, as `zoo.hub.local` has them, or an --output folder.
        provenance: goes into the manifest.
        log: gets a line for each file.

    Raises:
        ZooError: weights that do not fit, pictures that are missing, a refusing converter.
    """
    calibrated = [precision for precision in wanted if precision in _CALIBRATED]
    if calibrated and pictures is None:
        raise ZooError(
            f"{calibrated[0]} is calibrated with pictures",
            where="--images",
            remedy="name a tar or folder of JPEGs named by synset, or leave that precision out",
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
        validation_accuracy=0.0,  # not scored here: scripts.evaluate does
        best_epoch=0,
        versions=provenance.versions,
    )
    wants = spec.preprocessing
    preprocessing = {
        "channels": wants.channels,
        "geometry": resize.central_in_words(spec.input_shape[0]),
        "formula": "(pixel - mean) / std, pixel in 0..255",
        "mean": list(wants.mean),
        "std": list(wants.std),
    }
    calibration = (
        scoring.calibration(spec, pictures)
        if calibrated and pictures is not None
        else Calibration.of(np.zeros((1, *spec.input_shape), np.float32), wants)
    )
    conversions = Conversions(model, calibration)
    made = []
    for precision in wanted:
        told = manifest.card_of(run, precision, preprocessing, ILSVRC2012, provenance)
        content = metadata.attach(conversions.flatbuffer(precision), told)
        artifact = manifest.describe(content, run, precision, told, provenance)
        path = folder / "artifacts" / f"{artifact.name}.tflite"
        write_bytes(path, content)
        write_text(path.with_suffix(".json"), artifact.model_dump_json(indent=1) + "\n")
        log(f"{artifact.name}: {path}, {artifact.bytes:,} bytes")
        made.append(artifact)
    return made
