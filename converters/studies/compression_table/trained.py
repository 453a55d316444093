"""Quantizes our own trained networks for rate and distortion and scores them on test images."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from converters.conversion.from_keras import Conversions
from converters.conversion.quantize import Calibration
from converters.packing.pack import packed_size
from converters.rate_distortion.conversions import IMAGES, sample_images
from converters.rate_distortion.search import Search
from converters.studies.compression_table.commands import DATASETS, MODELS, commands
from converters.studies.compression_table.rows import (
    CompressionRow,
    ImageAccuracy,
    against,
    size_of,
)
from zoo import data, runs
from zoo.catalog.precisions import BASE
from zoo.errors import ZooError
from zoo.io.files import write_bytes
from zoo.io.log import Log
from zoo.pretrained.transfer import of_dataset
from zoo.runtime.sandbox import Sandbox
from zoo.schema.run import Run

PART = "Trained here: at least 10 times smaller than float32, within 0.5 points"
RATIOS = (10.2, 16.0, 24.0)  # float32 .tflite / container; the first is a little above 10


def rows(output: Path, folder: Path, log: Log) -> list[CompressionRow]:
    """Returns the rows of all models and datasets. A missing run becomes a row with a reason.

    Args:
        output: The --output folder with the runs.
        folder: Folder for compressed files, which are reused if they exist.
        log: Called with progress messages.
    """
    table: list[CompressionRow] = []
    for dataset in DATASETS:
        for model in MODELS:
            name = f"{model}-{dataset}"
            try:
                table += _of_run(output, folder, name, log)
            except ZooError as error:
                table.append(
                    CompressionRow(part=PART, name=name, reason=reason(error, output, name))
                )
    return table


def _of_run(output: Path, folder: Path, name: str, log: Log) -> list[CompressionRow]:
    run = runs.load(output / "runs" / name)
    dataset = data.of_run(run)
    content = flatbuffer(run, output, dataset)
    log(f"{name}: scoring float32")
    right = scored(content, dataset)
    table = [
        CompressionRow(
            part=PART,
            name=f"{run.config.model} on {DATASETS[run.dataset]}",
            how=f"float32, {run.recipe.epochs} epochs",
            size=size_of(content),
            base=len(content),
            accuracies=(ImageAccuracy(pictures=len(right), top1=float(right.mean())),),
        )
    ]
    search: Search | None = None
    for ratio in RATIOS:
        path = folder / f"{name}-{run.weights_sha256[:12]}-{ratio:g}.tflite"
        if not path.exists():
            search = search or Search(content, sample_images(dataset), name)
            log(f"{name}: quantizing for a container of 1/{ratio:g} of the float32 file")
            quantized = search.to_size(int(len(content) / ratio), packed_size, log)
            write_bytes(path, quantized.content)
        size = size_of(path.read_bytes())
        table.append(
            CompressionRow(
                part=PART,
                name=f"rate–distortion, 1/{len(content) / size.container:.1f} of float32",
                how=f"{IMAGES} training images, no labels, no fine-tuning",
                size=size,
                base=len(content),
                accuracies=(against(scored(path.read_bytes(), dataset), right),),
            )
        )
    return table


def reason(error: ZooError, output: Path, name: str) -> str:
    """Returns why a run has no results. For a missing run, it includes the command to create it.

    Args:
        error: Error raised for the run.
        output: The --output folder with the runs.
        name: Name of the run.
    """
    if (output / "runs" / name / "run.json").exists():
        return str(error)
    return f"no such run, or it is not finished; create it with `{commands()[name]}`"


def flatbuffer(run: Run, output: Path, dataset: data.Dataset) -> bytes:
    """Returns a run as a float32 `.tflite`."""
    model = runs.keras_model(run, output / "runs" / run.name)
    unused = dataset.normalize(dataset.train.images[:1])  # float32 needs no calibration
    return Conversions(model, Calibration.of(unused, of_dataset(dataset))).flatbuffer(BASE)


def scored(content: bytes, dataset: data.Dataset) -> np.ndarray:
    """Returns which test images a file classifies correctly on LiteRT with XNNPACK, bool (n,)."""
    with tempfile.TemporaryDirectory() as scratch, Sandbox("litert") as runner:
        path = Path(scratch, "model.tflite")
        write_bytes(path, content)
        logits = runner.outputs(path, dataset.normalize(dataset.test.images))
    return np.asarray(logits.argmax(axis=1) == dataset.test.labels)
