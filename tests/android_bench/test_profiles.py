"""Every make of phone, measured through the real adb client and held against what was true."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from android_bench.power import sampler
from android_bench.power.metered import Metering
from android_bench.tasks import schedule
from tests.android_bench.conftest import Bench, left_on
from tests.virtual_phone.power import PowerPlant
from tests.virtual_phone.profiles import PROFILES, Specimen
from zoo.results import Measurement

# Long enough for a gauge that shows the same whole milliampere twice and more.
METERING = Metering(load_s=32, idle_s=14)
SEEDS = (1, 2)


@dataclass(frozen=True)
class Found:
    """What was measured on a phone, and what was true there."""

    name: str
    specimen: Specimen
    row: Measurement
    runs: list[dict[str, object]]
    plant: PowerPlant | None
    left: list[str]
    sandbox: str


@pytest.fixture(scope="module")
def native(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The sampler's program for this computer in the place of that for a phone."""
    compiler = shutil.which("cc")
    if compiler is None:
        yield  # the shell's loop then, on every phone
        return
    own = tmp_path_factory.mktemp("sampler") / "sampler"
    subprocess.run([compiler, "-O1", "-static", "-o", own, sampler.SOURCE], check=True)
    with pytest.MonkeyPatch.context() as patch:
        found = sampler.native(own, None)
        patch.setattr(sampler, "native", lambda: found)
        yield


@pytest.fixture(scope="module")
def every(bench: Bench, native: None) -> dict[tuple[str, int], Found]:
    """All phones with all seeds, measured at the same time: nearly all of it is waiting."""
    wanted = [(name, seed) for name in PROFILES for seed in SEEDS]
    with ThreadPoolExecutor(len(wanted)) as pool:
        found = pool.map(lambda one: measured(bench, *one), wanted)
        return dict(zip(wanted, found, strict=True))


def measured(bench: Bench, name: str, seed: int) -> Found:
    specimen = PROFILES[name](seed)
    (case,) = bench.cases("none")
    configuration = case.configuration.model_copy(update={"cores": specimen.cores})
    tasks = schedule([replace(case, configuration=configuration)], 1, "phone", {"seed": seed})
    with bench.phone_like(specimen.profile) as phone:
        (row,) = bench.processes(
            phone, tasks, metering=METERING, timeout_s=90.0, num_runs=20, cool_down_s=1.0
        )
        left = left_on(phone, 10.0)
        return Found(name, specimen, row, phone.benchmarks(), phone.plant, left, phone.sandbox)


def of_all(good: bool) -> list[tuple[str, int]]:
    return [
        (name, seed) for name in PROFILES for seed in SEEDS if PROFILES[name](seed).healthy == good
    ]


def times_us(found: Found) -> list[float]:
    (run,) = found.runs
    assert isinstance(run["times_us"], list)
    return run["times_us"]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "seed"), of_all(good=True))
def test_a_healthy_phones_figures_are_the_true_ones(every, name, seed):
    found = every[name, seed]
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


@pytest.mark.slow
@pytest.mark.parametrize(("name", "seed"), of_all(good=False))
def test_what_can_not_be_told_is_refused_with_its_reason(every, name, seed):
    found = every[name, seed]
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


def test_a_throttled_phone_is_really_slower(bench: Bench, tmp_path: Path):
    specimen = PROFILES["throttling"](1)
    heat = specimen.profile.throttle
    assert heat is not None
    profile = replace(specimen.profile, throttle=replace(heat, after_s=0.6))
    with bench.phone_like(profile) as phone:
        bench.measure(phone, "none", num_runs=150)
        times = phone.benchmarks()[0]["times_us"]
        assert isinstance(times, list)
        # The least of some, since a busy computer only makes an inference slower.
        assert min(times[:20]) / min(times[-30:]) == pytest.approx(heat.ratio, rel=0.15)
        policy = "/sys/devices/system/cpu/cpufreq/policy0"
        limits = [int(phone.path(f"{policy}/{n}_max_freq").read_text()) for n in ("scaling",
                  "cpuinfo")]  # fmt: skip
        assert limits[0] / limits[1] == pytest.approx(heat.ratio, rel=1e-3)
        assert "Thermal Status: 3" in bench.adb.run(
            "-s", phone.serial, "shell", "dumpsys thermalservice", timeout_s=10
        ).stdout  # fmt: skip
