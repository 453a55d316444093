"""Schedules the processes of all cases in random order, which spreads slow periods over all cases.

Each process becomes one line of the results. Its key covers everything that was requested, so the
same command, run again, skips the processes that were already measured.
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
        case: The case to run.
        key: Hash of the case, the device and all requested options.
        number: Number of the process, from 1.
        of: Number of processes of the case.
    """

    case: Case
    key: str
    number: int
    of: int

    @property
    def fields(self) -> dict[str, object]:
        """Fields of the task in its result line."""
        return {"case": self.key, "process": self.number, "processes": self.of}


class Eta:
    """Estimates the remaining time from the time that the finished tasks took.

    Args:
        expected_s: Expected seconds of each task, in order; only their ratios matter.
    """

    def __init__(self, expected_s: Sequence[float]):
        self._expected_s = expected_s
        self._started = time.monotonic()

    def left(self, done: int) -> str:
        """Returns for example `, 12 min left`; empty before the first task is done."""
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
    """Returns all processes of all cases in a seeded random order.

    Args:
        cases: Cases to run.
        processes: Number of processes per case.
        device_id: Id of the device.
        asked: All other options that distinguish two measurements: run lengths, tools, a name.
        seed: Seed of the order.
    """
    tasks = [
        Task(case, _key(case, device_id, {**asked, "processes": processes}), number, processes)
        for case in cases
        for number in range(1, processes + 1)
    ]
    random.Random(seed).shuffle(tasks)  # noqa: S311
    return tasks


def pending(tasks: Sequence[Task], records: Iterable[Record]) -> list[Task]:
    """Returns the tasks without a valid result in `records`, in their order."""
    done = {
        (record.case, record.process)
        for record in records
        if isinstance(record, Timed) and record.valid
    }
    return [task for task in tasks if (task.key, task.number) not in done]


def _key(case: Case, device_id: str, asked: Mapping[str, object]) -> str:
    c = case.configuration
    file = [case.model, case.sha256]
    identity = [device_id, file, c.runtime, c.delegate, c.threads, c.cores]
    text = json.dumps([identity, sorted(asked.items())], default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
