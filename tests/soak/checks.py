"""Compares result lines with the journal of the stand-in tool on each phone."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from android_bench.adb.client import Adb
from android_bench.phone.phone import Phone
from tests.android_bench.conftest import left_on
from tests.soak.faults import LOSING, Injected
from tests.virtual_phone import VirtualPhone
from tests.virtual_phone.binary import JOURNAL
from zoo.errors import ZooError
from zoo.schema.device import device_id
from zoo.schema.json_files import read_records
from zoo.schema.measurement import Measurement

# Files of the virtual phone itself; other files there are settings changed by the harness.
_OWN_STATE = {Path(JOURNAL).name, "busy", "speed", "clock"}


# A command sent over a frozen or broken link may arrive when the link is back, and start a job that
# the harness no longer waits for. The start of the next job removes it.
_LATE_S = {"frozen 30 s": 5.0, "link lost 4 s": 5.0, "link lost 90 s": 5.0}
_COLLECT_S = 10.0  # longest time from the end of a run to its line, on a busy computer


def rows_of(results: Path, phone: VirtualPhone) -> list[Measurement]:
    """Returns the result lines of a phone."""
    records, problems = read_records(results)
    assert problems == [], problems
    device = device_id(phone.serial)
    return [r for r in records if isinstance(r, Measurement) and r.device.id == device]


def wrong_rows(
    rows: Sequence[Measurement], journal: Sequence[Mapping[str, Any]], cases: int, gone: bool
) -> list[str]:
    """Returns the problems in the result lines of a phone.

    Args:
        rows: Result lines of the phone.
        journal: Journal of its tool.
        cases: Number of requested cases.
        gone: Whether the phone was disconnected for good, so cases may remain failed.
    """
    problems = []
    by_case: dict[str, list[Measurement]] = defaultdict(list)
    for row in rows:
        by_case[row.case].append(row)
        if not row.valid and not (row.reasons and all(row.reasons)):
            problems.append(f"{row.case} failed without a reason")
    if len(by_case) != cases:
        problems.append(f"{len(by_case)} of {cases} cases have a line")
    used: set[int] = set()
    for case, lines in by_case.items():
        good = [row for row in lines if row.valid]
        if len(good) > 1:
            problems.append(f"{case} was measured {len(good)} times")
        if not good and not gone:
            problems.append(f"{case} was never measured: {lines[-1].reasons}")
        for row in good:
            found = [n for n, run in enumerate(journal) if n not in used and _confirms(run, row)]
            if not found:
                problems.append(f"{case}: no run of the tool gave {row.latency}")
            used.update(found[:1])
    return problems


def unheard(
    rows: Sequence[Measurement], journal: Sequence[Mapping[str, Any]], faults: Sequence[Injected]
) -> tuple[int, list[str]]:
    """Finds successful runs of the tool without a result line.

    A fault may cause several such runs while it lasts.

    Returns:
        Number of these runs, and descriptions of those that no fault explains.
    """
    used: set[int] = set()
    for row in rows:
        if row.latency is not None:
            found = (n for n, run in enumerate(journal) if n not in used and _confirms(run, row))
            used.update(list(found)[:1])
    lost = [run for n, run in enumerate(journal) if run["status"] == 0 and n not in used]
    without = [run for run in lost if not any(_fell_into(run, fault) for fault in faults)]
    return len(lost), [_told(run, faults) for run in without]


def _told(run: Mapping[str, Any], faults: Sequence[Injected]) -> str:
    """Describes a run by its flags and its time relative to the last fault before it."""
    started_s = run["ended_s"] - run["seconds"]
    before = max(
        (f for f in faults if f.began_s < started_s), key=lambda f: f.began_s, default=None
    )
    flags = " ".join(word for word in run["arguments"] if "use_" in word or "num_threads" in word)
    if before is None:
        return f"{flags}, before any fault"
    return (
        f"{flags}, started {started_s - before.began_s:.1f} s after '{before.kind}' began, "
        f"{started_s - before.over_s:.1f} s after it was over, took {run['seconds']:.1f} s"
    )


def _fell_into(run: Mapping[str, Any], fault: Injected) -> bool:
    started_s, ended_s = run["ended_s"] - run["seconds"], run["ended_s"]
    over_s = fault.over_s + _LATE_S.get(fault.kind, 0.0)
    return fault.kind in LOSING and started_s < over_s and fault.began_s < ended_s + _COLLECT_S


def left_behind(adb: Adb, phone: VirtualPhone) -> list[str]:
    """Returns the files, processes, settings and locks that the harness has left on a phone."""
    problems = left_on(phone)
    state = {path.name for path in phone.path(JOURNAL).parent.iterdir()}
    problems += sorted(state - _OWN_STATE)
    try:
        lock = Phone(adb, phone.serial)
        lock.acquire()
        lock.release()
    except ZooError as error:
        problems.append(str(error))
    return problems


def reasons(rows: Sequence[Measurement]) -> Counter[str]:
    """Counts the reasons of invalid rows, with numbers replaced by #."""
    texts = (row.reasons[0].split(" | ")[0][:90] for row in rows if not row.valid)
    return Counter(re.sub(r"\d+", "#", reason) for reason in texts)


def _confirms(run: Mapping[str, Any], row: Measurement) -> bool:
    times, words = run.get("times_us"), run["arguments"]
    if run["status"] != 0 or not isinstance(times, list) or not isinstance(words, list):
        return False
    asked = [f"--num_threads={row.configuration.threads}"]
    asked += {"none": ["--use_xnnpack=false"], "xnnpack": ["--use_xnnpack=true"],
              "gpu": ["--use_gpu=true"]}[row.configuration.delegate]  # fmt: skip
    graph = any(word.startswith("--graph=") and word.endswith(row.model_sha256) for word in words)
    told = row.latency
    mean = sum(times) / len(times)
    return (
        graph
        and all(word in words for word in asked)
        and (told.runs, told.min_us, told.max_us) == (len(times), min(times), max(times))
        and abs(told.avg_us - mean) <= 1e-5 * mean
    )
