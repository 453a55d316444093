"""What a converted file says about itself, and the manifest beside it."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from converters.conversion import precisions
from converters.tflite import counts
from zoo import runtime
from zoo.catalog import model_spec
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
    """What a file says about itself, see `converters.conversion.metadata`."""
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
    content: bytes, run: Run, precision: str, told: dict[str, Any], provenance: Provenance
) -> Artifact:
    """The manifest of a flatbuffer; what the file itself tells is read from it, not assumed."""
    name = told["name"]
    found = counts.contents(content, name)
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
