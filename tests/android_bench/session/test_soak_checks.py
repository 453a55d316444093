"""The soak's own checks: they must notice what a broken harness would do."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from tests.android_bench.conftest import Bench
from tests.soak.checks import unheard, wrong_rows
from tests.soak.faults import KINDS, Injected, plan

Lines = tuple[list, list]


@pytest.fixture(scope="module")
def lines(every_bench: Bench) -> Lines:
    """Three good lines and a failed one, and what the tool noted."""
    bench = every_bench
    with bench.phone(gpu="refused") as phone:
        rows = bench.processes(
            phone, bench.tasks("none", "xnnpack", "none", "gpu"), min_secs=0.2, num_runs=20
        )
        return rows, phone.benchmarks()


def without_gpu(rows: list) -> list:
    return [row for row in rows if row.configuration.delegate != "gpu"]


def test_what_is_right_passes(lines: Lines):
    rows, journal = lines
    assert [row.valid for row in rows] == [True, True, True, False]
    assert wrong_rows(without_gpu(rows), journal, 3, gone=False) == []
    assert wrong_rows(rows, journal, 4, gone=True) == []
    assert unheard(rows, journal, []) == (0, [])


def test_a_case_that_was_never_measured(lines: Lines):
    rows, journal = lines
    assert "never measured" in "".join(wrong_rows(rows, journal, 4, gone=False))


def test_a_lost_line(lines: Lines):
    rows, journal = lines
    assert "2 of 3 cases have a line" in wrong_rows(without_gpu(rows)[1:], journal, 3, gone=False)
    many, (told,) = unheard(rows[1:], journal, [])
    assert many == 1 and told.endswith("before any fault")
    at_s = journal[0]["ended_s"]
    for kind, began_s, over_s, without in (
        ("link lost 4 s", at_s - 0.1, at_s + 4, 0),
        ("disk full", at_s + 1, at_s + 9, 0),
        ("exit 139", at_s - 0.1, at_s + 4, 1),
        ("link lost 4 s", at_s - 60, at_s - 50, 1),
        ("link lost 4 s", at_s + 60, at_s + 64, 1),
    ):
        fault = Injected(kind, began_s, over_s)
        many, told_of = unheard(rows[1:], journal, [fault])
        assert (many, len(told_of)) == (1, without), kind


def test_a_case_that_was_measured_twice(lines: Lines):
    rows, journal = lines
    problems = wrong_rows([*without_gpu(rows), rows[0]], journal, 3, gone=False)
    assert any("measured 2 times" in problem for problem in problems)


@pytest.mark.parametrize("field", ["avg_us", "runs", "min_us", "max_us"])
def test_a_number_that_the_tool_never_gave(lines: Lines, field: str):
    rows, journal = lines
    latency = rows[0].latency
    wrong = latency.model_copy(update={field: getattr(latency, field) + 1})
    spoilt = [rows[0].model_copy(update={"latency": wrong}), *rows[1:3]]
    assert any("no run of the tool" in p for p in wrong_rows(spoilt, journal, 3, gone=False))


def test_numbers_of_another_case(lines: Lines):
    rows, journal = lines
    swapped = [
        rows[0].model_copy(update={"latency": rows[1].latency}),
        rows[1].model_copy(update={"latency": rows[0].latency}),
        rows[2],
    ]
    assert len(wrong_rows(swapped, journal, 3, gone=False)) >= 2


def test_numbers_that_are_used_twice(lines: Lines):
    rows, journal = lines
    copied = [rows[0], rows[1], rows[2].model_copy(update={"latency": rows[0].latency})]
    assert any("no run of the tool" in p for p in wrong_rows(copied, journal, 3, gone=False))


def test_a_failure_without_a_reason(lines: Lines):
    rows, journal = lines
    silent = rows[3].model_copy(update={"reasons": ()})
    assert any("without a reason" in p for p in wrong_rows([silent], journal, 1, gone=True))


def test_every_kind_of_fault_comes_about_as_often():
    planned = plan(random.Random(1), 200, 0.3)
    counts = Counter(filter(None, planned))
    assert (len(planned), sum(counts.values()), set(counts)) == (200, 60, set(KINDS))
    assert max(counts.values()) - min(counts.values()) <= 1
    assert plan(random.Random(1), 200, 0.3) == planned
