"""From a finished run to `.tflite` files, their manifests and a result line each."""

from __future__ import annotations

import gzip
import time
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path

from converters import flatbuffer, precisions
from converters.convert import CALIBRATION_IMAGES, convert
from zoo import data, runs, runtime
from zoo.files import append_record, write_bytes, write_text
from zoo.provenance import Provenance
from zoo.types import Artifact, ConvertRecord, Run


def export(
    run: Run,
    wanted: Sequence[str],
    output: Path,
    provenance: Provenance,
    say: Callable[[str], None],
) -> list[Artifact]:
    """Converts a run to each precision: OUTPUT/artifacts/NAME.tflite and NAME.json.

    Raises:
        ZooError: a precision that the run can't have, missing data, a refusing converter. Files
            written before stay; none is half-written.
    """
    for precision in wanted:
        precisions.check(run, precision)
    dataset = data.load(run.dataset, run.recipe.image_size, run.recipe.validation_images)
    model = runs.keras_model(run, output / "runs" / run.name)
    calibration = dataset.normalise(dataset.train.images[:CALIBRATION_IMAGES])
    made = []
    for precision in wanted:
        began = time.monotonic()
        content = convert(model, precision, calibration)
        seconds = round(time.monotonic() - began, 1)
        artifact = describe(content, run, precision, dataset, provenance)
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
        say(
            f"{artifact.name}.tflite: {artifact.bytes / 1000:.0f} kB, gzip "
            f"{artifact.gzip_bytes / 1000:.0f} kB, {sum(artifact.operators.values())} operators, "
            f"converted in {seconds:.0f} s"
        )
        made.append(artifact)
    return made


def describe(
    content: bytes, run: Run, precision: str, dataset: data.Dataset, provenance: Provenance
) -> Artifact:
    """The manifest of a flatbuffer; what the file itself tells is read from it, not assumed."""
    name = precisions.artifact_name(run, precision)
    found = flatbuffer.contents(content, name)
    net = runtime.load(content, "litert", "none", threads=1, where=name)
    return Artifact(
        name=name,
        model=run.config.model,
        dataset=run.dataset,
        precision=precision,
        scheme=run.scheme,
        sha256=sha256(content).hexdigest(),
        bytes=len(content),
        gzip_bytes=len(gzip.compress(content, 9, mtime=0)),
        parent_run=run.name,
        parent_sha256=run.weights_sha256,
        inputs=net.inputs(),
        outputs=net.outputs(),
        preprocessing=dataset.preprocessing(),
        labels=dataset.labels,
        operators=found.operators,
        parameters=found.parameters,
        zeros=round(found.zeros, 6),
        validation_accuracy=run.validation_accuracy,
        recipe=run.recipe,
        versions=provenance.versions,
    )
