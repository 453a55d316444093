"""Checks whether the battery's nodes are readable, change, and how fast, by sampling them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from android_bench.adb.link import PhoneLost
from android_bench.doctor.diagnosis import Check, Goal, failed
from android_bench.phone.phone import Phone
from android_bench.power import sampler
from android_bench.power.gauge import distinct, volts_of
from android_bench.power.metered import Metering, node_paths, pushed
from android_bench.power.trace import Trace, parse
from zoo.errors import ZooError, one_line

NEEDED = ("current_now", "voltage_now")
_ENERGY: tuple[Goal, ...] = ("energy",)
_GRACE_S = 15.0
_SLOW = 2.0  # multiple of the requested sampling period
_NO_GAUGE = "measure energy on another phone, or as root"


def gauge_checks(phone: Phone, abi: str, sample_s: float) -> list[Check]:
    """Returns one check per battery node, one for the sampler and one for unit and sign.

    Args:
        phone: A locked phone.
        abi: ABI of its processor, for example `arm64-v8a`.
        sample_s: Duration of the sampling in s.

    Raises:
        PhoneLost: if the phone becomes unreachable.
    """
    paths = node_paths(phone)
    readable = {name: path for name, path in paths.items() if path != "denied"}
    trace, sampled = None, []
    if readable:
        try:
            trace = _sample(phone, abi, readable, sample_s)
            sampled.append(_pace(trace, abi))
        except PhoneLost:
            raise
        except ZooError as error:
            sampled.append(failed("sampler", error, _ENERGY))
    nodes = [_node(name, paths, trace, sample_s) for name in sampler.NODES]
    unit = "determined in each measurement from the idle and load current"
    return [*nodes, *sampled, Check("unit and sign", "ok", unit)]


def _sample(phone: Phone, abi: str, nodes: dict[str, str], sample_s: float) -> Trace:
    native = sampler.native() if abi == "arm64-v8a" else None
    which, remote = pushed(phone, native)
    command = which.command(remote, Metering.period_s, sample_s, nodes)
    done = phone.run(command, sample_s + _GRACE_S)
    if done.exit_code != 0:
        raise ZooError(
            "the sampler failed",
            got=one_line(done.stderr, 200) or f"exit code {done.exit_code}",
        )
    return parse(done.stdout)


def _pace(trace: Trace, abi: str) -> Check:
    requested_s = Metering.period_s
    if len(trace.boot_s) < 2:
        return Check("sampler", "problem", f"{trace.kind}: no samples", concerns=_ENERGY)
    period_s = float(np.median(np.diff(trace.boot_s)))
    kind = trace.kind
    if kind == "loop":
        reason = "does not run" if abi == "arm64-v8a" else f"is not built for {abi}"
        kind = f"loop (the native program {reason})"
    slow = period_s > _SLOW * requested_s
    pace = f"{kind}, one sample per {1e3 * period_s:.0f} ms, {1e3 * requested_s:.0f} ms requested"
    note = slow or trace.kind == "loop"
    return Check("sampler", "note" if note else "ok", pace)


def _node(name: str, paths: Mapping[str, str], trace: Trace | None, sample_s: float) -> Check:
    needed = name in NEEDED
    concerns = _ENERGY if needed else ()
    path = paths.get(name, "missing")
    if path in ("denied", "missing"):
        denied = "the phone denies it to adb's shell"
        reason = denied if path == "denied" else "there is no such node"
        level = "problem" if needed else "note"
        return Check(name, level, reason, _NO_GAUGE if needed else "", concerns)  # type: ignore[arg-type]
    if trace is None or name not in trace.columns:
        return Check(name, "unknown" if needed else "note", "readable, not sampled", "", concerns)
    values = trace.columns[name]
    readings = values[~np.isnan(values)]
    if not len(readings):
        return _useless(name, "readable, but never contains a value")
    if name == "current_now":
        return _current(trace, readings, sample_s)
    if name == "voltage_now":
        try:
            volts = volts_of(values) * float(np.median(readings))
        except ZooError as error:
            return failed(name, error, _ENERGY)
        return Check(name, "ok", f"readable, {volts:.2f} V")
    return Check(name, "ok", f"readable, {readings[-1]:.0f}")


def _current(trace: Trace, readings: np.ndarray, sample_s: float) -> Check:
    if not readings.any():
        return _useless("current_now", "readable, but always 0")
    changes = int((np.diff(readings) != 0).sum())
    if not changes:
        found = f"constant at {readings[0]:.0f} for {sample_s:g} s: a slow or dead gauge"
        remedy = f"sample longer with --sample_secs={max(30, 3 * sample_s):g}"
        return Check("current_now", "unknown", found, remedy, _ENERGY)
    period_s = distinct(trace).period_s
    pace = "" if np.isnan(period_s) else f", every {period_s:.1f} s"
    found = f"readable, {readings.min():.0f} to {readings.max():.0f}, {changes} change(s){pace}"
    return Check("current_now", "ok", found)


def _useless(name: str, found: str) -> Check:
    if name in NEEDED:
        return Check(name, "problem", found, _NO_GAUGE, _ENERGY)
    return Check(name, "note", found)
