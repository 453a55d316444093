"""Profiled runs on virtual phones: which operators take the time, and no latency."""

import pytest

from tests.android_bench.conftest import left_on
from zoo.schema.measurement import OperatorProfile
from zoo.schema.result import RESULT


def test_operators_of_a_case(bench):
    with bench.phone() as phone:
        rows = bench.processes(phone, bench.tasks("none", "xnnpack"), profiling=True)
        assert left_on(phone) == []
    for row in rows:
        assert isinstance(row, OperatorProfile) and row.valid, row.reasons
        assert RESULT.validate_json(row.model_dump_json()) == row
        assert sum(one.percent for one in row.types) == pytest.approx(100, abs=1)
        assert row.slowest and row.slowest[0].name
    assert "CONV_2D" in {one.type for one in rows[0].types}


def test_a_refused_gpu_has_no_profile(bench):
    with bench.phone(gpu="refused") as phone:
        (row,) = bench.processes(phone, bench.tasks("gpu"), profiling=True)
    assert not row.valid and row.types == ()
    assert "Failed to apply GPU delegate" in row.reasons[0]


def test_a_silent_fall_back_is_no_profile_of_the_gpu(bench):
    with bench.phone(gpu="silent_cpu") as phone:
        (row,) = bench.processes(phone, bench.tasks("gpu"), profiling=True)
    assert not row.valid and "ran on the CPU" in row.reasons[0]
