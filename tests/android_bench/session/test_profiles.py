"""Every make of phone, measured through the real adb client and held against what was true."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import pytest

from android_bench.power.metered import Metering
from android_bench.tasks.schedule import schedule
from tests.android_bench.conftest import Bench, left_on
from tests.support.processes import HANG_S
from tests.virtual_phone.power import PowerPlant
from tests.virtual_phone.profiles import PROFILES, Specimen
from zoo.schema.measurement import Measurement

# Long enough for a gauge that shows the same whole milliampere twice and more.
METERING = Metering(load_s=32, idle_s=14, period_s=0.25)
SEEDS = (1, 2)


# One for each mechanism; the others are the same ones on other makes.
FEW = {
    ("snapdragon_865", 1), ("hot", 1), ("offline_core", 1),
}  # fmt: skip


@dataclass(frozen=True)
class Found:
    """What was measured on a phone, and what was true there."""

    specimen: Specimen
    row: Measurement
    runs: list[dict[str, object]]
    plant: PowerPlant | None
    left: list[str]
    sandbox: str


def measured(bench: Bench, name: str, seed: int) -> Found:
    specimen = PROFILES[name](seed)
    (case,) = bench.cases("none")
    configuration = case.configuration.model_copy(update={"cores": specimen.cores})
    tasks = schedule([replace(case, configuration=configuration)], 1, "phone", {"seed": seed})
    with bench.phone_like(replace(specimen.profile, simulated=True)) as phone:
        (row,) = bench.processes(phone, tasks, metering=METERING, num_runs=20, cool_down_s=0.0)
        left = left_on(phone)
        return Found(specimen, row, phone.benchmarks(), phone.plant, left, phone.sandbox)


def of_all(good: bool) -> list[object]:
    return [
        pytest.param(
            name, seed, marks=[] if (name, seed) in FEW else [pytest.mark.slow], id=f"{name}-{seed}"
        )
        for name in PROFILES
        for seed in SEEDS
        if PROFILES[name](seed).healthy == good
    ]


def times_us(found: Found) -> list[float]:
    (run,) = found.runs
    assert isinstance(run["times_us"], list)
    return run["times_us"]


@pytest.mark.parametrize(("name", "seed"), of_all(good=True))
def test_a_healthy_phones_figures_are_the_true_ones(bench: Bench, name: str, seed: int):
    found = measured(bench, name, seed)
    row, plant, times = found.row, found.plant, times_us(found)
    mean_us = sum(times) / len(times)
    assert row.valid, row.reasons
    assert row.latency.runs == len(times)
    assert row.latency.avg_us == pytest.approx(mean_us, rel=0.02)
    assert (row.latency.min_us, row.latency.max_us) == (min(times), max(times))
    assert row.energy is not None, row.no_energy
    assert row.energy.net_mw == pytest.approx(1e3 * plant.net_w(), rel=0.05)
    assert row.energy.gross_mw == pytest.approx(1e3 * plant.gross_w(), rel=0.05)
    assert row.energy.net_mj == pytest.approx(plant.net_w() * mean_us / 1e3, rel=0.05)
    assert row.energy.unit == ("mA" if plant.power.amps == 1e-3 else "uA")
    assert row.energy.charging_is == ("positive" if plant.power.charging_positive else "negative")
    assert found.left == []


@pytest.mark.parametrize(("name", "seed"), of_all(good=False))
def test_what_can_not_be_told_is_refused_with_its_reason(bench: Bench, name: str, seed: int):
    found = measured(bench, name, seed)
    row, truth = found.row, found.specimen
    if truth.profile.denied and found.sandbox != "namespace":
        pytest.skip("without namespaces this computer's user reads every node")
    if truth.no_latency is not None:
        assert not row.valid
        assert re.search(truth.no_latency, "; ".join(row.reasons)), row.reasons
    else:
        assert row.valid, row.reasons
        mean_us = sum(times_us(found)) / len(times_us(found))
        assert row.latency.avg_us == pytest.approx(mean_us, rel=0.02)
    if truth.no_energy is not None:
        assert row.energy is None
        assert re.search(truth.no_energy, row.no_energy), row.no_energy
    assert found.left == []


def test_seeds_make_different_phones_and_the_same_ones_again():
    for name, factory in PROFILES.items():
        profiles = [factory(seed).profile for seed in range(5)]
        assert len({(p.model, p.battery_level, p.slow_ms) for p in profiles}) == 5, name
        assert factory(3) == factory(3), name


def test_a_throttled_phone_is_really_slower(bench: Bench):
    specimen = PROFILES["throttling"](1)
    heat = specimen.profile.throttle
    assert heat is not None
    profile = replace(specimen.profile, throttle=replace(heat, after_s=6.0), simulated=True)
    with bench.phone_like(profile) as phone:
        bench.measure(phone, "none", num_runs=150)
        times = phone.benchmarks()[0]["times_us"]
        assert isinstance(times, list)
        assert min(times[:20]) / min(times[-30:]) == pytest.approx(heat.ratio, rel=0.15)
        policy = "/sys/devices/system/cpu/cpufreq/policy0"
        limits = [int(phone.path(f"{policy}/{n}_max_freq").read_text()) for n in ("scaling",
                  "cpuinfo")]  # fmt: skip
        assert limits[0] / limits[1] == pytest.approx(heat.ratio, rel=1e-3)
        assert "Thermal Status: 3" in bench.adb.run(
            "-s", phone.serial, "shell", "dumpsys thermalservice", timeout_s=HANG_S
        ).stdout  # fmt: skip
