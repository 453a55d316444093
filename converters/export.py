"""Exports a finished run as `.tflite` files with manifests and result lines."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from converters.conversion import metadata
from converters.conversion.from_keras import CALIBRATION_IMAGES, Conversions
from converters.conversion.manifest import card_of, describe
from converters.conversion.quantize import Calibration
from converters.packing.pack import packed_size
from converters.rate_distortion.conversions import RateConversions, sample_images
from zoo import data, runs
from zoo.catalog import precisions
from zoo.io.files import write_bytes, write_text
from zoo.io.log import Log
from zoo.io.provenance import Provenance
from zoo.pretrained.transfer import of_dataset
from zoo.schema.artifact import Artifact
from zoo.schema.json_files import append_record
from zoo.schema.measurement import ConvertRecord
from zoo.schema.run import Run


def write(
    run: Run,
    requested: Sequence[str],
    output: Path,
    provenance: Provenance,
    log: Log,
    raw_input: bool = False,
    ratio: float | None = None,
) -> list[Artifact]:
    """Converts a run to each requested precision.

    Writes OUTPUT/artifacts/NAME.tflite and NAME.json, and appends to OUTPUT/results.jsonl.

    Args:
        run: Finished run.
        requested: Precisions, see `zoo.catalog.precisions`.
        output: The --output folder.
        provenance: Written to the manifests and the result lines.
        log: Called with one line per file.
        raw_input: Take uint8 pixels as input and normalize them inside the graph.
        ratio: If set, first apply rate–distortion quantization, such that the container of the
            float32 file is this many times smaller than the file. The scheme of the artifacts then
            ends with `rate`.

    Returns:
        The manifests, in the order of `requested`.

    Raises:
        ZooError: if the run does not support a precision, its data is missing, or the converter
            fails. Files that are already written stay; no file is left half-written.
    """
    for precision in requested:
        precisions.check(run, precision, raw_input)
    dataset = data.of_run(run)
    model = runs.keras_model(run, output / "runs" / run.name)
    calibration = _calibration(dataset, raw_input)

    def card_for(precision: str) -> dict[str, Any]:
        return card_of(
            run,
            precision,
            dataset.preprocessing(),
            dataset.labels,
            provenance,
            raw_input,
            ratio is not None,
        )

    if ratio is None:
        raw = of_dataset(dataset) if raw_input else None
        conversions = Conversions(model, calibration, raw)
    else:
        conversions = RateConversions(
            model,
            calibration,
            sample_images(dataset),
            ratio,
            measure=lambda content: packed_size(
                metadata.attach(content, card_for(precisions.BASE))
            ),
            log=log,
        )
    artifacts = []
    for precision in requested:
        start = time.monotonic()
        card = card_for(precision)
        content = metadata.attach(conversions.flatbuffer(precision), card)
        seconds = round(time.monotonic() - start, 1)
        artifact = describe(content, run, precision, card, provenance)
        folder = output / "artifacts"
        write_bytes(folder / f"{artifact.name}.tflite", content)
        write_text(folder / f"{artifact.name}.json", artifact.model_dump_json(indent=1) + "\n")
        append_record(
            output / "results.jsonl",
            ConvertRecord(
                **provenance.fields(),
                model=artifact.name,
                model_sha256=artifact.sha256,
                precision=precision,
                bytes=artifact.bytes,
                gzip_bytes=artifact.gzip_bytes,
                seconds=seconds,
            ),
        )
        log(
            f"{artifact.name}.tflite: {artifact.bytes / 1000:.0f} kB, gzip "
            f"{artifact.gzip_bytes / 1000:.0f} kB, {sum(artifact.operators.values())} operators, "
            f"converted in {seconds:.1f} s"
        )
        artifacts.append(artifact)
    return artifacts


def _calibration(dataset: data.Dataset, raw_input: bool) -> Calibration:
    pixels = dataset.train.images[:CALIBRATION_IMAGES]
    if raw_input:
        return Calibration(pixels.astype(np.float32), 0, 255)
    return Calibration.of(dataset.normalize(pixels), of_dataset(dataset))
