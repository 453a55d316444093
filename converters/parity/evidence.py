"""Evidence that an artifact computes on each engine what it computes on the CPU.

A line of evidence is an `EngineCheck`, keyed by the SHA-256 of the file, the engine with its
version and delegate, and `METHOD`. A file that was converted anew, or a newer engine, needs new
evidence.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from converters.parity import engines
from converters.parity.engines import EngineRow, Inputs
from converters.parity.layers import Subject
from converters.parity.tensor_inputs import model_bytes, sampled
from zoo.catalog import precisions
from zoo.io.log import Log
from zoo.io.provenance import Provenance
from zoo.runtime.engines import INTERPRETERS
from zoo.runtime.host import device
from zoo.runtime.sandbox import Sandbox
from zoo.schema.engine_check import EngineCheck
from zoo.schema.measurement import Configuration, Record

METHOD = 1  # counts up when what is compared, or on which images, changes
MIN_IMAGES = 500  # of a test split that has as many

Key = tuple[str, str, str, str, int]


def meant_for(precision: str, runtime: str) -> bool:
    """Whether files of a precision are meant for an engine; every file is for interpreters."""
    return runtime in INTERPRETERS or runtime in precisions.precision(precision).engines


@dataclass(frozen=True)
class Case:
    """One artifact on one engine."""

    subject: Subject
    runner: Sandbox
    delegate: str

    @property
    def key(self) -> Key:
        """What evidence of the case is found by."""
        sha256 = self.subject.artifact.sha256
        return (sha256, self.runner.runtime, self.runner.version, self.delegate, METHOD)


def key(check: EngineCheck) -> Key:
    """Returns what a line of evidence is found by."""
    ran = check.configuration
    return (check.model_sha256, ran.runtime, ran.runtime_version, ran.delegate, check.method)


def latest(records: Iterable[Record]) -> dict[Key, EngineCheck]:
    """Returns the last line of evidence for each key, from result lines in file order."""
    return {key(record): record for record in records if isinstance(record, EngineCheck)}


def missing(
    cases: Sequence[Case], records: Iterable[Record], images: int
) -> list[tuple[Subject, list[Case]]]:
    """Returns the cases without evidence, grouped by artifact.

    Args:
        cases: What is to be proven.
        records: Result lines.
        images: Number of test images, capped at the size of the test split; lines on fewer do not
            count, unless the engine could not run the file.
    """
    done = {
        found for found, line in latest(records).items() if line.images >= images or not line.valid
    }
    groups: dict[str, tuple[Subject, list[Case]]] = {}
    for case in cases:
        if case.key not in done:
            subject = case.subject
            groups.setdefault(subject.artifact.name, (subject, []))[1].append(case)
    return list(groups.values())


def prove(
    subject: Subject,
    cases: Sequence[Case],
    cpu: Sandbox,
    images: int,
    provenance: Provenance,
    log: Log,
) -> Iterator[EngineCheck]:
    """Yields a line for each case of one artifact.

    Args:
        subject: The artifact.
        cases: Its cases.
        cpu: Sandbox of LiteRT's interpreter.
        images: Number of test images, capped at the size of the test split.
        provenance: Added to every line.
        log: Called with each progress message.

    Raises:
        ZooError: if the dataset is missing, or the CPU can't run the file.
    """
    artifact = subject.artifact
    chosen = sampled(artifact, model_bytes(subject.path), images)
    inputs = Inputs([chosen.images], chosen.labels)
    beyond = engines.beyond_float16(subject.path, inputs.values, cpu)
    runners = [(case.runner, case.delegate) for case in cases]
    for row in engines.compare(subject.path, inputs, cpu, runners, log):
        yield EngineCheck(
            **provenance.fields(),
            model=artifact.name,
            model_sha256=artifact.sha256,
            precision=artifact.precision,
            dataset=artifact.dataset,
            images=row.inferences,
            test_images=chosen.of,
            method=METHOD,
            device=device(),
            configuration=Configuration(
                runtime=row.runtime,
                runtime_version=row.version,
                delegate=row.delegate,
                threads=1,
            ),
            placement=row.placement,
            agreement=row.agreement,
            top1=row.top1,
            cpu_top1=row.cpu_top1,
            cpu_version=cpu.version,
            sqnr_db=_finite(row),
            largest_difference=row.largest,
            first_wrong=row.first,
            beyond_float16=beyond,
            valid=row.agreement is not None,
            reasons=row.reasons,
        )


def _finite(row: EngineRow) -> float | None:
    return row.sqnr_db if row.sqnr_db is not None and math.isfinite(row.sqnr_db) else None
