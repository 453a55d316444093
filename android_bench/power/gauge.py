"""Working out what a gauge's numbers mean: unit, sign, how often it measures.

No table of phones: kernels, vendors and versions differ (microamperes by the kernel's ABI,
milliamperes on some phones; charging positive by Android's HAL, negative on many Qualcomm gauges).
So both are concluded from what is seen when the phone is idle, then loaded, on battery: a phone
that works draws more, within what a phone can draw. What fits twice, or not at all, is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from android_bench.power.trace import Trace
from zoo.errors import ZooError

# Watts that a phone can draw: loaded on all sides, and with one core busy and the screen off.
_LOADED_W = (0.12, 22.0)
_IDLE_W = (0.004, 12.0)
_VOLTS = (2.5, 10.0)  # one cell, or two in series
_CLEAR = 4.0  # standard errors between idle and load, below which nothing can be concluded
_COUNTER_STEPS = 3  # of the charge counter, fewer say nothing
_COUNTER_TOLERANCE = 0.5


class PowerProblem(ZooError):
    """Why no power can be told."""


@dataclass(frozen=True)
class Gauge:
    """What a reading of the current is.

    Attributes:
        amps: of one unit, 1e-6 or 1e-3.
        sign: 1 where charging is positive, as Android's HAL has it, else -1.
        volts: of one unit of the voltage.
        evidence: what it was concluded from.
    """

    amps: float
    sign: Literal[1, -1]
    volts: float
    evidence: tuple[str, ...]

    def watts(self, trace: Trace) -> np.ndarray:
        """(n,) what the battery gives; negative while it is charged."""
        current, voltage = trace.columns["current_now"], trace.columns["voltage_now"]
        return -self.sign * self.amps * self.volts * current * voltage


@dataclass(frozen=True, eq=False)
class Readings:
    """What a gauge measured anew, each reading until the next one.

    Attributes:
        held_s: (n,) how long it was the latest.
        rows: (n,) of the trace.
    """

    held_s: np.ndarray
    rows: np.ndarray

    @property
    def period_s(self) -> float:
        """How often the gauge measures; NaN where fewer than two readings are whole."""
        return float(np.median(self.held_s)) if len(self.held_s) else float("nan")


def distinct(trace: Trace) -> Readings:
    """The readings of the current that differ from the one before.

    The first and the last are left out: how long they were held is not known.
    """
    current = trace.columns["current_now"]
    known = np.flatnonzero(~np.isnan(current))
    changed = known[1:][np.diff(current[known]) != 0]
    return Readings(np.diff(trace.boot_s[changed]), changed[:-1])


def volts_of(voltage: np.ndarray) -> float:
    """Volts of one unit, from readings of a battery's voltage.

    Raises:
        PowerProblem: no unit makes a battery of it.
    """
    known = voltage[~np.isnan(voltage)]
    if not len(known):
        raise PowerProblem("the battery's voltage can't be read")
    fitting = [
        unit for unit in (1e-6, 1e-3) if (_VOLTS[0] < known * unit).all()
        and (known * unit < _VOLTS[1]).all()
    ]  # fmt: skip
    if not fitting:
        raise PowerProblem(
            "the battery's voltage is in no known unit",
            expected="2.5 to 10 V, in µV or mV",
            got=f"{known.min():g} to {known.max():g}",
        )
    return fitting[0]


def calibrate(idle: Trace, load: Trace) -> Gauge:
    """Concludes unit and sign from a phone that was idle and then loaded, on battery.

    Args:
        idle: sampled without a load, before and after together or one of them.
        load: sampled under load.

    Raises:
        PowerProblem: the current can't be read, stands still, does not change with the load, or
            fits no unit or two.
    """
    for name in ("current_now", "voltage_now"):
        if name not in load.columns or name not in idle.columns:
            how = load.refused.get(name, "missing")
            raise PowerProblem(f"the battery's {name.split('_')[0]} can't be read", got=how)
    volts = volts_of(np.concatenate([idle.columns["voltage_now"], load.columns["voltage_now"]]))
    still, busy = (_level(part) for part in (idle, load))
    rise, uncertainty = busy.mean - still.mean, np.hypot(busy.error, still.error)
    if abs(rise) <= _CLEAR * uncertainty:
        raise PowerProblem(
            "the current does not change with the load, so that its sign can't be told",
            got=f"{still.mean:.4g} idle, {busy.mean:.4g} loaded, ± {uncertainty:.2g}",
        )
    # More is drawn under load: what moved the reading upwards is discharging.
    sign: Literal[1, -1] = -1 if rise > 0 else 1
    volt = volts * float(np.nanmedian(load.columns["voltage_now"]))
    fitting = []
    for amps in (1e-6, 1e-3):
        loaded_w, idle_w = (-sign * amps * volt * level.mean for level in (busy, still))
        if _LOADED_W[0] < loaded_w < _LOADED_W[1] and _IDLE_W[0] < idle_w < _IDLE_W[1]:
            fitting.append(amps)
    seen = f"{still.mean:.4g} idle, {busy.mean:.4g} loaded, at {volt:.2f} V"
    if not fitting:
        raise PowerProblem(
            "the current is that of no phone on battery, in no unit",
            expected=f"{_LOADED_W[0]} to {_LOADED_W[1]} W under load, in µA or mA, discharging",
            got=seen,
        )
    evidence = [f"current_now {seen}"]
    charged = _by_counter(idle, load)
    if charged is not None:
        counted, of_rows = charged
        agreeing = [
            amps
            for amps in fitting
            if abs(-sign * amps * of_rows - counted) <= _COUNTER_TOLERANCE * counted
        ]
        if not agreeing:
            raise PowerProblem(
                "the current and the charge counter contradict each other",
                expected=f"{counted:.3g} As drawn, as the counter says",
                got=", ".join(f"{-sign * amps * of_rows:.3g} As" for amps in fitting),
            )
        fitting = agreeing
        evidence.append(f"the charge counter fell by {counted:.3g} As")
    if len(fitting) > 1:
        raise PowerProblem("the current fits two units", expected="µA or mA", got=seen)
    return Gauge(fitting[0], sign, volts, tuple(evidence))


@dataclass(frozen=True)
class _Level:
    mean: float
    error: float


def _level(trace: Trace) -> _Level:
    current = trace.columns["current_now"]
    known = current[~np.isnan(current)]
    readings = distinct(trace)
    if len(known) < 2 or not known.any():
        raise PowerProblem("the battery's current can't be read, or is always 0")
    if len(readings.rows) < 2:
        raise PowerProblem(
            "the battery's current stands still",
            got=f"{len(readings.rows)} changes in {np.ptp(trace.boot_s):.0f} s",
            remedy="measure longer",
        )
    values = current[readings.rows]
    mean = float(np.average(values, weights=readings.held_s))
    return _Level(mean, standard_error(values))


def standard_error(values: np.ndarray) -> float:
    """Of the mean of readings that may resemble the ones before them (a first-order process)."""
    n = len(values)
    spread = values - values.mean()
    square = float((spread**2).sum())
    if n < 2 or square == 0:
        return 0.0
    rho = min(max(float((spread[1:] * spread[:-1]).sum()) / square, 0.0), 0.95)
    return float(np.sqrt(square / (n - 1) / n * (1 + rho) / (1 - rho)))


def _by_counter(idle: Trace, load: Trace) -> tuple[float, float] | None:
    """Ampere seconds that the charge counter fell by under load, and unit seconds of the current.

    Counters have steps, of which a few are needed; None where there are not.
    """
    counter = load.columns.get("charge_counter")
    if counter is None or np.isnan(counter).all():
        return None
    known = np.flatnonzero(~np.isnan(counter))
    steps = known[1:][np.diff(counter[known]) != 0]
    if len(steps) <= _COUNTER_STEPS:
        return None
    first, last = steps[0], steps[-1]
    fallen = float(counter[first] - counter[last]) * 1e-6 * 3600
    part = slice(first, last + 1)
    current, at = load.columns["current_now"][part], load.boot_s[part]
    sure = ~np.isnan(current)
    between = (current[sure][1:] + current[sure][:-1]) / 2
    return fallen, float((between * np.diff(at[sure])).sum())
