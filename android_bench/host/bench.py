"""Times and scores cases on this computer, each in a child process."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from android_bench.host.worker import ScoreAnswer, ScoreRequest, TimingAnswer, TimingRequest
from android_bench.power import rapl
from android_bench.power.energy import Window
from android_bench.power.gauge import PowerProblem
from android_bench.power.metered import Metering
from android_bench.power.rapl import POWERCAP
from android_bench.tasks.cases import Case
from android_bench.tasks.schedule import Eta, Task
from zoo import runtime
from zoo.errors import ZooError, one_line
from zoo.io.log import Log
from zoo.io.provenance import Provenance
from zoo.runtime.child import Child
from zoo.runtime.host import device
from zoo.schema.artifact import Artifact
from zoo.schema.measurement import (
    Accuracy,
    Configuration,
    Energy,
    Measurement,
)

_TIMEOUT_S = 900  # scoring 10,000 images on plain int8 kernels of an old runtime takes minutes
A = TypeVar("A", TimingAnswer, ScoreAnswer)


@dataclass(frozen=True)
class HostTiming:
    """Run lengths of one process: at least `num_runs` inferences and `min_secs` seconds.

    Attributes:
        num_runs: Minimum number of timed inferences.
        min_secs: Minimum duration of the timed run in s.
        warmup_secs: Duration of the warm-up in s.
    """

    num_runs: int = 50
    min_secs: float = 0.5
    warmup_secs: float = 0.2


def measure(
    tasks: Sequence[Task],
    timing: HostTiming,
    provenance: Provenance,
    log: Log,
    metering: Metering | None = None,
    powercap: Path = POWERCAP,
) -> Iterator[Measurement]:
    """Runs each task in its own process and yields one row per task, also for failures.

    Args:
        tasks: Tasks to run, in order.
        timing: Run lengths.
        provenance: Added to every row.
        log: Called with each progress message.
        metering: Energy measurement in the first process of each case; None for none.
        powercap: Folder with the RAPL counters.
    """
    metered_s = metering.load_s + 2 * metering.idle_s if metering else 0.0
    plain_s = 1.5 + timing.warmup_secs + timing.min_secs
    pace = Eta([plain_s + (metered_s if task.number == 1 else 0.0) for task in tasks])
    for number, task in enumerate(tasks, start=1):
        case = task.case
        log(
            f"[{number}/{len(tasks)}] timing {case.model}, {case.configuration.runtime}, "
            f"{case.configuration.delegate}{pace.left(number - 1)}"
        )
        latency, placement, energy, no_energy = None, None, None, None
        reasons: tuple[str, ...] = ()
        try:
            if metering is not None and task.number == 1:
                answer, energy, no_energy = _metered(case, timing, metering, powercap)
            else:
                answer = _ask(case, _request(case, timing), TimingAnswer)
            latency, placement = answer.latency, answer.placement
        except ZooError as error:
            reasons = (str(error),)
        yield Measurement(
            **provenance.fields(),
            **task.fields,
            model=case.model,
            model_sha256=case.sha256,
            precision=case.precision,
            device=device(),
            configuration=_with_version(case.configuration),
            placement=placement,
            latency=latency,
            energy=energy,
            no_energy=no_energy,
            valid=latency is not None,
            reasons=reasons,
        )


def score(case: Case, artifact: Artifact, provenance: Provenance) -> Accuracy:
    """Scores a case on the whole test split of its dataset; a failure becomes an invalid row."""
    top1: float | None = None
    correct: str | None = None
    images, placement = 0, None
    reasons: tuple[str, ...] = ()
    try:
        split = test_split(artifact)
        request = _request(case, HostTiming()).model_copy(update={"score": split})
        answer = _ask(case, request, ScoreAnswer)
        top1, images, correct = answer.top1, answer.images, answer.correct
        placement = answer.placement
    except ZooError as error:
        reasons = (str(error),)
    return Accuracy(
        **provenance.fields(),
        model=case.model,
        model_sha256=case.sha256,
        precision=case.precision,
        dataset=artifact.dataset,
        split="test",
        images=images,
        top1=top1,
        correct=correct,
        device=device(),
        configuration=_with_version(case.configuration),
        placement=placement,
        valid=top1 is not None,
        reasons=reasons,
    )


def test_split(artifact: Artifact) -> ScoreRequest:
    """Returns the test split that a model is scored on, and its normalization.

    Raises:
        ZooError: if the manifest lacks this information.
    """
    try:
        return ScoreRequest(
            dataset=artifact.dataset,
            image_size=artifact.inputs[0].shape[1],
            validation_images=artifact.recipe.validation_images,
            data_dir=artifact.recipe.data_dir,
            skip_broken=artifact.recipe.skip_broken,
            mean=artifact.preprocessing["mean"][0],
            std=artifact.preprocessing["std"][0],
            labels=artifact.labels,
        )
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise ZooError(
            f"the manifest does not say how to score the model: {one_line(error)}",
            where=artifact.name,
        ) from error


def _metered(
    case: Case, timing: HostTiming, metering: Metering, powercap: Path
) -> tuple[TimingAnswer, Energy | None, str | None]:
    """Returns (timing, energy, None), or (timing, None, reason) if there is no energy.

    Raises:
        ZooError: if the worker rejects the model, crashes, times out or sends an invalid answer.
    """
    try:
        recording = rapl.Recording(rapl.Rapl(powercap))
    except PowerProblem as problem:  # without counters a normal, short run is enough
        return _ask(case, _request(case, timing), TimingAnswer), None, str(problem)
    longer = replace(timing, min_secs=max(timing.min_secs, metering.load_s))
    with recording:
        start_s = time.monotonic()
        time.sleep(metering.idle_s)
        idle = Window(start_s, time.monotonic())
        answer = _ask(case, _request(case, longer), TimingAnswer)
        end_s = time.monotonic()
        time.sleep(metering.idle_s + rapl.SETTLING_S)
        after = Window(end_s, time.monotonic())
    try:
        load = Window(*answer.inferences)
        return answer, rapl.energy(recording, idle, load, after, answer.latency.runs), None
    except PowerProblem as problem:
        return answer, None, str(problem)


def _request(case: Case, timing: HostTiming) -> TimingRequest:
    return TimingRequest(
        path=str(case.path.resolve()),  # the worker starts in another folder
        sha256=case.sha256,
        runtime=case.configuration.runtime,
        delegate=case.configuration.delegate,
        threads=case.configuration.threads,
        num_runs=timing.num_runs,
        min_secs=timing.min_secs,
        warmup_secs=timing.warmup_secs,
    )


def _ask(case: Case, request: TimingRequest, kind: type[A]) -> A:
    name = f"the process with {case.configuration.runtime}"
    with Child("android_bench.host.worker", name=name, timeout_s=_TIMEOUT_S) as child:
        return child.ask(request, kind, case.path.name)


def _with_version(configuration: Configuration) -> Configuration:
    try:
        version = runtime.version(configuration.runtime)
    except ZooError:
        version = "not installed"
    return configuration.model_copy(update={"runtime_version": version})
