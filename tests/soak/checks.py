"""Holds result lines against what the stand-in tool itself noted on each phone."""

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

# What the phone keeps for itself; anything else there is a setting that somebody changed.
_OWN_STATE = {Path(JOURNAL).name, "busy", "speed", "clock"}


# What was sent into a frozen or broken link may arrive when it is back, and start a job that the
# harness no longer waits for; the next job's start sweeps it.
_LATE_S = {"frozen 30 s": 5.0, "link lost 4 s": 5.0, "link lost 90 s": 5.0}
_COLLECT_S = 10.0  # from the end of a run to its line, on a busy computer


def rows_of(results: Path, phone: VirtualPhone) -> list[Measurement]:
    """The lines of one phone."""
    records, problems = read_records(results)
    assert problems == [], problems
    wanted = device_id(phone.serial)
    return [r for r in records if isinstance(r, Measurement) and r.device.id == wanted]


def wrong_rows(
    rows: Sequence[Measurement], journal: Sequence[Mapping[str, Any]], cases: int, gone: bool
) -> list[str]:
    """What is wrong with one phone's lines; nothing if all is well.

    Args:
        rows: of the phone.
        journal: of its tool.
        cases: that were asked for.
        gone: it left for good, so that cases may stay failed.
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
    """Runs of the tool that ended well but are in no line: how many, and those without a fault.

    A fault may make more than one unheard of, as long as it lasts.
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
    """When it ran, by the fault before it."""
    started_s = run["ended_s"] - run["seconds"]
    before = max(
        (f for f in faults if f.began_s < started_s), key=lambda f: f.began_s, default=None
    )
    asked = " ".join(word for word in run["arguments"] if "use_" in word or "num_threads" in word)
    if before is None:
        return f"{asked}, before any fault"
    return (
        f"{asked}, started {started_s - before.began_s:.1f} s after '{before.kind}' began, "
        f"{started_s - before.over_s:.1f} s after it was over, took {run['seconds']:.1f} s"
    )


def _fell_into(run: Mapping[str, Any], fault: Injected) -> bool:
    started_s, ended_s = run["ended_s"] - run["seconds"], run["ended_s"]
    over_s = fault.over_s + _LATE_S.get(fault.kind, 0.0)
    return fault.kind in LOSING and started_s < over_s and fault.began_s < ended_s + _COLLECT_S


def left_behind(adb: Adb, phone: VirtualPhone) -> list[str]:
    """Files, processes, settings and locks that stayed."""
    found = left_on(phone)
    state = {path.name for path in phone.path(JOURNAL).parent.iterdir()}
    found += sorted(state - _OWN_STATE)
    try:
        used = Phone(adb, phone.serial)
        used.acquire()
        used.release()
    except ZooError as error:
        found.append(str(error))
    return found


def reasons(rows: Sequence[Measurement]) -> Counter[str]:
    """How often each reason was given, without its numbers."""
    given = (row.reasons[0].split(" | ")[0][:90] for row in rows if not row.valid)
    return Counter(re.sub(r"\d+", "#", reason) for reason in given)


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
