"""Phones of many kinds with random parameters, and the expected outcome for each.

The seed determines clock rates, powers, noise, levels and names within realistic ranges, so that
the harness cannot be tuned to a single phone.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.virtual_phone.power import Power, Throttle
from tests.virtual_phone.profile import Cluster, PhoneProfile

_SUPPLY = "/sys/class/power_supply/battery"
_ZONES = "/sys/class/thermal/thermal_zone"


@dataclass(frozen=True)
class Specimen:
    """A phone and the expected outcome of measuring it.

    Attributes:
        profile: Profile of the phone.
        no_energy: Pattern of the reason for missing energy; None if it can be measured.
        no_latency: Pattern of the reason for an invalid latency; None if it is valid.
        cores: Cores that the case requests.
    """

    profile: PhoneProfile
    no_energy: str | None = None
    no_latency: str | None = None
    cores: str = ""

    @property
    def healthy(self) -> bool:
        """Whether both energy and latency can be measured."""
        return self.no_energy is None and self.no_latency is None


Factory = Callable[[int], Specimen]


def _clusters(draw: random.Random, counts: tuple[int, ...]) -> tuple[Cluster, ...]:
    """Draws clusters with the given numbers of cores, from the slowest to the fastest."""
    khz, first, clusters = draw.randrange(1_500_000, 1_950_000, 4_800), 0, []
    for count in counts:
        cpus = tuple(range(first, first + count))
        clusters.append(Cluster(cpus, khz, draw.choice((300_000, 576_000, 710_400))))
        first += count
        khz += draw.randrange(240_000, 620_000, 4_800)
    return tuple(clusters)


def _power(draw: random.Random, **fixed: Any) -> Power:
    volts = draw.uniform(3.72, 4.25)
    drawn = {
        "idle_w": draw.uniform(0.35, 0.9),
        "load_w": draw.uniform(2.4, 6.0),
        "noise": draw.uniform(0.02, 0.06),
        "volts": volts,
        "ohms": draw.uniform(0.03, 0.09),
        "period_s": draw.uniform(0.8, 1.1),
        "full_uah": draw.randrange(3_000_000, 5_200_000, 50_000),
        "seed": draw.randrange(2**31),
    }
    return Power(**{**drawn, **fixed})


def _profile(draw: random.Random, counts: tuple[int, ...], **fixed: Any) -> PhoneProfile:
    drawn = {
        "clusters": _clusters(draw, counts),
        "usb_powered": False,
        "battery_level": draw.randrange(35, 97),
        "battery_temp_c": draw.uniform(21.0, 33.0),
        "slow_ms": draw.uniform(55.0, 120.0),
        "litert": False,
        "model": f"VP{draw.randrange(1000, 10_000)}",
    }
    return PhoneProfile(**{**drawn, **fixed})


# Healthy phones.


def snapdragon_865(seed: int) -> Specimen:
    """A gauge that averages over a second and is positive while discharging."""
    draw = random.Random(seed)
    power = _power(draw, charging_positive=False, averaging=True, period_s=1.0)
    return Specimen(_profile(draw, (4, 3, 1), power=power, battery_style="android_13"))


def samsung_ma(seed: int) -> Specimen:
    """Current in mA, no charge counter below /sys, and special lines in `dumpsys battery`."""
    draw = random.Random(seed)
    chip = draw.choice((("s5e9925", "S5E9925"), ("kalama", "SM8550")))
    return Specimen(
        _profile(
            draw,
            draw.choice(((4, 3, 1), (4, 4), (6, 2))),
            manufacturer="samsung",
            board_platform=chip[0],
            soc_model=chip[1],
            battery_style="samsung",
            power=_power(draw, amps=1e-3, full_uah=0),
        )
    )


def android_6(seed: int) -> Specimen:
    """No exit codes, no thermal service, and an old tool; sampled by a loop in the shell."""
    draw = random.Random(seed)
    return Specimen(
        _profile(
            draw,
            draw.choice(((4, 4), (4,))),
            android_release="6.0.1",
            sdk=23,
            shell_v2=False,
            thermal_service=False,
            build_percentiles=False,
            battery_style="android_6",
            properties={"ro.product.cpu.abi": draw.choice(("armeabi-v7a", "arm64-v8a"))},
            power=_power(draw),
        )
    )


def pixel(seed: int) -> Specimen:
    """Tensor with 4+2+2 cores; unit and sign of the ABI, power rails not readable by the shell."""
    draw = random.Random(seed)
    return Specimen(
        _profile(
            draw,
            (4, 2, 2),
            manufacturer="Google",
            board_platform="gs201",
            soc_model="Tensor G2",
            android_release="14",
            sdk=34,
            battery_style="android_14",
            files={"/sys/bus/iio/devices/iio:device0/energy_value": "t=1\n"},
            denied=("/sys/bus/iio/devices/iio:device0/energy_value",),
            power=_power(draw, period_s=draw.choice((0.25, 1.0))),
        )
    )


def quick_gauge(seed: int) -> Specimen:
    """A gauge with a reading every 100 ms, and unusual clusters."""
    draw = random.Random(seed)
    return Specimen(
        _profile(
            draw,
            draw.choice(((2, 2, 2, 2), (6, 2), (1, 3, 4))),
            battery_style="android_13",
            power=_power(draw, period_s=0.1, charging_positive=draw.random() < 0.5),
        )
    )


def odd_zones(seed: int) -> Specimen:
    """Thermal zones whose values are not temperatures."""
    draw = random.Random(seed)
    values = ("-40000", "-2147483648", "125000000", "", "0", "on")
    files = {f"{_ZONES}{n}/temp": f"{value}\n" for n, value in enumerate(values, start=2)}
    names = {f"{_ZONES}{n}/type": f"odd-{n}\n" for n in range(2, 2 + len(values))}
    return Specimen(_profile(draw, (4, 4), files={**files, **names}, power=_power(draw)))


# Phones without energy.


def denied_s23(seed: int) -> Specimen:
    """Battery files that the shell user may not read."""
    draw = random.Random(seed)
    names = ("current_now", "voltage_now", "charge_counter", "temp", "status", "capacity")
    profile = _profile(
        draw,
        (3, 4, 1),
        manufacturer="samsung",
        board_platform="kalama",
        battery_style="samsung",
        denied=tuple(f"{_SUPPLY}/{name}" for name in names),
    )
    return Specimen(profile, no_energy="current_now can't be read.*denies it")


def charging_usb(seed: int) -> Specimen:
    """Charged through USB."""
    draw = random.Random(seed)
    power = _power(draw, charging_w=draw.uniform(2.0, 9.0))
    profile = _profile(draw, (4, 3, 1), usb_powered=True, power=power)
    return Specimen(profile, no_energy="powered by USB.*Wi-Fi")


def secret_charger(seed: int) -> Specimen:
    """Charged without the knowledge of the battery service."""
    draw = random.Random(seed)
    power = _power(draw, charging_w=draw.uniform(6.5, 9.0))
    return Specimen(
        _profile(draw, (4, 4), power=power),
        no_energy="was charging|not plausible for a phone on battery|contradict",
    )


def stale_gauge(seed: int) -> Specimen:
    """A gauge with a reading every 10 to 30 seconds."""
    draw = random.Random(seed)
    power = _power(draw, period_s=draw.uniform(10.0, 30.0))
    return Specimen(
        _profile(draw, (4, 4), power=power),
        no_energy="too few readings|does not update|can't be read",
    )


def zero_current(seed: int) -> Specimen:
    """A gauge that always gives 0."""
    draw = random.Random(seed)
    power = _power(draw, dead=True)
    return Specimen(_profile(draw, (6, 2), power=power), no_energy="always 0")


def ambiguous(seed: int) -> Specimen:
    """A unit of 0.1 mA: values too small for microamperes and too large for milliamperes."""
    draw = random.Random(seed)
    power = _power(draw, amps=1e-4, load_w=draw.uniform(3.0, 6.0))
    return Specimen(
        _profile(draw, (4, 4), power=power),
        no_energy="not plausible for a phone on battery in any unit|contradict",
    )


def updates_stopped(seed: int) -> Specimen:
    """`dumpsys battery unplug` was run without a later `reset`."""
    draw = random.Random(seed)
    style = draw.choice(("android_9", "android_13", "android_14"))
    profile = _profile(draw, (4, 4), battery_style=style, battery_frozen=True, power=_power(draw))
    return Specimen(profile, no_energy="frozen.*battery reset")


# Phones with invalid latencies.


def throttling(seed: int) -> Specimen:
    """Throttles after some seconds of load."""
    draw = random.Random(seed)
    heat = Throttle(draw.uniform(3.0, 9.0), draw.uniform(0.55, 0.8), status=3)
    return Specimen(
        _profile(draw, (4, 3, 1), power=_power(draw), throttle=heat), no_latency="throttled"
    )


def low_battery(seed: int) -> Specimen:
    """A charge at which the battery saver is active."""
    draw = random.Random(seed)
    profile = _profile(draw, (4, 4), battery_level=draw.randrange(3, 12), power=_power(draw))
    return Specimen(profile, no_latency="low battery")


def hot(seed: int) -> Specimen:
    """Too warm at the start."""
    draw = random.Random(seed)
    profile = _profile(draw, (4, 4), battery_temp_c=draw.uniform(40.0, 47.0), power=_power(draw))
    return Specimen(profile, no_latency="hot at start")


def offline_core(seed: int) -> Specimen:
    """The fastest core is offline, so the kernel refuses a mask of only this core."""
    draw = random.Random(seed)
    profile = _profile(draw, (4, 3, 1), refused_masks=("80",), power=_power(draw))
    return Specimen(profile, no_latency="exit code 1: taskset", cores="prime")


PROFILES: Mapping[str, Factory] = {
    factory.__name__: factory
    for factory in (
        snapdragon_865, samsung_ma, android_6, pixel, quick_gauge, odd_zones,
        denied_s23, charging_usb, secret_charger, stale_gauge, zero_current, ambiguous,
        updates_stopped, throttling, low_battery, hot, offline_core,
    )
}  # fmt: skip
