"""Checks that turn a phone's readings into findings; one finding per `Check`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from android_bench.adb.wireless import command_for
from android_bench.doctor.diagnosis import GOALS, Check, CheckLevel, Goal, failed, known
from android_bench.doctor.facts import Facts
from android_bench.phone.probe import UNKNOWN, CpuCluster
from android_bench.phone.state import HOT_C, LOW_PERCENT
from android_bench.power.metered import Meter
from zoo.errors import ZooError

_LEAST_MB, _ENOUGH_MB = 50.0, 200.0  # the tool takes about 10 MB, a large model 240 MB
_BUSY = 0.2
_SHELL_V2_SDK, _FIXED_SDK = 24, 30
_SOFTWARE_GPU = re.compile(r"swiftshader|llvmpipe|emulator|softpipe", re.IGNORECASE)


def software(details: Mapping[str, str], features: Sequence[str]) -> list[Check]:
    """Checks the Android version and whether adb reports exit codes."""
    sdk = int(details["sdk"]) if details["sdk"].isdigit() else None
    version = f"{details['android_release']} (SDK {details['sdk']}), {details['fingerprint']}"
    checks = [Check("Android", "ok", version)]
    if "shell_v2" in features:
        checks.append(Check("exit codes", "ok", "shell_v2"))
    else:
        old = sdk is not None and sdk < _SHELL_V2_SDK
        why = "which needs Android 7" if old else "or adb does not report it"
        found = f"no shell_v2, {why}; exit codes are read from the output"
        checks.append(Check("exit codes", "note", found))
    return checks


def processors(
    details: Mapping[str, str],
    clusters: Sequence[CpuCluster],
    refused: Mapping[str, str],
    facts: Facts,
) -> list[Check]:
    """Checks chip, clocks, cores and GPU.

    Args:
        details: From `Phone.probe`.
        clusters: The CPU clusters.
        refused: Reason for each of little, big and prime that can't be selected.
        facts: From `parse_facts`.
    """
    chip = known([details[key] for key in ("soc_manufacturer", "soc", "platform", "abi")])
    checks = [Check("chip", "ok", f"{chip}; {details['clusters']}")]
    unread = [c.cores for c in clusters if not (c.max_khz and c.now_khz and c.limit_khz)]
    capped = [
        f"{c.cores} to {c.limit_khz} of {c.max_khz} kHz"
        for c in clusters
        if c.max_khz and c.limit_khz and c.limit_khz < c.max_khz
    ]
    if not clusters or unread:
        found = f"not readable: {'; '.join(unread) or 'no policy'}"
        checks.append(Check("clocks", "note", f"{found}; rows won't show throttling"))
    elif capped:
        remedy = "let it cool and turn off battery saver"
        checks.append(Check("clocks", "note", f"capped: {'; '.join(capped)}", remedy, GOALS))
    else:
        checks.append(Check("clocks", "ok", "readable, none capped"))
    accepted = [name for name in ("little", "big", "prime") if name not in refused]
    found = f"--cores accepts {', '.join(accepted) or 'only a mask'}"
    rest = "; ".join(f"{name}: {why}" for name, why in refused.items())
    checks.append(Check("cores", "note" if rest else "ok", found + (f"; {rest}" if rest else "")))
    return [*checks, _gpu(facts)]


def _gpu(facts: Facts) -> Check:
    if _SOFTWARE_GPU.search(f"{facts.gpu} {facts.driver}"):
        found = f"{facts.gpu} is a software renderer"
        return Check("graphics", "problem", found, "measure on a real phone", ("GPU",))
    if not facts.gpu and not facts.opencl:
        found = "the phone reports neither a GPU nor an OpenCL library"
        remedy = "try --delegate=gpu and check its result"
        return Check("graphics", "unknown", found, remedy, ("GPU",))
    library = "OpenCL available" if facts.opencl else "no OpenCL library found, maybe OpenGL only"
    parts = ", ".join(filter(None, (facts.gpu or "unnamed GPU", facts.driver, library)))
    return Check("graphics", "ok" if facts.opencl else "note", parts, concerns=("GPU",))


def resources(facts: Facts, busy: float | None, running: int, tool: str | ZooError) -> list[Check]:
    """Checks storage, other load on the phone, and the source of `benchmark_model`.

    Args:
        facts: From `parse_facts`.
        busy: CPU load, 0 to 1; None if not reported.
        running: Number of benchmark jobs that run on the phone.
        tool: Source of the executable, or why there is none.
    """
    checks = []
    if facts.free_mb is None:
        checks.append(Check("storage", "note", "not reported", concerns=GOALS))
    else:
        enough = facts.free_mb >= _ENOUGH_MB
        level: CheckLevel = "ok" if enough else "note" if facts.free_mb >= _LEAST_MB else "problem"
        remedy = "" if enough else "free some storage on the phone"
        checks.append(Check("storage", level, f"{facts.free_mb:,.0f} MB free", remedy, GOALS))
    if isinstance(tool, ZooError):
        checks.append(failed("benchmark_model", tool, GOALS))
    else:
        checks.append(Check("benchmark_model", "ok", tool))
    if running:
        found = f"{running} benchmark job(s) running, from another computer or a killed run"
        remedy = "wait for the other computer; the next run ends leftover jobs"
        checks.append(Check("other runs", "note", found, remedy, GOALS))
    else:
        checks.append(Check("other runs", "ok", "none"))
    if busy is None:
        checks.append(Check("load", "note", "not reported"))
    else:
        loaded = busy > _BUSY
        remedy = "close apps and wait for updates to finish" if loaded else ""
        found = f"{100 * busy:.0f} % CPU load over 1 s"
        checks.append(Check("load", "note" if loaded else "ok", found, remedy, GOALS))
    return checks


def condition(state: Mapping[str, str], facts: Facts, saver: str) -> list[Check]:
    """Checks battery, temperature and screen; a problem is what makes a run invalid.

    Args:
        state: From `Phone.state`.
        facts: From `parse_facts`.
        saver: Battery saver: `on`, `off` or `unknown`.
    """
    checks = []
    level, battery_c = _float(state["battery_percent"]), _float(state["battery_c"])
    low = level is not None and level < LOW_PERCENT and state["powered"] == "none"
    found = "not reported" if level is None else f"{level:.0f} %"
    remedy = f"charge it to {LOW_PERCENT} % or more"
    checks.append(_barred("battery level", found, low, remedy, level is None))
    hot = battery_c is not None and battery_c > HOT_C
    found = "not reported" if battery_c is None else f"{battery_c:.1f} °C"
    remedy = f"let it cool to {HOT_C:.0f} °C, out of its case"
    checks.append(_barred("battery temperature", found, hot, remedy, battery_c is None))
    checks.append(_thermal(state["thermal_status"]))
    limit = state["gpu_thermal_level"]
    if limit not in (UNKNOWN, "0"):
        found = f"the GPU is limited to power level {limit}"
        checks.append(Check("GPU limit", "problem", found, "let it cool", GOALS))
    if saver == "on":
        checks.append(Check("battery saver", "problem", "on", "turn it off", GOALS))
    if facts.screen_on is None:
        checks.append(Check("screen", "note", "not reported"))
    else:
        on = facts.screen_on
        remedy = "turn it off" if on else ""
        concerns: tuple[Goal, ...] = ("energy",)
        checks.append(
            Check("screen", "note" if on else "ok", "on" if on else "off", remedy, concerns)
        )
    return checks


def _thermal(status: str) -> Check:
    if status == UNKNOWN:
        found = "no thermal service; throttling shows only in the clocks"
        return Check("thermal status", "note", found)
    return _barred("thermal status", status, status[0] != "0", "let it cool")


def power_supply(state: Mapping[str, str], serial: str) -> list[Check]:
    """Checks that the battery readings are live and the phone is not charging."""
    frozen = Meter.refusal({**state, "powered": "none"})
    checks = [
        failed("battery readings", frozen, ("energy",)) if frozen
        else Check("battery readings", "note" if state["battery_readings"] == UNKNOWN else "ok",
                   state["battery_readings"])
    ]  # fmt: skip
    powered = Meter.refusal({"powered": state["powered"]})
    if powered is None:
        return [*checks, Check("charging", "ok", "no")]
    remedy = "unplug it" if ":" in serial else f"{command_for(serial)}, then unplug it"
    return [*checks, Check("charging", "problem", powered.what, remedy, ("energy",))]


def extras(details: Mapping[str, str], facts: Facts) -> list[Check]:
    """Checks optional features: root and the fixed-performance mode."""
    root = {
        "adbd": "adbd runs as root",
        "su": "su found, not run because it may prompt on the screen; not needed",
        "": "no; not needed, but denied nodes stay unreadable",
    }[facts.root]
    new = details["sdk"].isdigit() and int(details["sdk"]) >= _FIXED_SDK
    has = facts.fixed_performance
    found = "supported" if has else "not supported" if new else "requires Android 11"
    return [
        Check("root", "ok" if facts.root == "adbd" else "note", root),
        Check("fixed performance", "ok" if has else "note", found),
    ]


def _barred(name: str, found: str, bad: bool, remedy: str, unknown: bool = False) -> Check:
    level: CheckLevel = "problem" if bad else "note" if unknown else "ok"
    return Check(name, level, found, remedy if bad else "", () if unknown else GOALS)


def _float(text: str) -> float | None:
    return None if text == UNKNOWN else float(text)
