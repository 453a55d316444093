"""What a phone says about its make: names, cores and clocks, GPU.

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
CLOCKS = (
    "for p in /sys/devices/system/cpu/cpufreq/policy*; do"
    ' echo "@policy ${p##*policy}'
    "|$(cat $p/related_cpus 2>/dev/null)"
    "|$(cat $p/cpuinfo_max_freq 2>/dev/null)"
    "|$(cat $p/scaling_cur_freq 2>/dev/null)"
    '|$(cat $p/scaling_max_freq 2>/dev/null)"; done\n'
)
PROBE_COMMAND = (
    "".join(f'echo "@{name} $(getprop {prop} 2>/dev/null)"\n' for name, prop in _PROPERTIES.items())
    + 'echo "@battery_saver $(settings get global low_power 2>/dev/null)"\n'
    # One line of some hundred; it names the maker, the GPU, and the driver's version.
    'echo "@gpu $(dumpsys SurfaceFlinger 2>/dev/null | grep -m 1 "^ *GLES:")"\n' + CLOCKS
)
_SAVER = {"0": "off", "1": "on"}
_KHZ = range(1_000, 20_000_000)


@dataclass(frozen=True)
class CpuCluster:
    """Cores that share a clock, from the `first` on; in kHz, None where unreadable."""

    cores: str
    max_khz: int | None
    now_khz: int | None
    limit_khz: int | None
    first: int = 0


def parse_probe(text: str) -> dict[str, str]:
    """The make of a phone from the output of `PROBE_COMMAND`; never raises."""
    text = text[:MAX_TEXT]
    details = dict.fromkeys(_PROPERTIES, UNKNOWN)
    for name in details:
        found = re.search(rf"^@{name} (.+)$", text, re.MULTILINE)
        if found and (value := one_line(found[1], MAX_VALUE)):
            details[name] = value
    saver = re.search(r"^@battery_saver ([01])$", text, re.MULTILINE)
    details["battery_saver"] = _SAVER[saver[1]] if saver else UNKNOWN
    gpu = re.search(r"^@gpu\s+GLES: (.+)$", text, re.MULTILINE)
    details["gpu"] = (gpu and one_line(gpu[1], MAX_VALUE)) or UNKNOWN
    clusters = parse_clusters(text)
    named = [f"{c.cores} @ {c.max_khz or UNKNOWN} kHz" for c in clusters]
    details["clusters"] = one_line("; ".join(named), MAX_VALUE) if named else UNKNOWN
    return details


def parse_clusters(text: str) -> list[CpuCluster]:
    """The `@policy` lines, at most 16; what is no sane frequency becomes None."""
    clusters = []
    for row in re.findall(r"^@policy (\d{1,3}\|.*)$", text, re.MULTILINE)[:16]:
        fields = (row.split("|") + [""] * 5)[:5]
        cores = "cores " + (",".join(re.findall(r"\d{1,3}", fields[1])[:64]) or "?")
        most, now, limit = (number(value, _KHZ) for value in fields[2:])
        clusters.append(CpuCluster(cores, most, now, limit, int(fields[0])))
    return clusters


def mask(clusters: Sequence[CpuCluster], wanted: str) -> str:
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


def number(text: str, allowed: range) -> int | None:
    """A whole number, or None where it is none or out of range."""
    text = text.strip()
    if not re.fullmatch(r"-?[0-9]{1,10}", text):
        return None
    return int(text) if int(text) in allowed else None
