"""Comparison of a `.tflite`'s tensors with the run's float32 file or, without one, with Keras."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from converters.parity.difference import sqnr_db
from converters.parity.graph import ComputedTensor, pair, pair_layers, steps
from converters.parity.localize import LayerError, first_jump, layer_errors
from converters.parity.reference import Reference
from zoo.catalog.precisions import BASE
from zoo.errors import ZooError
from zoo.io.files import MAX_MODEL_BYTES, read_bytes, sha256_of
from zoo.runtime.sandbox import Sandbox
from zoo.schema.artifact import Artifact
from zoo.schema.json_files import read_model

LAYER_IMAGES = 4


@dataclass(frozen=True)
class Subject:
    """A `.tflite` with a verified hash, and its manifest."""

    path: Path
    artifact: Artifact

    def given(self, reference: Reference) -> np.ndarray:
        """Returns the inputs as float32: pixels for uint8 models, otherwise normalized images."""
        if self.artifact.inputs and self.artifact.inputs[0].dtype == "uint8":
            return reference.pixels.astype(np.float32)
        return reference.images

    def graph(self) -> tuple[ComputedTensor, ...]:
        """Returns the computed tensors in execution order."""
        data = read_bytes(self.path, "the model", MAX_MODEL_BYTES, "convert the model again")
        return steps(data, self.path.name)


@dataclass(frozen=True)
class Layers:
    """Errors of a file's tensors, computed with plain kernels.

    Attributes:
        artifact: Name of the artifact.
        runtime: Runtime that ran it.
        against: Name of the reference, for display.
        errors: Errors of the comparable tensors, in execution order.
        computed: Number of tensors that the file computes.
        first: Layer where the error begins; None if it does not jump anywhere.
        reason: Why no tensor was compared; empty if `errors` is not.
    """

    artifact: str
    runtime: str
    against: str
    errors: tuple[LayerError, ...] = ()
    computed: int = 0
    first: LayerError | None = None
    reason: str = ""


def by_layer(subject: Subject, reference: Reference, runner: Sandbox, sound_db: float) -> Layers:
    """Compares all tensors that have a counterpart, on the first `LAYER_IMAGES` images.

    A failure is reported in `Layers.reason`.

    Args:
        subject: File to compare.
        reference: Its Keras network and the images.
        runner: Runs the file and, if there is one, the float32 file.
        sound_db: See `Limits.sound_db`.
    """
    other = _float32(subject)
    against = "the Keras layers" if other is None else other.artifact.name
    try:
        graph = subject.graph()
        if other is None:
            sqnr = _to_keras(subject, graph, reference, runner)
        else:
            sqnr = _to_file(subject, graph, other, reference, runner)
        errors = layer_errors(graph, sqnr, sound_db)
    except ZooError as error:
        return Layers(subject.artifact.name, runner.runtime, against, reason=str(error))
    return Layers(
        subject.artifact.name,
        runner.runtime,
        against,
        tuple(errors),
        len(graph),
        first_jump(errors),
        "" if errors else "no tensor name identifies a layer",
    )


def _float32(subject: Subject) -> Subject | None:
    """Returns the run's float32 file in the same folder if its hash matches its manifest."""
    artifact = subject.artifact
    if artifact.precision == BASE:
        return None
    for manifest in sorted(subject.path.parent.glob("*.json")):
        try:
            other = read_model(manifest, Artifact, "the manifest", "convert the model again")
            path = manifest.with_suffix(".tflite")
            if (other.precision, other.parent_sha256) != (BASE, artifact.parent_sha256):
                continue
            if sha256_of(path) == other.sha256:
                return Subject(path, other)
        except (ZooError, OSError):  # a broken neighbor must not fail this artifact
            continue
    return None


def _to_file(
    subject: Subject,
    graph: Sequence[ComputedTensor],
    other: Subject,
    reference: Reference,
    runner: Sandbox,
) -> dict[str, float]:
    pairs = pair(graph, other.graph())
    ours: dict[str, list[np.ndarray]] = {name: [] for name in pairs}
    theirs: dict[str, list[np.ndarray]] = {name: [] for name in pairs}
    inputs = zip(subject.given(reference), other.given(reference), strict=True)
    for (image, their_image), _ in zip(inputs, range(LAYER_IMAGES), strict=False):
        values = runner.tensors(subject.path, image, constants=False)
        expected = runner.tensors(other.path, their_image, constants=False)
        for name, their_name in pairs.items():
            if name in values and their_name in expected:
                ours[name].append(values[name])
                theirs[name].append(expected[their_name])
    return _sqnr(ours, theirs)


def _to_keras(
    subject: Subject, graph: Sequence[ComputedTensor], reference: Reference, runner: Sandbox
) -> dict[str, float]:
    ours: dict[str, list[np.ndarray]] = {}
    theirs: dict[str, list[np.ndarray]] = {}
    for number, image in enumerate(subject.given(reference)[:LAYER_IMAGES]):
        values = runner.tensors(subject.path, image, constants=False)
        expected = dict(reference.layer_outputs(number))
        shapes = {name: value.shape for name, value in values.items()}
        layers = {name: value.shape for name, value in expected.items()}
        for name, layer in pair_layers(graph, shapes, layers).items():
            ours.setdefault(name, []).append(values[name])
            theirs.setdefault(name, []).append(expected[layer])
    return _sqnr(ours, theirs)


def _sqnr(
    ours: dict[str, list[np.ndarray]], theirs: dict[str, list[np.ndarray]]
) -> dict[str, float]:
    return {
        name: sqnr_db(np.stack(theirs[name]), np.stack(values))
        for name, values in ours.items()
        if values and values[0].shape == theirs[name][0].shape
    }
