"""Simulated battery gauges with a known true power, and the samples that they would give."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from android_bench.power.energy import Window

_STEP_S = 0.01  # time step of the simulated power


@dataclass(frozen=True, kw_only=True)
class Phone:
    """A phone on battery that is idle, then under load, then idle again.

    Attributes:
        idle_w: Mean idle power before the load.
        load_w: Mean power under load.
        drift_w: Increase of the idle power after the load.
        noise: Standard deviation of the power relative to its mean; varies within about a second.
        volts: Voltage of the idle battery.
        ohms: Internal resistance, which lowers the voltage under load.
        period_s: Time between two measurements of the gauge.
        averaging: Whether the gauge gives the mean current since its last measurement instead of
            the current at that moment.
        amps: Amperes per unit of current_now.
        charging_positive: Whether current_now is positive while charging, as Android documents it.
        steps: Resolution of current_now, in its units.
        counter_step_uah: Resolution of the charge counter; 0 for a phone without one.
        idle_s: Length of each idle window.
        load_s: Length of the load.
        sample_s: Approximate time between two samples.
    """

    idle_w: float = 0.6
    load_w: float = 3.5
    drift_w: float = 0.0
    noise: float = 0.05
    volts: float = 3.95
    ohms: float = 0.06
    period_s: float = 1.0
    averaging: bool = False
    amps: float = 1e-6
    charging_positive: bool = True
    steps: float = 1.0
    counter_step_uah: float = 1.0
    idle_s: float = 30.0
    load_s: float = 60.0
    sample_s: float = 0.1


@dataclass(frozen=True, eq=False)
class Sampled:
    """Output of a sampler, with the true power.

    Attributes:
        text: The sampler's output.
        before: Idle window before the load.
        load: Window under load.
        after: Idle window after the load.
        net_w: True mean power under load, minus the mean of the two idle windows.
        gross_w: True mean power under load.
    """

    text: str
    before: Window
    load: Window
    after: Window
    net_w: float
    gross_w: float


def sampled(phone: Phone, seed: int = 0, kind: str = "native") -> Sampled:
    """Simulates a phone and its sampler.

    Args:
        phone: The phone.
        seed: Seed of the noise and of the sampling times.
        kind: Kind of sampler: `native` or `loop`.
    """
    draw = np.random.default_rng(seed)
    lengths = (phone.idle_s, phone.load_s, phone.idle_s)
    edges = np.cumsum((0.0, *lengths))
    at = np.arange(0, edges[-1], _STEP_S)
    levels = (phone.idle_w, phone.load_w, phone.idle_w + phone.drift_w)
    which = np.searchsorted(edges[1:-1], at, side="right")
    watts = np.array(levels)[which] * (1 + phone.noise * _wandering(draw, len(at)))
    watts = np.maximum(watts, 0.3 * np.array(levels)[which])
    volts = phone.volts - phone.ohms * watts / phone.volts
    amperes = watts / volts
    # The gauge measures periodically and repeats the last reading in between.
    first = draw.uniform(0, phone.period_s)
    measured = np.arange(first, edges[-1], phone.period_s)
    index = np.minimum((measured / _STEP_S).astype(int), len(at) - 1)
    shown = amperes[index]
    if phone.averaging:
        total = np.concatenate([[0], np.cumsum(amperes)])
        begin = np.maximum(index - round(phone.period_s / _STEP_S), 0)
        shown = (total[index + 1] - total[begin]) / (index + 1 - begin)
    count = int(edges[-1] / phone.sample_s)
    late = draw.uniform(0, 0.2 * phone.sample_s, count)
    taken = np.arange(count) * phone.sample_s + late
    row = np.minimum((taken / _STEP_S).astype(int), len(at) - 1)
    latest = np.searchsorted(measured, taken, side="right") - 1
    sign = -1 if phone.charging_positive else 1
    unit = phone.amps * phone.steps
    current = sign * np.rint(shown[np.maximum(latest, 0)] / unit) * phone.steps
    voltage = np.rint(volts[row] * 1e3) * 1e3
    used = np.cumsum(amperes) * _STEP_S / 3600e-6
    counter = 3_000_000 - used[row]
    boot = 5_000_000_000
    nodes = ["current_now", "voltage_now"]
    columns = [current, voltage]
    if phone.counter_step_uah:
        nodes.append("charge_counter")
        columns.append(np.floor(counter / phone.counter_step_uah) * phone.counter_step_uah)
    lines = [f"mmz-sampler 1 {kind}"]
    lines += [f"node {name} /sys/class/power_supply/battery/{name}" for name in nodes]
    lines.append("start")
    for i, moment in enumerate(taken):
        us = boot + int(moment * 1e6)
        awake = "-" if kind == "loop" else str(us - 1_000_000_000)
        lines.append(" ".join([awake, str(us), *(str(int(column[i])) for column in columns)]))
    before, load, after = (
        Window(boot / 1e6 + a, boot / 1e6 + b) for a, b in itertools.pairwise(edges)
    )
    means = [watts[which == i].mean() for i in range(3)]
    return Sampled(
        "\n".join(lines) + "\n", before, load, after,
        float(means[1] - (means[0] + means[2]) / 2), float(means[1]),
    )  # fmt: skip


def _wandering(draw: np.random.Generator, n: int) -> np.ndarray:
    """Returns noise of unit variance, partly white and partly varying within a second."""
    slow = draw.standard_normal(n // 50 + 2)
    smooth = np.interp(np.arange(n), np.arange(len(slow)) * 50, slow)
    return (smooth + draw.standard_normal(n)) / np.sqrt(2)
