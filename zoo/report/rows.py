"""Turns result lines and manifests into the rows of the report. Pure functions.

Rules:

* All processes of a case count as one line.
* Of several lines for the same file, device, runtime, delegate, thread count and cores, the latest
  one wins, even if it failed.
* A line about an older version of a file (its SHA-256 differs from the manifest's) is stale: it is
  counted, not shown.
* A failed case keeps its cell and its reason; it is never shown as a number.
* The accuracy of a released file that has no valid one here is that of its manifest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from zoo.report.wording import (
    MOST_IMAGES,
    CaseResult,
    Setup,
    age_order,
    case_of,
    clean,
    failure_of,
    setup_of,
)
from zoo.schema.artifact import Artifact
from zoo.schema.measurement import Accuracy, ConvertRecord, Measurement, Record, TrainRecord
from zoo.schema.processes import by_case

MOST_BYTES = 2**40


@dataclass(frozen=True)
class TimedResult:
    """One timed case: `latency_ms`, or the reason in `failure` if that is None."""

    record: Measurement
    latency_ms: float | None
    failure: str


@dataclass(frozen=True)
class ScoredResult:
    """The accuracy of a file: `top1` (0 to 1), or the reason in `failure` if that is None.

    `record` is None if the accuracy is from the file's manifest.
    """

    record: Accuracy | None
    top1: float | None
    images: int = 0
    failure: str = ""


@dataclass(frozen=True)
class ReportRow:
    """One `.tflite` with its current results.

    Attributes:
        name: Display name: one line, no control characters.
        precision: From the manifest, else from the result lines.
        dataset: Dataset it was trained on; empty if unknown.
        sha256: SHA-256 of the file.
        artifact: Manifest; None for a file that was measured without one.
        size_bytes, gzip_bytes: None without a manifest or a conversion line.
        score: Accuracy on the test split, measured or from the manifest; None if there is none.
        outcomes: (setup, delegate) → timing result.
        results: Current result lines, oldest first.
    """

    name: str
    precision: str
    dataset: str
    sha256: str
    artifact: Artifact | None
    size_bytes: int | None
    gzip_bytes: int | None
    score: ScoredResult | None
    outcomes: Mapping[tuple[Setup, str], TimedResult]
    results: tuple[CaseResult | ConvertRecord, ...]


@dataclass(frozen=True)
class Report:
    """The content of the table and the page.

    Attributes:
        rows: Sorted by dataset, then by size with gzip, largest first.
        setups: Setup → delegates tried in it; hosts first.
        training: Latest line of each training or compression run.
        current: All lines shown, oldest first.
        stale: Number of lines about an older version of a file.
        superseded: Number of lines replaced by a later one.
        problems: Messages about unusable lines and manifests.
    """

    rows: tuple[ReportRow, ...]
    setups: Mapping[Setup, tuple[str, ...]]
    training: tuple[TrainRecord, ...]
    current: tuple[Record, ...]
    stale: int
    superseded: int
    problems: tuple[str, ...] = field(default=())


def build(
    records: Sequence[Record], artifacts: Iterable[Artifact], problems: Sequence[str] = ()
) -> Report:
    """Selects the current lines and groups them by artifact.

    Args:
        records: All result lines, in file order.
        artifacts: Manifests.
        problems: Messages about lines and manifests that could not be read.
    """
    in_order = by_case(sorted(records, key=age_order))
    by_name = {artifact.name: artifact for artifact in sorted(artifacts, key=lambda a: a.name)}
    by_sha256 = {artifact.sha256: artifact for artifact in reversed(by_name.values())}
    unlisted: dict[str, str] = {}  # name → latest SHA-256, for files without a manifest
    for record in in_order:
        if record.model not in by_name and isinstance(record, CaseResult):
            unlisted[record.model] = record.model_sha256

    latest: dict[tuple[object, ...], tuple[str, CaseResult | ConvertRecord]] = {}
    training: dict[tuple[object, ...], TrainRecord] = {}
    stale = used = 0
    for record in in_order:
        used += 1
        if isinstance(record, TrainRecord):
            _renew(training, (record.model, record.kind, record.scheme), record)
        elif isinstance(record, (CaseResult, ConvertRecord)):
            owner = _owner(record, by_name, by_sha256, unlisted)
            if owner is None:
                stale += 1
            else:
                _renew(latest, (owner, *case_of(record)), (owner, record))
    results: dict[str, list[CaseResult | ConvertRecord]] = {name: [] for name in by_name}
    for owner, result in latest.values():
        results.setdefault(owner, []).append(result)

    rows = [_row(name, by_name.get(name), lines) for name, lines in results.items()]
    current = [*training.values(), *(result for _, result in latest.values())]
    return Report(
        rows=tuple(sorted(rows, key=lambda r: (r.dataset, -(r.gzip_bytes or 0), r.name))),
        setups=_setups(rows),
        training=tuple(training.values()),
        current=tuple(sorted(current, key=age_order)),
        stale=stale,
        superseded=used - stale - len(current),
        problems=tuple(clean(problem, 600) for problem in problems),
    )


def _owner(
    record: CaseResult | ConvertRecord,
    by_name: Mapping[str, Artifact],
    by_sha256: Mapping[str, Artifact],
    unlisted: Mapping[str, str],
) -> str | None:
    """Returns the name of a line's row; None if the line is about another version."""
    if record.model in by_name:
        return record.model if by_name[record.model].sha256 == record.model_sha256 else None
    if record.model_sha256 in by_sha256:  # a copy of a known file under another name
        return by_sha256[record.model_sha256].name
    return record.model if unlisted.get(record.model) == record.model_sha256 else None


def _renew(lines: dict[tuple[object, ...], Any], key: tuple[object, ...], value: Any) -> None:
    lines.pop(key, None)  # keeps the dictionary in chronological order
    lines[key] = value


def _row(
    name: str, artifact: Artifact | None, lines: Sequence[CaseResult | ConvertRecord]
) -> ReportRow:
    converted = next((line for line in lines if isinstance(line, ConvertRecord)), None)
    sizes = artifact or converted
    score = _headline_score(artifact, [line for line in lines if isinstance(line, Accuracy)])
    if score is None or score.top1 is None:
        score = _released_score(artifact) or score
    precision = artifact.precision if artifact else lines[-1].precision
    scored = score.record.dataset if score and score.record else ""
    dataset = artifact.dataset if artifact else scored
    return ReportRow(
        name=clean(name),
        precision=clean(precision, 40),
        dataset=clean(dataset, 40) if dataset else "",
        sha256=artifact.sha256 if artifact else lines[-1].model_sha256,
        artifact=artifact,
        size_bytes=_plausible(sizes.bytes) if sizes else None,
        gzip_bytes=_plausible(sizes.gzip_bytes) if sizes else None,
        score=score,
        outcomes={
            (setup_of(line), clean(line.configuration.delegate, 40)): _outcome(line)
            for line in lines
            if isinstance(line, Measurement)
        },
        results=tuple(lines),
    )


def _plausible(size_bytes: int) -> int | None:
    return size_bytes if 0 < size_bytes <= MOST_BYTES else None


def _headline_score(artifact: Artifact | None, lines: Sequence[Accuracy]) -> ScoredResult | None:
    """Returns the measured test accuracy to show for the file; None if it was never scored.

    Valid lines are preferred over failed ones, then the host over phones, XNNPACK over other
    delegates, and newer lines over older ones.
    """
    tested = [
        line
        for line in lines
        if line.split == "test" and (artifact is None or line.dataset == artifact.dataset)
    ]
    if not tested:
        return None
    best = max(
        enumerate(tested),
        key=lambda pair: (
            not failure_of(pair[1]),
            pair[1].device.kind == "host",
            pair[1].configuration.delegate == "xnnpack",
            pair[0],
        ),
    )[1]
    failure = failure_of(best)
    return ScoredResult(best, None if failure else best.top1, best.images, failure)


def _released_score(artifact: Artifact | None) -> ScoredResult | None:
    """Returns the test accuracy in the manifest of a released file; None if it has none."""
    for metric in artifact.released.accuracies if artifact and artifact.released else ():
        plausible = 0 <= metric.top1 <= 1 and 1 <= metric.images <= MOST_IMAGES
        if artifact and (metric.dataset, metric.split) == (artifact.dataset, "test") and plausible:
            return ScoredResult(None, metric.top1, metric.images)
    return None


def _outcome(record: Measurement) -> TimedResult:
    failure = failure_of(record)
    if failure or record.latency is None:
        return TimedResult(record, None, failure)
    return TimedResult(record, record.latency.typical_us / 1000, "")


def _setups(rows: Iterable[ReportRow]) -> dict[Setup, tuple[str, ...]]:
    delegates: dict[Setup, set[str]] = {}
    for row in rows:
        for setup, delegate in row.outcomes:
            delegates.setdefault(setup, set()).add(delegate)
    order = sorted(
        delegates,
        key=lambda s: (s.kind != "host", s.device, s.device_id, s.runtime, s.threads, s.cores),
    )
    return {setup: tuple(sorted(delegates[setup], key=_delegate_rank)) for setup in order}


def _delegate_rank(delegate: str) -> tuple[int, str]:
    return {"xnnpack": 0, "none": 1}.get(delegate, 2), delegate
