"""What the readings of a phone mean for measuring on it; each check looks at one thing."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from android_bench.adb.wireless import command_for
from android_bench.doctor.diagnosis import GOALS, Check, CheckLevel, Goal, failed, known
from android_bench.doctor.facts import Facts
from android_bench.phone.probe import UNKNOWN, CpuCluster
from android_bench.power.metered import Meter
from zoo.errors import ZooError

LOW_PERCENT = 20
HOT_C = 38.0
_LEAST_MB, _ENOUGH_MB = 50.0, 200.0  # the tool has about 10 MB, a large model 240
_BUSY = 0.2
_SHELL_V2_SDK, _FIXED_SDK = 24, 30
_THROTTLED, _SEVERE = 1, 3  # thermal status
_SOFTWARE_GPU = re.compile(r"swiftshader|llvmpipe|emulator|softpipe", re.IGNORECASE)


def software(details: Mapping[str, str], features: Sequence[str]) -> list[Check]:
    """Android, and what adb can do with it."""
    sdk = int(details["sdk"]) if details["sdk"].isdigit() else None
    told = f"{details['android_release']} (SDK {details['sdk']}), {details['fingerprint']}"
    checks = [Check("Android", "ok", told)]
    if "shell_v2" in features:
        checks.append(Check("exit codes", "ok", "shell_v2"))
    else:
        old = sdk is not None and sdk < _SHELL_V2_SDK
        why = "as before Android 7" if old else "adb does not say so"
        found = f"no shell_v2, {why}; commands carry their own marks"
        checks.append(Check("exit codes", "note", found))
    return checks


def processors(
    details: Mapping[str, str],
    clusters: Sequence[CpuCluster],
    refused: Mapping[str, str],
    facts: Facts,
) -> list[Check]:
    """Chip, clocks, cores and GPU; `refused` is why no mask selects some of the cores."""
    chip = known([details[key] for key in ("soc_manufacturer", "soc", "platform", "abi")])
    checks = [Check("chip", "ok", f"{chip}; {details['clusters']}")]
    unread = [c.cores for c in clusters if not (c.max_khz and c.now_khz and c.limit_khz)]
    capped = [
        f"{c.cores} to {c.limit_khz} of {c.max_khz} kHz"
        for c in clusters
        if c.max_khz and c.limit_khz and c.limit_khz < c.max_khz
    ]
    if not clusters or unread:
        told = f"not readable: {'; '.join(unread) or 'no policy'}"
        checks.append(Check("clocks", "note", f"{told}; rows won't tell throttling"))
    elif capped:
        remedy = "let it cool, end its battery saver"
        checks.append(Check("clocks", "note", f"capped: {'; '.join(capped)}", remedy, GOALS))
    else:
        checks.append(Check("clocks", "ok", "readable, none is capped"))
    taken = [name for name in ("little", "big", "prime") if name not in refused]
    found = f"--cores takes {', '.join(taken) or 'a mask only'}"
    told = "; ".join(f"{name}: {why}" for name, why in refused.items())
    checks.append(Check("cores", "note" if told else "ok", found + (f"; {told}" if told else "")))
    return [*checks, _gpu(facts)]


def _gpu(facts: Facts) -> Check:
    if _SOFTWARE_GPU.search(f"{facts.gpu} {facts.driver}"):
        found = f"{facts.gpu} is software"
        return Check("graphics", "problem", found, "measure on a real phone", ("GPU",))
    if not facts.gpu and not facts.opencl:
        found = "the phone names neither a GPU nor an OpenCL library"
        return Check("graphics", "unknown", found, "try --delegate=gpu: its row tells", ("GPU",))
    library = "OpenCL is there" if facts.opencl else "no OpenCL library seen, perhaps OpenGL only"
    named = ", ".join(filter(None, (facts.gpu or "not named", facts.driver, library)))
    return Check("graphics", "ok" if facts.opencl else "note", named, concerns=("GPU",))


def resources(facts: Facts, busy: float | None, running: int, tool: str | ZooError) -> list[Check]:
    """Storage, other work on the phone, and where `benchmark_model` comes from."""
    checks = []
    if facts.free_mb is None:
        checks.append(Check("storage", "note", "not told", concerns=GOALS))
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
        found = f"{running} job(s) of ours run on the phone, not of this computer's present ones"
        remedy = "let another computer finish; what a killed run left, the next one ends"
        checks.append(Check("other runs", "note", found, remedy, GOALS))
    else:
        checks.append(Check("other runs", "ok", "none"))
    if busy is None:
        checks.append(Check("load", "note", "not told"))
    else:
        loaded = busy > _BUSY
        remedy = "close apps, wait for updates to end" if loaded else ""
        found = f"{100 * busy:.0f} % of the cores busy over a second"
        checks.append(Check("load", "note" if loaded else "ok", found, remedy, GOALS))
    return checks


def condition(state: Mapping[str, str], facts: Facts) -> list[Check]:
    """Battery, temperature and screen."""
    checks = []
    level, battery_c = _float(state["battery_percent"]), _float(state["battery_c"])
    low = level is not None and level < LOW_PERCENT
    found = "not told" if level is None else f"{level:.0f} %"
    checks.append(_noted("battery level", found, low, "charge it, then unplug it", level is None))
    hot = battery_c is not None and battery_c >= HOT_C
    found = "not told" if battery_c is None else f"{battery_c:.1f} °C"
    remedy = f"let it cool below {HOT_C:.0f} °C, out of its case"
    checks.append(_noted("battery temperature", found, hot, remedy, battery_c is None))
    checks.append(_thermal(state["thermal_status"]))
    if facts.screen_on is None:
        checks.append(Check("screen", "note", "not told"))
    else:
        on = facts.screen_on
        remedy = "switch it off" if on else ""
        concerns: tuple[Goal, ...] = ("energy",)
        checks.append(
            Check("screen", "note" if on else "ok", "on" if on else "off", remedy, concerns)
        )
    return checks


def _thermal(status: str) -> Check:
    if status == UNKNOWN:
        found = "no thermal service, so that throttling shows in the clocks alone"
        return Check("thermal status", "note", found)
    number = int(status[0])
    level: CheckLevel = (
        "problem" if number >= _SEVERE else "note" if number >= _THROTTLED else "ok"
    )  # fmt: skip
    return Check("thermal status", level, status, "let it cool" if number else "", GOALS)


def power_supply(state: Mapping[str, str], serial: str) -> list[Check]:
    """Whether the battery is live and alone."""
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
    """What would help and is not needed."""
    root = {
        "adbd": "adbd runs as root",
        "su": "there is a su (not tried: it may ask on the screen); not needed",
        "": "no; not needed, but nodes that are denied stay so",
    }[facts.root]
    new = details["sdk"].isdigit() and int(details["sdk"]) >= _FIXED_SDK
    has = facts.fixed_performance
    found = "Android offers it" if has else "not offered" if new else "not before Android 11"
    return [
        Check("root", "ok" if facts.root == "adbd" else "note", root),
        Check("fixed performance", "ok" if has else "note", found),
    ]


def _noted(name: str, found: str, bad: bool, remedy: str, untold: bool) -> Check:
    concerns = () if untold else GOALS
    return Check(name, "note" if bad or untold else "ok", found, remedy if bad else "", concerns)


def _float(text: str) -> float | None:
    return None if text == UNKNOWN else float(text)
