"""Appends results as they arrive, logs one line per case, and finds what remains to be done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from android_bench.tasks.cases import Case
from android_bench.tasks.schedule import Task, pending
from zoo.io.log import Log
from zoo.report.wording import agreement_of, curve_in_words, profile_in_words, threads_label
from zoo.schema.json_files import append_record, read_records
from zoo.schema.measurement import (
    Accuracy,
    Agreement,
    Configuration,
    Latency,
    Measurement,
    OperatorProfile,
    Record,
    Sustained,
    Timed,
)
from zoo.schema.processes import one_of


class Recorder:
    """Records results in one file.

    Args:
        path: Path of `results.jsonl`.
        log: Called with one line per case.
    """

    def __init__(self, path: Path, log: Log):
        self._path, self._log = path, log

    def pending(self, tasks: Sequence[Task]) -> list[Task]:
        """Returns the tasks without a valid line, in their order."""
        return pending(tasks, self._records())

    def processes(self, tasks: Sequence[Task], rows: Iterable[Timed | Agreement]) -> int:
        """Appends each row; logs each case after its last process, and each agreement.

        Args:
            tasks: All requested tasks.
            rows: Rows of the pending tasks, in their order, and any agreements.

        Returns:
            Number of cases and agreements that are not valid.
        """
        keys = {task.key for task in tasks}
        known: dict[str, list[Timed]] = {key: [] for key in keys}
        records = self._records()
        for record in records:
            if isinstance(record, Timed) and record.case in keys:
                known[record.case].append(record)
        left = Counter(task.key for task in pending(tasks, records))
        failed = 0
        for row in rows:
            if isinstance(row, Agreement):
                failed += self.score(row)
                continue
            append_record(self._path, row)
            known[row.case].append(row)
            left[row.case] -= 1
            if left[row.case] == 0:
                self._log(said(_whole(known[row.case])))
        return failed + sum(not (lines and _whole(lines).valid) for lines in known.values())

    def unscored(self, pairs: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
        """Returns the pairs (SHA-256, runtime) without a valid accuracy on this computer."""
        scored = {
            (record.model_sha256, record.configuration.runtime)
            for record in self._records()
            if isinstance(record, Accuracy) and record.valid and record.device.kind == "host"
        }
        return set(pairs) - scored

    def uncompared(self, cases: Sequence[Case], device_id: str) -> list[Case]:
        """Returns one case per file and delegate without a valid comparison on this phone."""
        known = {
            (record.model_sha256, record.configuration.delegate)
            for record in self._records()
            if isinstance(record, Agreement) and record.valid and record.device.id == device_id
        }
        first: dict[tuple[str, str], Case] = {}
        for case in cases:
            first.setdefault((case.sha256, case.configuration.delegate), case)
        return [case for key, case in first.items() if key not in known]

    def score(self, row: Accuracy | Agreement) -> int:
        """Appends and logs an accuracy or an output comparison; returns 1 if it failed, else 0."""
        append_record(self._path, row)
        self._log(said(row))
        return 0 if row.valid else 1

    def _records(self) -> list[Record]:
        return list(read_records(self._path)[0]) if self._path.exists() else []


def _whole(lines: Sequence[Timed]) -> Measurement | Sustained | OperatorProfile:
    """Merges a case's lines; sustained runs and profiles have a single process."""
    last = lines[-1]
    if isinstance(last, (Sustained, OperatorProfile)):
        return last
    return one_of([line for line in lines if isinstance(line, Measurement)])


def said(row: Measurement | Sustained | OperatorProfile | Accuracy | Agreement) -> str:
    """Returns a one-line summary of a result."""
    where = "host" if row.device.kind == "host" else f"{row.device.name} {row.device.id}"
    label = f"{row.model}, {where}, {how(row.configuration)}"
    if not row.valid:
        return f"  FAILED {label}: {'; '.join(row.reasons)}"
    if isinstance(row, Accuracy):
        return f"  {label}: {100 * (row.top1 or 0):.2f} % of {row.images} test images correct"
    if isinstance(row, Sustained):
        return f"  {label}: {curve_in_words(row)}"
    if isinstance(row, OperatorProfile):
        return f"  {label}: {profile_in_words(row)}"
    if isinstance(row, Agreement):
        return f"  {label}: outputs {agreement_of(row)}"
    words = [] if row.latency is None else [_milliseconds(row.latency)]
    if row.placement and row.placement.nodes:
        words.append(f"{row.placement.delegated}/{row.placement.nodes} nodes delegated")
    if row.energy is not None:
        words.append(f"{row.energy.net_mj:.3g} ± {row.energy.net_mj_uncertainty:.2g} mJ")
    elif row.no_energy is not None:
        words.append(f"no energy: {row.no_energy}")
    return f"  {label}: {', '.join(words)}"


def _milliseconds(latency: Latency) -> str:
    text = f"{latency.typical_us / 1000:.3f} ms"
    if latency.interval_us is None:
        return text
    low, high = (f"{us / 1000:.3f}" for us in latency.interval_us)
    return f"{text} ({low} to {high})"


def how(ran: Configuration) -> str:
    """Returns runtime, delegate and threads in words."""
    return f"{ran.runtime}, {ran.delegate}, {threads_label(ran)}"
