"""Calibrates a battery gauge: determines unit and sign of its current, and its update period.

A table of phones would not work, as kernels, vendors and versions differ: the kernel's ABI
specifies microamperes, but some phones report milliamperes; Android's HAL specifies positive values
for charging, but many Qualcomm gauges report negative ones. Unit and sign are therefore inferred
from idle and load on battery: a loaded phone draws more power, within plausible limits. Data that
fit both units or neither are rejected.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from android_bench.power.trace import Trace
from zoo.errors import ZooError

# Plausible power of a phone, from one busy core with the screen off to everything loaded.
_LOADED_W = (0.12, 22.0)
_IDLE_W = (0.004, 12.0)
_VOLTS = (2.5, 10.0)  # one cell, or two in series
_CLEAR = 4.0  # minimum difference of idle and load, in standard errors
_COUNTER_STEPS = 3  # the charge counter is used if it has more steps
_COUNTER_TOLERANCE = 0.5


class PowerProblem(ZooError):
    """The power or energy cannot be determined."""


@dataclass(frozen=True)
class Gauge:
    """Units and sign of a gauge's readings.

    Attributes:
        amps: Amperes per unit of the current: 1e-6 or 1e-3.
        sign: 1 if charging is positive, as in Android's HAL, else -1.
        volts: Volts per unit of the voltage: 1e-6 or 1e-3.
        evidence: Observations that units and sign were inferred from.
    """

    amps: float
    sign: Literal[1, -1]
    volts: float
    evidence: tuple[str, ...]

    def watts(self, trace: Trace) -> np.ndarray:
        """Returns the battery's output power in W, float64 (n,); negative while charging."""
        current, voltage = trace.columns["current_now"], trace.columns["voltage_now"]
        return -self.sign * self.amps * self.volts * current * voltage


@dataclass(frozen=True, eq=False)
class Readings:
    """Distinct readings of a gauge; each is valid until the next one.

    Attributes:
        held_s: (n,) seconds until the next distinct reading.
        rows: (n,) row numbers in the trace.
    """

    held_s: np.ndarray
    rows: np.ndarray

    @property
    def period_s(self) -> float:
        """Median update period of the gauge in seconds; NaN if there are no distinct readings."""
        return float(np.median(self.held_s)) if len(self.held_s) else float("nan")


def distinct(trace: Trace) -> Readings:
    """Returns the readings of the current that differ from the previous one.

    The first and the last reading are omitted, as their durations are unknown.
    """
    current = trace.columns["current_now"]
    known = np.flatnonzero(~np.isnan(current))
    changed = known[1:][np.diff(current[known]) != 0]
    return Readings(np.diff(trace.boot_s[changed]), changed[:-1])


def volts_of(voltage: np.ndarray) -> float:
    """Infers the unit of the battery's voltage readings; returns volts per unit.

    Raises:
        PowerProblem: if there are no readings or they are not plausible in any unit.
    """
    known = voltage[~np.isnan(voltage)]
    if not len(known):
        raise PowerProblem("the battery's voltage can't be read")
    units = [
        unit for unit in (1e-6, 1e-3) if (_VOLTS[0] < known * unit).all()
        and (known * unit < _VOLTS[1]).all()
    ]  # fmt: skip
    if not units:
        raise PowerProblem(
            "the battery's voltage is not plausible in any unit",
            expected="2.5 to 10 V, in µV or mV",
            got=f"{known.min():g} to {known.max():g}",
        )
    return units[0]


def calibrate(idle: Trace, load: Trace) -> Gauge:
    """Infers units and sign from samples of an idle and a loaded phone on battery.

    Args:
        idle: Samples without load, from before the load, after it or both.
        load: Samples under load.

    Raises:
        PowerProblem: if the current cannot be read, is constant, does not change with the load, or
            is plausible in neither or both units.
    """
    for name in ("current_now", "voltage_now"):
        if name not in load.columns or name not in idle.columns:
            reason = load.refused.get(name, "missing")
            raise PowerProblem(f"the battery's {name.split('_')[0]} can't be read", got=reason)
    volts = volts_of(np.concatenate([idle.columns["voltage_now"], load.columns["voltage_now"]]))
    still, busy = (_level(part) for part in (idle, load))
    rise, uncertainty = busy.mean - still.mean, np.hypot(busy.error, still.error)
    if abs(rise) <= _CLEAR * uncertainty:
        raise PowerProblem(
            "the current does not change with the load, so its sign is unknown",
            got=f"{still.mean:.4g} idle, {busy.mean:.4g} loaded, ± {uncertainty:.2g}",
        )
    # The phone draws more under load, so the sign of the change is the sign of discharging.
    sign: Literal[1, -1] = -1 if rise > 0 else 1
    volt = volts * float(np.nanmedian(load.columns["voltage_now"]))
    candidates = []
    for amps in (1e-6, 1e-3):
        loaded_w, idle_w = (-sign * amps * volt * level.mean for level in (busy, still))
        if _LOADED_W[0] < loaded_w < _LOADED_W[1] and _IDLE_W[0] < idle_w < _IDLE_W[1]:
            candidates.append(amps)
    observed = f"{still.mean:.4g} idle, {busy.mean:.4g} loaded, at {volt:.2f} V"
    if not candidates:
        raise PowerProblem(
            "the current is not plausible for a phone on battery in any unit",
            expected=f"{_LOADED_W[0]} to {_LOADED_W[1]} W under load, in µA or mA, discharging",
            got=observed,
        )
    evidence = [f"current_now {observed}"]
    charges = _by_counter(idle, load)
    if charges is not None:
        counted, integral = charges
        agreeing = [
            amps
            for amps in candidates
            if abs(-sign * amps * integral - counted) <= _COUNTER_TOLERANCE * counted
        ]
        if not agreeing:
            raise PowerProblem(
                "the current and the charge counter contradict each other",
                expected=f"{counted:.3g} As discharged, according to the counter",
                got=", ".join(f"{-sign * amps * integral:.3g} As" for amps in candidates),
            )
        candidates = agreeing
        evidence.append(f"the charge counter fell by {counted:.3g} As")
    if len(candidates) > 1:
        raise PowerProblem(
            "the current is plausible in two units", expected="µA or mA", got=observed
        )
    return Gauge(candidates[0], sign, volts, tuple(evidence))


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
            "the battery's current reading does not update",
            got=f"{len(readings.rows)} changes in {np.ptp(trace.boot_s):.0f} s",
            remedy="measure longer",
        )
    values = current[readings.rows]
    mean = float(np.average(values, weights=readings.held_s))
    return _Level(mean, standard_error(values))


def standard_error(values: np.ndarray) -> float:
    """Returns the standard error of the mean of autocorrelated readings.

    The readings are modeled as a first-order autoregressive process.
    """
    n = len(values)
    deviations = values - values.mean()
    square = float((deviations**2).sum())
    if n < 2 or square == 0:
        return 0.0
    rho = min(max(float((deviations[1:] * deviations[:-1]).sum()) / square, 0.0), 0.95)
    return float(np.sqrt(square / (n - 1) / n * (1 + rho) / (1 - rho)))


def _by_counter(idle: Trace, load: Trace) -> tuple[float, float] | None:
    """Compares the charge counter with the current under load.

    Returns:
        Discharge by the counter in ampere seconds, and the time integral of the raw current between
        the same steps of the counter; None if the counter has too few steps.
    """
    counter = load.columns.get("charge_counter")
    if counter is None or np.isnan(counter).all():
        return None
    known = np.flatnonzero(~np.isnan(counter))
    steps = known[1:][np.diff(counter[known]) != 0]
    if len(steps) <= _COUNTER_STEPS:
        return None
    first, last = steps[0], steps[-1]
    discharged = float(counter[first] - counter[last]) * 1e-6 * 3600
    part = slice(first, last + 1)
    current, at = load.columns["current_now"][part], load.boot_s[part]
    valid = ~np.isnan(current)
    midpoints = (current[valid][1:] + current[valid][:-1]) / 2
    return discharged, float((midpoints * np.diff(at[valid])).sum())
