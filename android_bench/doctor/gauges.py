"""Whether the battery's nodes can be read, move, and at what pace: by the sampler itself."""

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
_SLOW = 2.0  # times the period that was asked for
_NO_GAUGE = "measure energy on another phone, or as root"


def gauge_checks(phone: Phone, abi: str, sample_s: float) -> list[Check]:
    """One check for each node, the sampler, and what is known of the unit.

    Args:
        phone: in use.
        abi: of its processor.
        sample_s: how long is sampled.

    Raises:
        PhoneLost: the phone dropped out.
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
    found = "concluded in each measurement, from rest and load; no list of phones"
    return [*nodes, *sampled, Check("unit and sign", "ok", found)]


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
    asked_s = Metering.period_s
    if len(trace.boot_s) < 2:
        return Check("sampler", "problem", f"{trace.kind}: no rows", concerns=_ENERGY)
    period_s = float(np.median(np.diff(trace.boot_s)))
    kind = trace.kind
    if kind == "loop":
        why = "does not run" if abi == "arm64-v8a" else f"is not built for {abi}"
        kind = f"loop (the native program {why})"
    slow = period_s > _SLOW * asked_s
    found = f"{kind}, a row every {1e3 * period_s:.0f} ms, {1e3 * asked_s:.0f} asked"
    note = slow or trace.kind == "loop"
    return Check("sampler", "note" if note else "ok", found)


def _node(name: str, paths: Mapping[str, str], trace: Trace | None, sample_s: float) -> Check:
    needed = name in NEEDED
    concerns = _ENERGY if needed else ()
    where = paths.get(name, "missing")
    if where in ("denied", "missing"):
        how = "the phone denies it to adb's shell" if where == "denied" else "there is no such node"
        level = "problem" if needed else "note"
        return Check(name, level, how, _NO_GAUGE if needed else "", concerns)  # type: ignore[arg-type]
    if trace is None or name not in trace.columns:
        return Check(name, "unknown" if needed else "note", "readable, not sampled", "", concerns)
    values = trace.columns[name]
    told = values[~np.isnan(values)]
    if not len(told):
        return _useless(name, "readable, but never holds a value")
    if name == "current_now":
        return _current(trace, told, sample_s)
    if name == "voltage_now":
        try:
            volts = volts_of(values) * float(np.median(told))
        except ZooError as error:
            return failed(name, error, _ENERGY)
        return Check(name, "ok", f"readable, {volts:.2f} V")
    return Check(name, "ok", f"readable, {told[-1]:.0f}")


def _current(trace: Trace, told: np.ndarray, sample_s: float) -> Check:
    if not told.any():
        return _useless("current_now", "readable, but always 0")
    changes = int((np.diff(told) != 0).sum())
    if not changes:
        found = f"stood still at {told[0]:.0f} for {sample_s:g} s: a slow gauge, or a dead one"
        remedy = f"sample longer: --sample_secs={max(30, 3 * sample_s):g}"
        return Check("current_now", "unknown", found, remedy, _ENERGY)
    period_s = distinct(trace).period_s
    pace = "" if np.isnan(period_s) else f", every {period_s:.1f} s"
    found = f"readable, {told.min():.0f} to {told.max():.0f}, {changes} change(s){pace}"
    return Check("current_now", "ok", found)


def _useless(name: str, found: str) -> Check:
    if name in NEEDED:
        return Check(name, "problem", found, _NO_GAUGE, _ENERGY)
    return Check(name, "note", found)
