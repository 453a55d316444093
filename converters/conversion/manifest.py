"""Builds the card inside a converted file and the manifest next to it."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from converters.tflite import counts
from zoo import runtime
from zoo.catalog import model_spec, precisions
from zoo.io.provenance import Provenance
from zoo.schema.artifact import Artifact
from zoo.schema.run import Run


def card_of(
    run: Run,
    precision: str,
    preprocessing: dict[str, Any],
    labels: Sequence[str],
    provenance: Provenance,
    raw_input: bool = False,
    rate: bool = False,
) -> dict[str, Any]:
    """Returns the card to embed in a converted file, see `converters.conversion.metadata`.

    Args:
        run: Converted run.
        precision: One of `zoo.catalog.precisions`.
        preprocessing: Keys `channels`, `geometry`, `formula`, `mean` and `std`.
        labels: Class names, in output order.
        provenance: Supplies the package versions.
        raw_input: Whether the file takes uint8 pixels and normalizes them itself.
        rate: Whether the weights went through rate–distortion quantization.
    """
    spec = model_spec(run.config.model)
    if raw_input:
        identity = {"formula": "none: whole pixels, 0..255", "mean": [0.0], "std": [1.0]}
        preprocessing = {**preprocessing, **identity}
    name = precisions.artifact_name(run, precision, raw_input, rate)
    return {
        "name": name,
        "description": f"{spec.name} for {run.dataset}, {precision}; {spec.paper}",
        "model": spec.name,
        "paper": spec.paper,
        "license": f"the architecture's public code: {spec.license}",
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
    content: bytes, run: Run, precision: str, card: dict[str, Any], provenance: Provenance
) -> Artifact:
    """Returns the manifest of a flatbuffer.

    Operators, parameters and tensor descriptions are read back from the file.

    Args:
        content: Flatbuffer with its card.
        run: Converted run.
        precision: Precision of the file.
        card: The card in the file, see `card_of`.
        provenance: Supplies the package versions.
    """
    name = card["name"]
    summary = counts.contents(content, name)
    net = runtime.load(content, "litert", "none", threads=1, where=name)
    return Artifact(
        name=name,
        model=run.config.model,
        dataset=run.dataset,
        precision=precision,
        scheme=tuple(card["scheme"]),
        sha256=sha256(content).hexdigest(),
        bytes=len(content),
        gzip_bytes=len(gzip.compress(content, 9, mtime=0)),
        parent_run=run.name,
        parent_sha256=run.weights_sha256,
        inputs=net.inputs(),
        outputs=net.outputs(),
        preprocessing=card["preprocessing"],
        labels=card["labels"],
        operators=summary.operators,
        parameters=summary.parameters,
        zeros=round(summary.zeros, 6),
        validation_accuracy=run.validation_accuracy,
        recipe=run.recipe,
        versions=provenance.versions,
    )
