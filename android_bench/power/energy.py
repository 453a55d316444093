"""Energy of an inference from a battery gauge: mean power under load less the idle power around it.

The gauge is slow and coarse, so that windows are long and what counts is the number of readings
that differ. Nothing is reported that can't be trusted: each refusal says why.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from android_bench.power.gauge import Gauge, PowerProblem, calibrate, distinct, standard_error
from android_bench.power.trace import Trace
from zoo.schema.measurement import Energy

LEAST_WINDOW_S = 30.0
LEAST_READINGS = 8  # distinct ones under load; half of them in each idle window
_SETTLING_S = 1.0  # after the load begins or ends, besides the gauge's own delay
_COVERAGE = 2.0  # standard uncertainties that are reported (about 95 %)
_MOST_UNCERTAINTY = 0.10  # of the net power, so reported
_LEAST_SHARE = 0.02  # of the gross power, below which net is a difference of errors
_ASLEEP_S = 0.5  # that the two clocks may drift apart
_POSSIBLE_GAP_S = 2.0  # between samples
_QUIETER = "measure longer, close apps, switch the screen off"


@dataclass(frozen=True)
class Window:
    """A stretch of time, in seconds since boot."""

    start_s: float
    end_s: float

    @property
    def length_s(self) -> float:
        """Its length."""
        return self.end_s - self.start_s


@dataclass(frozen=True)
class Battery:
    """What is known of the battery besides the samples.

    Attributes:
        percent: now, 0 to 100; None where the phone does not tell.
        full_uah: charge when full; None likewise.
    """

    percent: float | None = None
    full_uah: float | None = None


@dataclass(frozen=True)
class Power:
    """Of a window: the mean and its standard uncertainty, from so many readings."""

    mean_w: float
    error_w: float
    readings: int
    period_s: float


@dataclass(frozen=True)
class NetPower:
    """Under load, idle and the difference; about 95 % lie within ± `uncertainty_w` of that."""

    gross_w: float
    idle_w: float
    net_w: float
    uncertainty_w: float


def energy(
    trace: Trace,
    before: Window,
    load: Window,
    after: Window,
    inference_s: float,
    battery: Battery,
) -> Energy:
    """What one inference takes.

    Args:
        trace: of all three windows.
        before, after: without a load.
        load: while nothing but inferences ran, one after the other.
        inference_s: mean seconds of one of them.
        battery: for what is told per percent.

    Raises:
        PowerProblem: no energy can be told, or none that could be trusted.
    """
    _check(trace, before, load, after)
    parts = [_settled(trace, window) for window in (before, load, after)]
    idle = _joined(parts[0], parts[2])
    gauge = calibrate(idle, parts[1])
    first, loaded, last = (
        _power(gauge, part, name)
        for part, name in zip(parts, ("idle before", "load", "idle after"), strict=True)
    )
    _check_distinct(first, loaded, last, load)
    net = net_power(first, loaded, last)
    net_mj = 1e3 * net.net_w * inference_s
    full_j = _full_j(trace, gauge, load, battery)
    return Energy(
        gross_mw=1e3 * net.gross_w,
        idle_mw=1e3 * net.idle_w,
        net_mw=1e3 * net.net_w,
        net_mw_uncertainty=1e3 * net.uncertainty_w,
        net_mj=net_mj,
        net_mj_uncertainty=net_mj * net.uncertainty_w / net.net_w,
        inferences_per_percent=None if full_j is None else full_j / (100e-3 * net_mj),
        hours=None if full_j is None else full_j / loaded.mean_w / 3600,
        window_s=parts[1].boot_s[-1] - parts[1].boot_s[0],
        readings=loaded.readings,
        gauge_period_s=loaded.period_s,
        unit="uA" if gauge.amps == 1e-6 else "mA",
        charging_is="positive" if gauge.sign == 1 else "negative",
        evidence=gauge.evidence,
        sampler=trace.kind,
    )


def net_power(first: Power, loaded: Power, last: Power, *, remedy: str = _QUIETER) -> NetPower:
    """What a load adds to the idle power before and after it.

    Raises:
        PowerProblem: it is within the noise, or too uncertain.
    """
    idle_w = (first.mean_w + last.mean_w) / 2
    net_w = loaded.mean_w - idle_w
    # The idle power under the load lies anywhere between that before and that after.
    drift_w = abs(last.mean_w - first.mean_w) / np.sqrt(12)
    uncertainty_w = _COVERAGE * float(
        np.sqrt(
            loaded.error_w**2 + (first.error_w**2 + last.error_w**2) / 4 + drift_w**2
        )
    )  # fmt: skip
    if net_w <= max(uncertainty_w, _LEAST_SHARE * loaded.mean_w):
        raise PowerProblem(
            "the power of the inferences is below the noise",
            got=f"{1e3 * net_w:.0f} ± {1e3 * uncertainty_w:.0f} mW of {1e3 * loaded.mean_w:.0f} mW",
            remedy=remedy,
        )
    if uncertainty_w > _MOST_UNCERTAINTY * net_w:
        raise PowerProblem(
            "the power of the inferences is too uncertain",
            expected=f"± {100 * _MOST_UNCERTAINTY:.0f} % or less",
            got=f"{1e3 * net_w:.0f} ± {1e3 * uncertainty_w:.0f} mW",
            remedy=remedy,
        )
    return NetPower(loaded.mean_w, idle_w, net_w, uncertainty_w)


def _check(trace: Trace, before: Window, load: Window, after: Window) -> None:
    if load.length_s < LEAST_WINDOW_S:
        raise PowerProblem(
            "the load was too short",
            expected=f"{LEAST_WINDOW_S:g} s or more",
            got=f"{load.length_s:.1f} s",
        )
    if not before.end_s <= load.start_s < load.end_s <= after.start_s:
        raise ValueError("the windows are not in order")
    at = trace.part(before.start_s, after.end_s).boot_s
    edges = np.concatenate([[before.start_s], at, [after.end_s]])
    gap_s = float(np.diff(edges).max())
    if gap_s > _POSSIBLE_GAP_S:
        raise PowerProblem(
            "the sampler paused", got=f"{gap_s:.1f} s without a sample", remedy="measure again"
        )
    asleep = np.ptp(trace.boot_s - trace.awake_s) if len(at) else 0.0
    if asleep > _ASLEEP_S:
        raise PowerProblem("the phone slept while it was measured", got=f"{asleep:.1f} s")


def _settled(trace: Trace, window: Window) -> Trace:
    """The window without its beginning, where the gauge still shows what was before."""
    part = trace.part(window.start_s, window.end_s)
    period = distinct(part).period_s if "current_now" in part.columns else float("nan")
    delay = _SETTLING_S + (0.0 if np.isnan(period) else period)
    return part.part(window.start_s + delay, window.end_s)


def _joined(first: Trace, last: Trace) -> Trace:
    return Trace(
        first.kind,
        np.concatenate([first.boot_s, last.boot_s]),
        np.concatenate([first.awake_s, last.awake_s]),
        {n: np.concatenate([first.columns[n], last.columns[n]]) for n in first.columns},
        first.refused,
        first.damaged,
    )


def _power(gauge: Gauge, part: Trace, name: str) -> Power:
    watts = gauge.watts(part)
    known = watts[~np.isnan(watts)]
    if (known < 0).any():
        raise PowerProblem(
            "the battery was charged while it was measured",
            where=name,
            got=f"{-1e3 * known.min():.0f} mW into the battery",
            remedy="connect by Wi-Fi and unplug the phone",
        )
    readings = distinct(part)
    values = watts[readings.rows]
    if np.isnan(values).any() or not len(values):
        return Power(float("nan"), float("nan"), 0, float("nan"))
    mean_w = float(np.average(values, weights=readings.held_s))
    return Power(mean_w, standard_error(values), len(values), readings.period_s)


def _check_distinct(first: Power, loaded: Power, last: Power, load: Window) -> None:
    for power, least in ((first, LEAST_READINGS // 2), (loaded, LEAST_READINGS),
                         (last, LEAST_READINGS // 2)):  # fmt: skip
        if power.readings < least:
            period = loaded.period_s if loaded.readings else load.length_s
            raise PowerProblem(
                "the gauge gave too few readings",
                expected=f"{least} or more that differ",
                got=f"{power.readings}",
                remedy=f"measure for {2 * LEAST_READINGS * period:.0f} s or longer",
            )


def _full_j(trace: Trace, gauge: Gauge, load: Window, battery: Battery) -> float | None:
    part = trace.part(load.start_s, load.end_s)
    volts = gauge.volts * float(np.nanmedian(part.columns["voltage_now"]))
    full_uah = battery.full_uah
    counter = part.columns.get("charge_counter")
    if full_uah is None and battery.percent and counter is not None and counter[-1] > 0:
        full_uah = float(counter[-1]) * 100 / battery.percent
    return None if full_uah is None or np.isnan(full_uah) else full_uah * 3600e-6 * volts
