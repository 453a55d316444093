"""A phone's state before and after every run: battery, temperature and clocks.

Phones differ in what they let the shell read, so every value is optional: it is parsed on its own,
checked against a plausible range, limited in length, and `unknown` if missing.
"""

from __future__ import annotations

import re

from android_bench.phone.probe import CLOCKS, MAX_TEXT, UNKNOWN, number, parse_clusters

STATE_COMMAND = (
    "echo @battery; dumpsys battery 2>/dev/null\n"
    "echo @thermal; dumpsys thermalservice 2>/dev/null | head -n 400\n"
    "echo @gpu $(cat /sys/class/kgsl/kgsl-3d0/thermal_pwrlevel 2>/dev/null)\n" + CLOCKS
)
THERMAL = ("none", "light", "moderate", "severe", "critical", "emergency", "shutdown")
# A run that starts beyond these limits, or with a thermal status above none, is invalid.
HOT_C = 38.0  # of the battery, unless --start_c sets another limit
LOW_PERCENT = 15  # on battery; Android turns on battery saver by itself at this level
_SKIN = 3  # TemperatureType::SKIN of Android's thermal HAL


def parse_state(text: str) -> dict[str, str]:
    """Parses the output of `STATE_COMMAND`; never raises.

    Returns:
        Values as text, `unknown` if the phone does not report them: battery_percent, battery_c
        (°C), powered (power sources, or `none`), battery_readings (`live` or `frozen`),
        thermal_status, skin_c (hottest skin sensor, °C), gpu_thermal_level (Adreno GPUs only; 0 is
        not limited), big_core_khz and big_core_limit_khz (fastest cluster), limits_khz (all
        clusters).
    """
    text = text[:MAX_TEXT]
    state = _battery(_between(text, "@battery", "@thermal"))
    thermal = _between(text, "@thermal", "@gpu")
    status = re.search(r"^\s*Thermal Status:\s*(\d)\s*$", thermal, re.MULTILINE)
    level = int(status[1]) if status else len(THERMAL)
    state["thermal_status"] = f"{level} ({THERMAL[level]})" if level < len(THERMAL) else UNKNOWN
    state["skin_c"] = _skin_c(thermal)
    gpu = re.search(r"^@gpu (\d{1,2})\s*$", text, re.MULTILINE)
    state["gpu_thermal_level"] = gpu[1] if gpu else UNKNOWN
    clusters = parse_clusters(text)
    big = max((c for c in clusters if c.max_khz), key=lambda c: c.max_khz or 0, default=None)
    state["big_core_khz"] = str((big and big.now_khz) or UNKNOWN)
    state["big_core_limit_khz"] = str((big and big.limit_khz) or UNKNOWN)
    limits = [str(c.limit_khz or UNKNOWN) for c in clusters]
    state["limits_khz"] = " ".join(limits) or UNKNOWN
    return state


def unknown_state() -> dict[str, str]:
    """Returns the state with all values unknown."""
    return parse_state("")


def _battery(text: str) -> dict[str, str]:
    # The first match is used: some vendors repeat keys further down.
    def read(key: str, allowed: range) -> int | None:
        match = re.search(rf"^\s*{key}:\s*(-?\d{{1,9}})\s*$", text, re.MULTILINE)
        return number(match[1], allowed) if match else None

    level, scale = read("level", range(0, 10_001)), read("scale", range(1, 10_001))
    percent = None if level is None else round(100 * level / (scale or 100))
    tenths_c = read("temperature", range(-400, 1501))
    powered = re.findall(r"^\s*(AC|USB|Wireless|Dock) powered:\s*(true|false)\s*$", text, re.M)
    sources = [name for name, on in powered[:8] if on == "true"]
    live = "frozen" if "UPDATES STOPPED" in text else "live"
    return {
        "battery_percent": UNKNOWN if percent is None or percent > 100 else str(percent),
        "battery_c": UNKNOWN if tenths_c is None else f"{tenths_c / 10:.1f}",
        "powered": (", ".join(sources) or "none") if powered else UNKNOWN,
        "battery_readings": live if level is not None else UNKNOWN,
    }


def _skin_c(thermal: str) -> str:
    # The cached temperatures may be minutes old; those from the HAL are current.
    _, _, now = thermal.partition("Current temperatures from HAL:")
    matches = re.findall(
        rf"^\s*Temperature\{{mValue=(-?\d{{1,3}}(?:\.\d{{1,6}})?), mType={_SKIN}, [^\n]*\}}\s*$",
        now[: now.find("Current cooling")] if "Current cooling" in now else now,
        re.MULTILINE,
    )
    plausible = [value for value in map(float, matches[:32]) if -20 < value < 120]
    return f"{max(plausible):.1f}" if plausible else UNKNOWN


def _between(text: str, start: str, end: str) -> str:
    _, separator, rest = text.partition(f"{start}\n")
    return rest.partition(f"\n{end}")[0] if separator else ""
