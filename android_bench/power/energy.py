"""Energy per inference from a battery gauge: mean power under load minus the idle power.

Gauges are slow and coarse, so the windows are long and only distinct readings are counted. If the
result is not reliable, a PowerProblem with the reason is raised instead.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from android_bench.power.gauge import Gauge, PowerProblem, calibrate, distinct, standard_error
from android_bench.power.trace import Trace
from zoo.schema.measurement import Energy

LEAST_WINDOW_S = 30.0
LEAST_READINGS = 8  # distinct readings under load; half as many in each idle window
_SETTLING_S = 1.0  # after the load starts or ends, in addition to the gauge's delay
_COVERAGE = 2.0  # coverage factor: about 95 % confidence
_MOST_UNCERTAINTY = 0.10  # relative to the net power
_LEAST_SHARE = 0.02  # of the gross power; a smaller net power is within the errors
_ASLEEP_S = 0.5  # allowed drift between the two clocks
_POSSIBLE_GAP_S = 2.0  # longest gap between samples
_QUIETER = "measure longer, close apps and turn off the screen"


@dataclass(frozen=True)
class Window:
    """A time window, in seconds since boot (phones) or of `time.monotonic()` (RAPL)."""

    start_s: float
    end_s: float

    @property
    def length_s(self) -> float:
        """Length of the window in seconds."""
        return self.end_s - self.start_s


@dataclass(frozen=True)
class Battery:
    """State of the battery.

    Attributes:
        percent: Charge level, 0 to 100; None if unknown.
        full_uah: Charge when full in µAh; None if unknown.
    """

    percent: float | None = None
    full_uah: float | None = None


@dataclass(frozen=True)
class Power:
    """Power in a window.

    Attributes:
        mean_w: Mean power in W.
        error_w: Standard error of the mean in W.
        readings: Number of distinct readings.
        period_s: Seconds between readings.
    """

    mean_w: float
    error_w: float
    readings: int
    period_s: float


@dataclass(frozen=True)
class NetPower:
    """Net power of a load, in W.

    Attributes:
        gross_w: Mean power under load.
        idle_w: Mean power without load.
        net_w: Difference of the two.
        uncertainty_w: Half-width of the approximate 95 % confidence interval of `net_w`.
    """

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
    """Returns the phone's energy per inference, net of its idle power.

    Args:
        trace: Samples over all three windows.
        before: Idle window before the load.
        load: Window with back-to-back inferences only.
        after: Idle window after the load.
        inference_s: Mean latency in seconds.
        battery: Battery state, for inferences per percent.

    Raises:
        PowerProblem: if the energy cannot be determined or is too uncertain.
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
    """Returns the power of a load above the mean idle power before and after it.

    Args:
        first: Idle power before the load.
        loaded: Power under load.
        last: Idle power after the load.
        remedy: Remedy in error messages.

    Raises:
        PowerProblem: if the net power is within the noise or too uncertain.
    """
    idle_w = (first.mean_w + last.mean_w) / 2
    net_w = loaded.mean_w - idle_w
    # During the load the idle power is assumed uniform between the values before and after.
    drift_w = abs(last.mean_w - first.mean_w) / np.sqrt(12)
    uncertainty_w = _COVERAGE * float(
        np.sqrt(
            loaded.error_w**2 + (first.error_w**2 + last.error_w**2) / 4 + drift_w**2
        )
    )  # fmt: skip
    if net_w <= max(uncertainty_w, _LEAST_SHARE * loaded.mean_w):
        raise PowerProblem(
            "the net power of the inferences is below the noise",
            got=f"{1e3 * net_w:.0f} ± {1e3 * uncertainty_w:.0f} mW of {1e3 * loaded.mean_w:.0f} mW",
            remedy=remedy,
        )
    if uncertainty_w > _MOST_UNCERTAINTY * net_w:
        raise PowerProblem(
            "the net power of the inferences is too uncertain",
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
        raise PowerProblem("the phone slept during the measurement", got=f"{asleep:.1f} s")


def _settled(trace: Trace, window: Window) -> Trace:
    """Returns the samples of a window without its start, where the gauge shows earlier power."""
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
            "the battery was charging during the measurement",
            where=name,
            got=f"{-1e3 * known.min():.0f} mW into the battery",
            remedy="connect over Wi-Fi and unplug the phone",
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
                "the gauge returned too few readings",
                expected=f"at least {least} distinct readings",
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
