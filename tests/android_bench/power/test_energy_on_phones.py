"""Energy through the whole path: adb, a job on a virtual phone, and its true power."""

import re

import pytest

from android_bench.power.metered import Metering
from tests.android_bench.conftest import left_on
from tests.support.processes import HANG_S
from tests.virtual_phone import Power

METERING = Metering(load_s=32, idle_s=12, period_s=0.25)
HEALTHY = {
    "by the ABI": Power(),
    "SD865, inverted": Power(charging_positive=False, averaging=True, noise=0.08),
    "milliamperes": Power(amps=1e-3, full_uah=0),
    "100 ms": Power(period_s=0.1, load_w=6.0),
}


def metered(bench, power, **profile):
    with bench.phone(
        power=power, usb_powered=False, simulated=True, slow_ms=80, **profile
    ) as phone:
        (row,) = bench.measure(phone, "none", metering=METERING)
        (run,) = phone.benchmarks()
        assert left_on(phone) == []
        return row, phone.plant, run


@pytest.mark.parametrize(
    "name",
    [
        "SD865, inverted",
        *(pytest.param(name, marks=pytest.mark.slow) for name in HEALTHY if "SD" not in name),
    ],
)
def test_the_energy_is_the_true_one(bench, name):
    row, plant, run = metered(bench, HEALTHY[name])
    assert row.valid, (name, row.reasons)
    assert row.energy is not None, (name, row.no_energy)
    assert row.energy.net_mw == pytest.approx(1e3 * plant.net_w(), rel=0.05), name
    assert row.energy.gross_mw == pytest.approx(1e3 * plant.gross_w(), rel=0.05), name
    times_ms = [us / 1e3 for us in run["times_us"]]
    true_mj = 1e3 * plant.net_w() * sum(times_ms) / len(times_ms) / 1e3
    assert row.energy.net_mj == pytest.approx(true_mj, rel=0.05), name
    assert row.latency.runs == len(times_ms)
    assert row.energy.unit == ("mA" if plant.power.amps == 1e-3 else "uA")
    assert row.energy.charging_is == ("positive" if plant.power.charging_positive else "negative")
    # 80 % of 4.5 Ah are left by the counter and by the level.
    if plant.power.full_uah:
        hours = 4.5 * plant.power.volts / plant.gross_w()
        assert row.energy.hours == pytest.approx(hours, rel=0.06), name
    assert row.state_before["powered"] == "none"


BATTERY = "/sys/class/power_supply/battery"


@pytest.mark.parametrize(
    ("profile", "reason"),
    [
        ({"usb_powered": True}, "powered by USB.*Wi-Fi"),
        ({"dumpsys": {"battery": None}}, "not known whether the phone is charging"),
        ({"files": {f"{BATTERY}/current_now": None}}, "current_now can't be read.*no such node"),
    ],
)
def test_what_can_not_be_metered_is_timed_all_the_same(bench, profile, reason):
    with bench.phone(**{"usb_powered": False, **profile}) as phone:
        (row,) = bench.measure(phone, "none", metering=METERING)
        assert left_on(phone) == []
    assert row.valid and row.latency is not None
    assert row.energy is None
    assert re.search(reason, row.no_energy)


def test_frozen_readings(bench):
    with bench.phone(usb_powered=False) as phone:
        bench.adb.run("-s", phone.serial, "shell", "dumpsys battery unplug", timeout_s=HANG_S)
        (row,) = bench.measure(phone, "none", metering=METERING)
        # They were frozen before: that is not ours to undo.
        assert "UPDATES STOPPED" in bench.adb.run(
            "-s", phone.serial, "shell", "dumpsys battery", timeout_s=HANG_S
        ).stdout  # fmt: skip
    assert row.valid
    assert "frozen | to do: adb shell dumpsys battery reset" in row.no_energy


def test_only_the_first_process_is_metered(bench):
    with bench.phone(usb_powered=True) as phone:
        rows = bench.processes(phone, bench.tasks("none", processes=3), metering=METERING)
    assert {row.process: row.no_energy is None for row in rows} == {1: False, 2: True, 3: True}


def test_a_charger_that_the_phone_does_not_tell_of(bench):
    row, _, _ = metered(bench, Power(charging_w=5.0))
    assert row.valid and row.energy is None
    assert re.search("was charging|not plausible for a phone on battery", row.no_energy)
