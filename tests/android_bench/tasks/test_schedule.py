"""Processes in a seeded order, found again, and merged by case."""

import collections
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from android_bench.tasks.cases import Case
from android_bench.tasks.schedule import pending, schedule
from tests.support.report_samples import scored, sha256, timed
from zoo.schema.measurement import Configuration, Measurement, Placement
from zoo.schema.processes import by_case, one_of


def case(name="a", delegate="xnnpack", threads=1, cores=""):
    ran = Configuration(
        runtime="litert", runtime_version="", delegate=delegate, threads=threads, cores=cores
    )
    return Case(Path(f"{name}.tflite"), name, sha256(name), "int8", ran)


def rows_of(tasks, latency_ms=2.0, **changes):
    return [timed(t.case.model, latency_ms, **{**t.fields, **changes}) for t in tasks]


def test_every_process_of_every_case_once_in_a_seeded_order():
    cases = [case(name) for name in "abcd"]
    first, again, other = (schedule(cases, 5, "host", {}, seed) for seed in (1, 1, 2))
    assert first == again != other
    assert collections.Counter(t.case.model for t in first) == dict.fromkeys("abcd", 5)
    assert {(t.key, t.number) for t in first} == {(t.key, t.number) for t in other}
    assert len({t.key for t in first}) == 4
    # Spread: no case has all its processes at the beginning.
    assert len({t.case.model for t in first[:5]}) > 1


def test_what_is_asked_for_is_in_the_key():
    def key(one=None, processes=1, device="host", **asked):
        return schedule([one or case()], processes, device, asked)[0].key

    assert key() == key()
    others = [
        key(case("b")), key(case(delegate="none")), key(case(threads=2)), key(case(cores="big")),
        key(processes=2), key(device="phone"), key(num_runs=50), key(num_runs=51),
    ]  # fmt: skip
    assert len({key(), *others}) == len(others) + 1


def test_what_was_measured_well_is_not_measured_again():
    tasks = schedule([case("a"), case("b")], 3, "host", {})
    assert pending(tasks, []) == tasks
    done = rows_of(tasks[:2])
    assert pending(tasks, done) == tasks[2:]
    assert pending(tasks, [*done, *rows_of(tasks[2:3], None)]) == tasks[2:]  # it failed
    assert pending(tasks, rows_of(tasks)) == []
    other = schedule([case("a"), case("b")], 3, "host", {"session": "2"})
    assert pending(other, rows_of(tasks)) == other


def test_medians():
    tasks = schedule([case()], 3, "host", {})
    timings = zip(tasks, (5.0, 1.0, 2.0), strict=True)
    rows = [row for task, latency_ms in timings for row in rows_of([task], latency_ms)]
    found = one_of(rows)
    assert found.valid
    assert (found.latency.processes, found.latency.median_us) == (3, 2000.0)
    assert found.latency.runs == sum(row.latency.runs for row in rows)


def test_a_later_line_of_a_process_counts():
    (task,) = schedule([case()], 1, "host", {})
    failed, good = rows_of([task], None) + rows_of([task], 3.0)
    assert one_of([failed, good]).latency.median_us == 3000.0
    assert not one_of([good, failed]).valid


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda row: None, "2 of 3 processes have run so far"),
        (
            lambda row: timed("a", None, case=row.case, process=row.process, processes=3),
            "process 2 of 3: the delegate refused QUANTIZE",
        ),
        (
            lambda row: row.model_copy(update={"placement": Placement(level="none")}),
            "node placement differed",
        ),
        (
            lambda row: row.model_copy(
                update={
                    "configuration": row.configuration.model_copy(update={"runtime_version": "9"})
                }
            ),
            "different versions of the tool",
        ),
    ],
)
def test_what_makes_a_case_no_number(spoil, reason):
    tasks = sorted(schedule([case()], 3, "host", {}), key=lambda task: task.number)
    rows = rows_of(tasks)
    rows[1] = spoil(rows[1])
    found = one_of([row for row in rows if row is not None])
    assert not found.valid and found.latency is None
    assert reason in found.reasons[0]


def test_only_processes_of_a_case_are_merged():
    tasks = schedule([case("a"), case("b")], 2, "host", {})
    rows = rows_of(tasks)
    old = [timed("c", 1.0), timed("c", 2.0)]  # lines of before there were keys
    found = by_case([scored("a", 0.9), old[0], *rows, old[1]])
    assert [one.model for one in found[:2]] == ["a", "c"]
    assert found[-1] is old[1]
    merged = [one for one in found if isinstance(one, Measurement) and one.case]
    assert sorted(one.model for one in merged) == ["a", "b"]
    assert all(one.latency.processes == 2 for one in merged)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 3), st.booleans()), max_size=20))
def test_merging_never_makes_a_failure_good(lines):
    tasks = {(t.case.model, t.number): t for t in schedule([case(n) for n in "abc"], 3, "host", {})}
    rows = []
    for which, number, good in lines:
        rows += rows_of([tasks["abc"[which], number]], 1.0 if good else None)
    for merged in by_case(rows):
        assert isinstance(merged, Measurement)
        latest = {row.process: row for row in rows if row.case == merged.case}
        assert merged.valid == (len(latest) == 3 and all(row.valid for row in latest.values()))
        assert (merged.latency is None) == (not merged.valid) == bool(merged.reasons)
