"""Comparison of artifacts with their Keras networks for every runtime and delegate.

TensorFlow is not imported until the first network is rebuilt.
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
from zoo.runtime import engines
from zoo.runtime.npu_compiler import DEFAULT_SOC
from zoo.runtime.sandbox import Sandbox
from zoo.schema.artifact import Artifact
from zoo.schema.measurement import Placement


@dataclass(frozen=True)
class ParityRow:
    """Comparison of an artifact with Keras in one runtime with one delegate.

    Values that could not be determined are None. `reasons` lists the failure or the violated
    limits. Both accuracies are top-1 on the same images, 0 to 1.
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
    """Settings of a verification.

    Attributes:
        output: Folder that contains `runs/`.
        images: Number of test images.
        delegates: Names from `zoo.runtime.engines.DELEGATES`.
        limits: Limits by precision name.
        every_layer: Whether to also compare the layers of artifacts within their limits.
        soc: SoC whose NPU is emulated, a key of `zoo.runtime.npu_compiler.SOCS`.
    """

    output: Path
    images: int
    delegates: Sequence[str]
    limits: Mapping[str, Limits]
    every_layer: bool = False
    soc: str = DEFAULT_SOC


def verify(
    subjects: Sequence[Subject],
    runners: Sequence[Sandbox],
    plan: VerifyPlan,
    log: Log,
) -> Iterator[ParityRow | Layers]:
    """Yields a row for each subject, runner and delegate, and the layers of failing subjects.

    A failure yields a row with its reason. The network of a run is rebuilt only once if the
    artifacts of the run are consecutive. Layers are compared in the first runtime that violates a
    limit.

    Args:
        subjects: Artifacts to verify.
        runners: One sandbox per runtime.
        plan: Settings of the verification.
        log: Called with each progress message.
    """
    reference: Reference | ZooError | None = None
    run = ""
    for subject in subjects:
        artifact = subject.artifact
        if reference is None or run != artifact.parent_run + artifact.parent_sha256:
            run = artifact.parent_run + artifact.parent_sha256
            log(f"{artifact.parent_run}: running the Keras network")
            reference = _reference(artifact, plan)
        failing: Sandbox | None = None
        for runner in runners:
            for delegate in engines.delegates(runner.runtime, plan.delegates, plan.soc):
                log(f"{artifact.name}: {runner.runtime}, {delegate}")
                row = _row(subject, reference, runner, delegate, plan.limits)
                yield row
                if row.reasons and row.difference is not None and failing is None:
                    failing = runner
        layer_runner = failing or (runners[0] if plan.every_layer and runners else None)
        limits = plan.limits.get(artifact.precision)
        if layer_runner is not None and limits is not None and isinstance(reference, Reference):
            log(f"{artifact.name}: comparing layer by layer")
            yield by_layer(subject, reference, layer_runner, limits.sound_db)


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
    placement, difference, top1 = None, None, None
    reasons: tuple[str, ...] = ()
    try:
        if isinstance(reference, ZooError):
            raise reference
        placement = runner.placement(subject.path, delegate)
        logits = runner.outputs(subject.path, subject.given(reference), delegate)
        difference = compare(reference.logits, logits)
        top1 = accuracy(logits, reference.labels)
        if artifact.precision not in limits:
            raise ZooError(
                f"no limits are defined for precision {artifact.precision!r}",
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
        accuracy=top1,
        reasons=reasons,
    )
