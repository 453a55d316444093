"""From a finished run to `.tflite` files, their manifests and a result line each."""

from __future__ import annotations

import gzip
import time
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from converters import card, flatbuffer, precisions
from converters.container.packing import packed_size
from converters.convert import CALIBRATION_IMAGES, Conversions
from converters.quantise import Calibration
from converters.rate.conversions import RateConversions, pictures
from zoo import data, runs, runtime
from zoo.catalog import model_spec
from zoo.files import write_bytes, write_text
from zoo.provenance import Provenance
from zoo.records import append_record
from zoo.results import ConvertRecord
from zoo.transfer import of_dataset
from zoo.types import Artifact, Run


def write(
    run: Run,
    wanted: Sequence[str],
    output: Path,
    provenance: Provenance,
    say: Callable[[str], None],
    raw_input: bool = False,
    ratio: float | None = None,
) -> list[Artifact]:
    """Converts a run to each precision: OUTPUT/artifacts/NAME.tflite and NAME.json.

    Args:
        run: finished.
        wanted: precisions.
        output: the --output folder.
        provenance: goes into the manifest and the result line.
        say: gets a line for each file.
        raw_input: take pixels.
        ratio: first quantise for rate and distortion, so that the float32 file's container is that
            many times smaller than the file; the artifacts' scheme then ends with `rate`.

    Raises:
        ZooError: a precision that the run can't have, missing data, a refusing converter. Files
            written before stay; none is half-written.
    """
    for precision in wanted:
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
            pictures(dataset),
            ratio,
            measure=lambda content: packed_size(card.attach(content, card_for("float32"))),
            say=say,
        )
    made = []
    for precision in wanted:
        began = time.monotonic()
        told = card_for(precision)
        content = card.attach(conversions.flatbuffer(precision), told)
        seconds = round(time.monotonic() - began, 1)
        artifact = describe(content, run, precision, told, provenance)
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
            f"converted in {seconds:.1f} s"
        )
        made.append(artifact)
    return made


def _calibration(dataset: data.Dataset, raw_input: bool) -> Calibration:
    pixels = dataset.train.images[:CALIBRATION_IMAGES]
    if raw_input:
        return Calibration(pixels.astype(np.float32), 0, 255)
    return Calibration.of(dataset.normalise(pixels), of_dataset(dataset))


def card_of(
    run: Run,
    precision: str,
    preprocessing: dict[str, Any],
    labels: Sequence[str],
    provenance: Provenance,
    raw_input: bool = False,
    rate: bool = False,
) -> dict[str, Any]:
    """What a file says about itself, see `converters.card`."""
    spec = model_spec(run.config.model)
    if raw_input:
        nothing = {"formula": "none: whole pixels, 0..255", "mean": [0.0], "std": [1.0]}
        preprocessing = {**preprocessing, **nothing}
    name = precisions.artifact_name(run, precision, raw_input, rate)
    return {
        "name": name,
        "description": f"{spec.name} for {run.dataset}, {precision}; {spec.paper}",
        "model": spec.name,
        "paper": spec.paper,
        "licence": f"the architecture's public code: {spec.licence}",
        "dataset": run.dataset,
        "precision": precision,
        "scheme": [*run.scheme, *(["rate"] if rate else [])],
        "output": "logits, before the soft-max",
        "labels": list(labels),
        "preprocessing": preprocessing,
        "metrics": {"validation_accuracy_in_keras": run.validation_accuracy},
        "parent_run": run.name,
        "parent_sha256": run.weights_sha256,
        "versions": provenance.versions,
    }


def describe(
    content: bytes, run: Run, precision: str, told: dict[str, Any], provenance: Provenance
) -> Artifact:
    """The manifest of a flatbuffer; what the file itself tells is read from it, not assumed."""
    name = told["name"]
    found = flatbuffer.contents(content, name)
    net = runtime.load(content, "litert", "none", threads=1, where=name)
    return Artifact(
        name=name,
        model=run.config.model,
        dataset=run.dataset,
        precision=precision,
        scheme=tuple(told["scheme"]),
        sha256=sha256(content).hexdigest(),
        bytes=len(content),
        gzip_bytes=len(gzip.compress(content, 9, mtime=0)),
        parent_run=run.name,
        parent_sha256=run.weights_sha256,
        inputs=net.inputs(),
        outputs=net.outputs(),
        preprocessing=told["preprocessing"],
        labels=told["labels"],
        operators=found.operators,
        parameters=found.parameters,
        zeros=round(found.zeros, 6),
        validation_accuracy=run.validation_accuracy,
        recipe=run.recipe,
        versions=provenance.versions,
    )
