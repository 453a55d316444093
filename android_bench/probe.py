"""What a phone says about itself: its make (once) and its state (around every case).

Every reading is optional. Phones differ in what they let the shell read, so each is parsed by
itself, checked against its plausible range, bounded in size, and `unknown` where there is none.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from zoo.errors import UnknownNameError, ZooError, one_line

UNKNOWN = "unknown"
MAX_VALUE = 200
MAX_TEXT = 2**18

_PROPERTIES = {
    "model": "ro.product.model",
    "manufacturer": "ro.product.manufacturer",
    "fingerprint": "ro.build.fingerprint",
    "android_release": "ro.build.version.release",
    "sdk": "ro.build.version.sdk",
    "soc": "ro.soc.model",
    "soc_manufacturer": "ro.soc.manufacturer",
    "platform": "ro.board.platform",
    "abi": "ro.product.cpu.abi",
    "boot_completed": "sys.boot_completed",
}
_CLOCKS = (
    "for p in /sys/devices/system/cpu/cpufreq/policy*; do"
    ' echo "@policy ${p##*policy}'
    "|$(cat $p/related_cpus 2>/dev/null)"
    "|$(cat $p/cpuinfo_max_freq 2>/dev/null)"
    "|$(cat $p/scaling_cur_freq 2>/dev/null)"
    '|$(cat $p/scaling_max_freq 2>/dev/null)"; done\n'
)
CLUSTERS_COMMAND = _CLOCKS
PROBE_COMMAND = (
    "".join(f'echo "@{name} $(getprop {prop} 2>/dev/null)"\n' for name, prop in _PROPERTIES.items())
    + _CLOCKS
)
STATE_COMMAND = (
    "echo @battery; dumpsys battery 2>/dev/null\n"
    "echo @thermal; dumpsys thermalservice 2>/dev/null | head -n 400\n" + _CLOCKS
)

_THERMAL = ("none", "light", "moderate", "severe", "critical", "emergency", "shutdown")
_KHZ = range(1_000, 20_000_000)


@dataclass(frozen=True)
class Cluster:
    """Cores that share a clock; frequencies in kHz, None where unreadable."""

    cores: str
    max_khz: int | None
    now_khz: int | None
    limit_khz: int | None


def parse_probe(text: str) -> dict[str, str]:
    """The make of a phone from the output of `PROBE_COMMAND`; never raises."""
    text = text[:MAX_TEXT]
    details = dict.fromkeys(_PROPERTIES, UNKNOWN)
    for name in details:
        found = re.search(rf"^@{name} (.+)$", text, re.MULTILINE)
        if found and (value := one_line(found[1], MAX_VALUE)):
            details[name] = value
    clusters = parse_clusters(text)
    named = [f"{c.cores} @ {c.max_khz or UNKNOWN} kHz" for c in clusters]
    details["clusters"] = one_line("; ".join(named), MAX_VALUE) if named else UNKNOWN
    return details


def parse_state(text: str) -> dict[str, str]:
    """A phone's state from the output of `STATE_COMMAND`; never raises.

    Returns:
        battery_percent, battery_c (°C), powered (the sources, or `none`), battery_readings (`live`
        or `frozen`), thermal_status, big_core_khz and big_core_limit_khz (of the fastest cluster):
        each as text, `unknown` where the phone doesn't tell.
    """
    text = text[:MAX_TEXT]
    battery = _between(text, "@battery", "@thermal")
    thermal = _between(text, "@thermal", "@policy")
    state = _battery(battery)
    status = re.search(r"^\s*Thermal Status:\s*(\d)\s*$", thermal, re.MULTILINE)
    level = int(status[1]) if status else len(_THERMAL)
    state["thermal_status"] = f"{level} ({_THERMAL[level]})" if level < len(_THERMAL) else UNKNOWN
    clusters = [c for c in parse_clusters(text) if c.max_khz is not None]
    big = max(clusters, key=lambda c: c.max_khz or 0, default=None)
    state["big_core_khz"] = str((big and big.now_khz) or UNKNOWN)
    state["big_core_limit_khz"] = str((big and big.limit_khz) or UNKNOWN)
    return state


def unknown_state() -> dict[str, str]:
    """The state of a phone that does not tell anything."""
    return parse_state("")


def parse_clusters(text: str) -> list[Cluster]:
    """The `@policy` lines, at most 16; what is no sane frequency becomes None."""
    clusters = []
    for row in re.findall(r"^@policy (\d{1,3}\|.*)$", text, re.MULTILINE)[:16]:
        fields = (row.split("|") + [""] * 5)[:5]
        cores = "cores " + (",".join(re.findall(r"\d{1,3}", fields[1])[:64]) or "?")
        clusters.append(Cluster(cores, *(_number(value, _KHZ) for value in fields[2:])))
    return clusters


def mask(clusters: Sequence[Cluster], wanted: str) -> str:
    """The hexadecimal mask, as `taskset` takes it, of some of the cores.

    Args:
        clusters: of the phone.
        wanted: `little` (the slowest cluster), `big` (all others), `prime` (the fastest, where it
            is one core), or a mask.

    Raises:
        ZooError: the phone has no such cores, does not tell, or it is no mask.
    """
    if re.fullmatch(r"(0x)?[0-9a-fA-F]{1,16}", wanted) and int(wanted, 16):
        return f"{int(wanted, 16):x}"
    if wanted not in ("little", "big", "prime"):
        raise UnknownNameError("--cores", wanted, ("little", "big", "prime", "a mask such as f0"))
    known = sorted((c for c in clusters if c.max_khz), key=lambda c: c.max_khz or 0)
    numbers = [[int(n) for n in re.findall(r"\d+", cluster.cores)] for cluster in known]
    if not known or not all(numbers):
        raise ZooError("the phone does not tell its clusters", remedy="give --cores as a mask")
    if len(known) == 1:
        raise ZooError(f"the phone has no {wanted} cores: all are alike", got=known[0].cores)
    if wanted == "prime" and len(numbers[-1]) != 1:
        raise ZooError(
            "the phone has no prime core",
            got="; ".join(f"{c.cores} @ {c.max_khz} kHz" for c in known),
            remedy="--cores=big",
        )
    chosen = {"little": numbers[:1], "big": numbers[1:], "prime": numbers[-1:]}[wanted]
    return f"{sum(1 << core for cluster in chosen for core in cluster):x}"


def _battery(text: str) -> dict[str, str]:
    # The first hit counts: some makers repeat keys in lower case further down.
    def read(key: str, allowed: range) -> int | None:
        found = re.search(rf"^\s*{key}:\s*(-?\d{{1,9}})\s*$", text, re.MULTILINE)
        return _number(found[1], allowed) if found else None

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


def _between(text: str, start: str, end: str) -> str:
    _, found, rest = text.partition(f"{start}\n")
    return rest.partition(f"\n{end}")[0] if found else ""


def _number(text: str, allowed: range) -> int | None:
    text = text.strip()
    if not re.fullmatch(r"-?[0-9]{1,10}", text):
        return None
    return int(text) if int(text) in allowed else None
