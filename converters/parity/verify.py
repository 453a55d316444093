"""Artifacts against their Keras networks: a row for each runtime and delegate.

No TensorFlow until the first network is rebuilt.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from converters.parity.difference import Difference, compare
from converters.parity.layers import Layers, Subject, by_layer
from converters.parity.limits import Limits
from converters.parity.reference import Reference, accuracy
from zoo.errors import ZooError
from zoo.io.log import Log
from zoo.runtime.sandbox import Sandbox
from zoo.schema.artifact import Artifact
from zoo.schema.measurement import Placement


@dataclass(frozen=True)
class ParityRow:
    """One artifact in one runtime and with one delegate, against Keras.

    What could not be had is None, and `reasons` says why; they also say which limit is broken.
    Accuracies are shares of the same images, 0 to 1.
    """

    artifact: str
    precision: str
    runtime: str
    runtime_version: str
    delegate: str
    placement: Placement | None = None
    difference: Difference | None = None
    keras_accuracy: float | None = None
    accuracy: float | None = None
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class VerifyPlan:
    """What to verify.

    Attributes:
        output: the folder with `runs/`.
        images: how many of the test split.
        delegates: of `zoo.runtime.interpreter.DELEGATES`.
        limits: by precision.
        every_layer: look at the layers of sound artifacts too.
    """

    output: Path
    images: int
    delegates: Sequence[str]
    limits: Mapping[str, Limits]
    every_layer: bool = False


def verify(
    subjects: Sequence[Subject],
    runners: Sequence[Sandbox],
    plan: VerifyPlan,
    log: Log,
) -> Iterator[ParityRow | Layers]:
    """Yields a row for each subject, runner and delegate; then its layers, where it went wrong.

    A failure is a row with its reason. The network of a run is rebuilt once where its artifacts
    come one after the other. The layers are those in the first runtime where a limit is broken.
    """
    made: Reference | ZooError | None = None
    run = ""
    for subject in subjects:
        artifact = subject.artifact
        if made is None or run != artifact.parent_run + artifact.parent_sha256:
            run = artifact.parent_run + artifact.parent_sha256
            log(f"{artifact.parent_run}: Keras")
            made = _reference(artifact, plan)
        wrong: Sandbox | None = None
        for runner in runners:
            for delegate in plan.delegates:
                log(f"{artifact.name}: {runner.runtime}, {delegate}")
                row = _row(subject, made, runner, delegate, plan.limits)
                yield row
                if row.reasons and row.difference is not None and wrong is None:
                    wrong = runner
        looker = wrong or (runners[0] if plan.every_layer and runners else None)
        limits = plan.limits.get(artifact.precision)
        if looker is not None and limits is not None and isinstance(made, Reference):
            log(f"{artifact.name}: layer by layer")
            yield by_layer(subject, made, looker, limits.sound_db)


def _reference(artifact: Artifact, plan: VerifyPlan) -> Reference | ZooError:
    try:
        return Reference.of(artifact, plan.output, plan.images)
    except ZooError as error:
        return error


def _row(
    subject: Subject,
    reference: Reference | ZooError,
    runner: Sandbox,
    delegate: str,
    limits: Mapping[str, Limits],
) -> ParityRow:
    artifact = subject.artifact
    placement, difference, right = None, None, None
    reasons: tuple[str, ...] = ()
    try:
        if isinstance(reference, ZooError):
            raise reference
        placement = runner.placement(subject.path, delegate)
        logits = runner.outputs(subject.path, subject.given(reference), delegate)
        difference = compare(reference.logits, logits)
        right = accuracy(logits, reference.labels)
        if artifact.precision not in limits:
            raise ZooError(
                f"no limits are known for the precision {artifact.precision}",
                expected=", ".join(limits),
            )
        reasons = limits[artifact.precision].broken(difference)
    except ZooError as error:
        reasons = (str(error),)
    return ParityRow(
        artifact=artifact.name,
        precision=artifact.precision,
        runtime=runner.runtime,
        runtime_version=runner.version,
        delegate=delegate,
        placement=placement,
        difference=difference,
        keras_accuracy=None if isinstance(reference, ZooError) else reference.accuracy,
        accuracy=right,
        reasons=reasons,
    )
