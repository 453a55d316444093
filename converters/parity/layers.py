"""Every tensor of a `.tflite` against its reference: the float32 file of the run, else Keras."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from converters.parity.difference import sqnr_db
from converters.parity.graph import ComputedTensor, pair, pair_layers, steps
from converters.parity.localize import LayerError, first_jump, layer_errors
from converters.parity.reference import Reference
from zoo.errors import ZooError
from zoo.io.files import MAX_MODEL_BYTES, read_bytes, sha256_of
from zoo.runtime.sandbox import Sandbox
from zoo.schema.artifact import Artifact
from zoo.schema.json_files import read_model

LAYER_IMAGES = 4


@dataclass(frozen=True)
class Subject:
    """A `.tflite` whose hash was checked, and its manifest."""

    path: Path
    artifact: Artifact

    def given(self, reference: Reference) -> np.ndarray:
        """What its input gets, float32: pixels where it takes uint8, else normalized images."""
        if self.artifact.inputs and self.artifact.inputs[0].dtype == "uint8":
            return reference.pixels.astype(np.float32)
        return reference.images

    def graph(self) -> tuple[ComputedTensor, ...]:
        """The tensors that it computes."""
        data = read_bytes(self.path, "the model", MAX_MODEL_BYTES, "convert the model again")
        return steps(data, self.path.name)


@dataclass(frozen=True)
class Layers:
    """The errors of a file's tensors, with plain kernels, in execution order.

    Attributes:
        artifact: its name.
        runtime: which ran it.
        against: what it was compared with, in words.
        errors: of the tensors that could be compared.
        computed: how many tensors the file computes.
        first: where the error begins, None where it nowhere jumps.
        reason: why there are no errors; empty where there are.
    """

    artifact: str
    runtime: str
    against: str
    errors: tuple[LayerError, ...] = ()
    computed: int = 0
    first: LayerError | None = None
    reason: str = ""


def by_layer(subject: Subject, reference: Reference, runner: Sandbox, sound_db: float) -> Layers:
    """Compares all tensors whose counterpart is known, over the first few images.

    A failure is told in `reason`.

    Args:
        subject: the file.
        reference: its Keras network.
        runner: what runs it, and the float32 file.
        sound_db: see `Limits`.
    """
    other = _float32(subject)
    against = "Keras' layers" if other is None else other.artifact.name
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
        "" if errors else "no tensor's name tells which layer it belongs to",
    )


def _float32(subject: Subject) -> Subject | None:
    """The float32 file of the same run that lies beside it, if it is what its manifest says."""
    own = subject.artifact
    if own.precision == "float32":
        return None
    for manifest in sorted(subject.path.parent.glob("*.json")):
        try:
            other = read_model(manifest, Artifact, "the manifest", "convert the model again")
            path = manifest.with_suffix(".tflite")
            if (other.precision, other.parent_sha256) != ("float32", own.parent_sha256):
                continue
            if sha256_of(path) == other.sha256:
                return Subject(path, other)
        except (ZooError, OSError):  # another artifact's trouble
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
        found = runner.tensors(subject.path, image, constants=False)
        wanted = runner.tensors(other.path, their_image, constants=False)
        for name, their_name in pairs.items():
            if name in found and their_name in wanted:
                ours[name].append(found[name])
                theirs[name].append(wanted[their_name])
    return _sqnr(ours, theirs)


def _to_keras(
    subject: Subject, graph: Sequence[ComputedTensor], reference: Reference, runner: Sandbox
) -> dict[str, float]:
    ours: dict[str, list[np.ndarray]] = {}
    theirs: dict[str, list[np.ndarray]] = {}
    for number, image in enumerate(subject.given(reference)[:LAYER_IMAGES]):
        found = runner.tensors(subject.path, image, constants=False)
        wanted = dict(reference.layer_outputs(number))
        shapes = {name: value.shape for name, value in found.items()}
        layers = {name: value.shape for name, value in wanted.items()}
        for name, layer in pair_layers(graph, shapes, layers).items():
            ours.setdefault(name, []).append(found[name])
            theirs.setdefault(name, []).append(wanted[layer])
    return _sqnr(ours, theirs)


def _sqnr(
    ours: dict[str, list[np.ndarray]], theirs: dict[str, list[np.ndarray]]
) -> dict[str, float]:
    return {
        name: sqnr_db(np.stack(theirs[name]), np.stack(values))
        for name, values in ours.items()
        if values and values[0].shape == theirs[name][0].shape
    }
