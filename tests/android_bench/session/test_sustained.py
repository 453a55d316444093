"""Sustained runs on virtual phones that keep their pace, throttle, or break down."""

import dataclasses
import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from android_bench.power.sampler import NODES
from android_bench.session.session import measure_on_phone
from android_bench.session.sustained import Sustaining, curve, script, summary
from android_bench.tools.tflite import parse
from tests.android_bench.conftest import SHORT, left_on
from tests.virtual_phone.texts import thermal_text
from zoo.io.provenance import Provenance
from zoo.schema.measurement import Sustained, SustainedPoint
from zoo.schema.result import RESULT

HOW = Sustaining(minutes=0.5, segment_s=4.0, period_s=0.5)
PACE = {"simulated": True, "slow_ms": 40.0}
LIMIT = "/sys/devices/system/cpu/cpufreq/policy7/scaling_max_freq"
TOOL_TEXT = """\
INFO: Running benchmark for at least 1 iterations and at least 0 seconds
count=1 curr=20000

INFO: Running benchmark for at least 1 iterations and at least 1 seconds
count=50 first=20100 curr=20000 min=19900 max=20200 avg=20010 std=50 p5=19950 median=20005 p95=20150

INFO: Inference timings in us: Init: 500, First inference: 20000, Warmup (avg): 20000, \
Inference (avg): 20010
"""


def run(bench, phone, how=HOW):
    rows = list(
        measure_on_phone(
            bench.client(phone), phone.serial, bench.tasks("none"), bench.find_binary,
            Provenance(("test",), {}), dataclasses.replace(SHORT, sustaining=how),
        )
    )  # fmt: skip
    assert left_on(phone) == []
    (row,) = rows
    assert isinstance(row, Sustained)
    assert RESULT.validate_json(row.model_dump_json()) == row
    return row


@pytest.mark.slow
def test_a_phone_that_keeps_its_pace(bench):
    with bench.phone(**PACE) as phone:
        row = run(bench, phone)
        journal = phone.benchmarks()
    assert row.valid, row.reasons
    assert len(row.points) == len(journal) >= 4, "every run of the tool is a point"
    for point, entry in zip(row.points, journal, strict=True):
        times = sorted(entry["times_us"])
        assert point.latency_us == pytest.approx(times[len(times) // 2], rel=0.1)
        assert 0.2 < point.busy <= 1
        assert (point.battery_c, point.thermal_status) == (28.0, 0)
        assert point.big_core_limit_khz == 2_841_600 and point.gpu_hz == 305e6
    began_s = journal[0]["ended_s"] - journal[0]["seconds"]
    assert row.points[0].at_s == 0 and 60 * HOW.minutes > row.points[-1].at_s
    # Whole seconds are counted, and the shell needs a moment around each stretch.
    assert journal[-1]["ended_s"] - began_s > 60 * HOW.minutes - 2
    assert row.limited_after_s is None
    assert row.placement is not None and row.placement.level == "none"


def test_a_phone_that_throttles(bench):
    with bench.phone(**PACE) as phone:

        def throttle():
            phone.set_benchmark(slow_ms=100)
            phone.set_file(LIMIT, "1900800\n")
            phone.set_file(NODES["temp"][0], "425\n")
            phone.set_dumpsys("thermalservice", thermal_text(2))

        phone.during_run(throttle, run=5)
        row = run(bench, phone)
    assert row.valid, "slowing down is what the run is for"
    assert row.last_us > 1.8 * row.first_us
    slow = [point for point in row.points if point.latency_us > 1.5 * row.first_us]
    # The stand-in learns its pace when it starts, so that the clock is cut a stretch earlier.
    assert [row.points.index(slow[0]), len(row.points) - len(slow)] == [5, 5]
    assert row.slower_after_s == slow[0].at_s
    assert row.limited_after_s == row.points[4].at_s
    last = row.points[-1]
    assert (last.battery_c, last.thermal_status) == (42.5, 2)
    assert last.big_core_limit_khz == 1_900_800


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        pytest.param(lambda phone: phone.keep_busy(3), "other load", marks=pytest.mark.slow),
        pytest.param(lambda phone: phone.jump_clock(90), "clock jumped", marks=pytest.mark.slow),
        (lambda phone: phone.set_benchmark(crash_exit=139), "exit code 139"),
        pytest.param(
            lambda phone: phone.set_benchmark(gpu="silent_cpu"), None, marks=pytest.mark.slow
        ),
    ],
)
def test_what_happens_in_mid_run(bench, event, reason):
    with bench.phone(**PACE) as phone:
        phone.during_run(lambda: event(phone))
        row = run(bench, phone)
    assert row.valid == (reason is None)
    assert reason is None or re.search(reason, "; ".join(row.reasons)), row.reasons


def test_a_phone_without_a_sampler_or_thermal_service(bench):
    with bench.phone(
        **PACE, thermal_service=False, files={NODES["temp"][0]: None},
        properties={"ro.product.cpu.abi": "armeabi-v7a"},
    ) as phone:  # fmt: skip
        row = run(bench, phone)
    assert row.valid, row.reasons
    assert {(point.battery_c, point.thermal_status) for point in row.points} == {(None, None)}
    assert all(point.big_core_khz == 2_841_600 for point in row.points), "by the shell loop"


def judge(stdout, stderr, code):
    return parse(stdout, stderr, code, "none")


def written(mark, times):
    parts = [
        f"{mark} begin {at:.2f} 0\nbefore {at:.2f} 1700000000\nafter {at + 1:.2f} 1700000001\n"
        f"{mark} out\n{TOOL_TEXT}\n{mark} err\n\n{mark} status Thermal Status: 0\n"
        for at in times
    ]
    return "".join(parts) + f"{mark} end {len(times)}\n"


def test_what_was_cut_off_is_told():
    _, mark = script("tool", None, HOW)
    text = written(mark, [10, 11.5, 13, 14.5])
    whole = curve(text, mark, "", judge)
    assert whole.complete and [p.at_s for p in whole.points] == [0, 1.5, 3, 4.5]
    assert whole.points[0].latency_us == 20005
    for end in range(0, len(text) - 1, 37):
        part = curve(text[:end], mark, "", judge)
        assert not part.complete
        assert all(point in whole.points for point in part.points), "no invented point"


@given(st.text(), st.randoms())
def test_a_tool_that_prints_anything(noise, draw: random.Random):
    _, mark = script("tool", None, HOW)
    lines = written(mark, [10, 11.5]).split("\n")
    lines.insert(draw.randrange(len(lines)), noise.replace("\r", " "))
    found = curve("\n".join(lines), mark, noise, judge)
    assert all(point.latency_us == 20005 for point in found.points)


def points(times):
    return [
        SustainedPoint(at_s=10.0 * i, latency_us=us, busy=1, big_core_limit_khz=khz)
        for i, (us, khz) in enumerate(times)
    ]


@pytest.mark.parametrize(
    ("times", "slower", "limited"),
    [
        ([(100, 9)] * 8, None, None),
        ([(100, 9)] * 4 + [(130, 9)] * 4, 40.0, None),
        ([(100, 9)] * 4 + [(130, 7)] + [(100, 9)] * 3, None, 40.0),  # a spike does not stay
        ([(100, 9)] * 4 + [(108, 7)] * 4, None, 40.0),
        ([(100, None)] * 3 + [(200, None)] * 5, 30.0, None),
    ],
)
def test_the_throttling_point(times, slower, limited):
    found = summary(points(times))
    assert (found["slower_after_s"], found["limited_after_s"]) == (slower, limited)
    assert found["first_us"] == 100
