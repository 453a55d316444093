"""Which runs are not trusted, on virtual phones to which things happen."""

import re
import time

import pytest

from android_bench.session.run_conditions import RunConditions
from android_bench.session.validity import ValidityChecker
from tests.support.processes import HANG_S
from tests.virtual_phone.texts import battery_text, thermal_text
from zoo.schema.measurement import Latency

LIMIT = "/sys/devices/system/cpu/cpufreq/policy{}/scaling_max_freq"


def reasons(row):
    return "; ".join(row.reasons)


def throttle(phone):
    phone.set_file(LIMIT.format(7), "1900800\n")


def heat(phone):
    phone.set_dumpsys("thermalservice", thermal_text(2))


def limit_gpu(phone):
    phone.set_file("/sys/class/kgsl/kgsl-3d0/thermal_pwrlevel", "3\n")


def keep_busy(phone):
    """With three cores, for at least as long as the run has taken before."""
    begun_s = next(e.time_s for e in reversed(phone.log) if "--graph=" in e.text)
    phone.keep_busy(3)
    phone.wait_until_busy(3 * max(0.5, time.monotonic() - begun_s))


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (throttle, "throttled: clock limit of core 7 dropped to 1900800 kHz"),
        (heat, r"throttled: thermal status 2 \(moderate\)"),
        (limit_gpu, "throttled: GPU limited to power level 3"),
        (lambda phone: phone.jump_clock(90), r"clock jumped by \+(89|9[01])\.\d\d s"),
        (lambda phone: phone.jump_clock(-5), r"clock jumped by -[456]\.\d\d s"),
        (keep_busy, r"other load: [123]\.\d cores busy, limit 0\.5"),
    ],
)
def test_what_happens_in_mid_run(bench, event, reason):
    with bench.phone() as phone:
        phone.during_run(lambda: event(phone))
        (line,) = bench.processes(phone, bench.tasks("none"))
    assert not line.valid and re.search(reason, reasons(line)), line.reasons
    assert line.latency is not None, "the number stays in the line, for whoever wants to look"


def test_a_limit_that_was_there_from_the_start_is_no_reason(bench):
    # Some makers never allow a cluster its whole clock.
    with bench.phone(files={LIMIT.format(7): "2000000\n"}) as phone:
        (row,) = bench.measure(phone, "none")
    assert row.valid, row.reasons
    assert row.state_before["limits_khz"] == "1804800 2419200 2000000"


def test_a_limit_that_comes_between_two_runs(bench):
    with bench.phone() as phone:
        rows = bench.processes(
            phone,
            bench.tasks("none", "xnnpack"),
            log=lambda line: throttle(phone) if ": 2/2" in line else None,
        )
    assert rows[0].valid
    assert "clock limit of core 7 is 1900800 kHz, was 2841600 kHz" in reasons(rows[1])


@pytest.mark.parametrize(
    ("profile", "reason"),
    [
        ({"battery_temp_c": 41.0}, "hot at start: 41 °C, limit 38 °C"),
        ({"thermal_status": 1}, r"hot at start: thermal status 1 \(light\)"),
        ({"battery_level": 7, "usb_powered": False}, "low battery: 7 %, minimum 15 %"),
    ],
)
def test_what_is_not_even_started(bench, profile, reason):
    with bench.phone(**profile) as phone:
        (line,) = bench.processes(phone, bench.tasks("none"), cool_down_s=0.0)
        assert phone.benchmarks() == []
    assert line.latency is None and re.search(reason, reasons(line)), line.reasons


def test_a_low_battery_that_is_charging_is_no_reason(bench):
    with bench.phone(battery_level=7, usb_powered=True) as phone:
        (row,) = bench.measure(phone, "none")
    assert row.valid, row.reasons


def test_the_battery_saver(bench):
    with bench.phone() as phone:
        bench.adb.run(
            "-s", phone.serial, "shell", "settings put global low_power 1", timeout_s=HANG_S
        )
        (row,) = bench.measure(phone, "none")
    assert row.reasons == ("the battery saver is on",)


def test_a_hot_phone_is_waited_for(bench):
    lines: list[str] = []
    with bench.phone(battery_temp_c=41.0) as phone:

        def said(line):
            lines.append(line)
            if "cooling down" in line:
                cold = battery_text(phone.profile).replace("temperature: 410", "temperature: 310")
                phone.set_dumpsys("battery", cold)

        (row,) = bench.measure(phone, "none", cool_down_s=60.0, log=said)
    assert row.valid and row.state_before["battery_c"] == "31.0"
    assert sum("cooling down (41.0 °C, thermal status 0 (none))" in line for line in lines) == 1


def test_services_do_their_work_in_other_processes():
    latency = Latency(
        runs=50, processes=1, init_us=1, first_us=1, avg_us=1, min_us=1, max_us=1, std_us=0
    )
    watch = RunConditions(seconds=10, other_cores=2.0)
    judged = {
        name: ValidityChecker(38).run({}, {}, watch, latency, name) for name in ("gpu", "nnapi")
    }
    assert judged == {"gpu": ["other load: 2.0 cores busy, limit 0.5"], "nnapi": []}


def test_too_few_runs():
    latency = Latency(
        runs=9, processes=1, init_us=1, first_us=1, avg_us=1, min_us=1, max_us=1, std_us=0
    )
    assert ValidityChecker(38).run({}, {}, RunConditions(), latency, "none") == [
        "too few runs: 9, minimum 10"
    ]
