"""Processes to be run: every case several times, in an order that spreads a slow minute over all.

A process is one line of the results. Its key stands for all that was asked for, so that the same
command, run again, finds what it has measured already.
"""

from __future__ import annotations

import hashlib
import json
import random
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from android_bench.tasks.cases import Case
from zoo.schema.measurement import Record, Timed


@dataclass(frozen=True)
class Task:
    """One process of a case.

    Attributes:
        case: what is run.
        key: of the case, the device and how it was asked for.
        number: of the process, from 1.
        of: processes of the case.
    """

    case: Case
    key: str
    number: int
    of: int

    @property
    def fields(self) -> dict[str, object]:
        """What its result line says of it."""
        return {"case": self.key, "process": self.number, "processes": self.of}


class Eta:
    """How long the rest takes, by how long what is done took.

    Args:
        expected_s: of each task, in order; right but for a common factor.
    """

    def __init__(self, expected_s: Sequence[float]):
        self._expected_s = expected_s
        self._started = time.monotonic()

    def left(self, done: int) -> str:
        """`, 12 min left` for the end of a line, when the first `done` tasks are; else nothing."""
        past_s = sum(self._expected_s[:done])
        if not past_s:
            return ""
        spent_s = time.monotonic() - self._started
        left_s = spent_s / past_s * sum(self._expected_s[done:])
        return f", {left_s / 60:.0f} min left" if left_s >= 90 else f", {left_s:.0f} s left"


def schedule(
    cases: Sequence[Case],
    processes: int,
    device_id: str,
    asked: Mapping[str, object],
    seed: int = 1,
) -> list[Task]:
    """Every process of every case, in a seeded random order.

    Args:
        cases: what is run.
        processes: of each.
        device_id: where.
        asked: all else that makes two measurements different: lengths, tools, a name.
        seed: of the order.
    """
    tasks = [
        Task(case, _key(case, device_id, {**asked, "processes": processes}), number, processes)
        for case in cases
        for number in range(1, processes + 1)
    ]
    random.Random(seed).shuffle(tasks)  # noqa: S311
    return tasks


def pending(tasks: Sequence[Task], records: Iterable[Record]) -> list[Task]:
    """The tasks that no line has a good result of, in their order."""
    done = {
        (record.case, record.process)
        for record in records
        if isinstance(record, Timed) and record.valid
    }
    return [task for task in tasks if (task.key, task.number) not in done]


def _key(case: Case, device_id: str, asked: Mapping[str, object]) -> str:
    ran = case.configuration
    file = [case.model, case.sha256]
    what = [device_id, file, ran.runtime, ran.delegate, ran.threads, ran.cores]
    text = json.dumps([what, sorted(asked.items())], default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
