"""Hardware and software of a phone: names, CPU clusters and clocks, GPU.

Phones differ in what they let the shell read, so every value is optional: it is parsed on its own,
checked against a plausible range, limited in length, and `unknown` if missing.
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
    # This line contains the GPU's vendor and name and the driver version.
    'echo "@gpu $(dumpsys SurfaceFlinger 2>/dev/null | grep -m 1 "^ *GLES:")"\n' + CLOCKS
)
_SAVER = {"0": "off", "1": "on"}
_KHZ = range(1_000, 20_000_000)


@dataclass(frozen=True)
class CpuCluster:
    """CPU cores that share a clock; frequencies are in kHz, None if unreadable.

    Attributes:
        cores: Core numbers for messages, for example `cores 0,1,2,3`.
        max_khz: Maximum frequency of the hardware.
        now_khz: Current frequency.
        limit_khz: Current frequency limit; lower than `max_khz` when throttled.
        first: Number of the first core.
    """

    cores: str
    max_khz: int | None
    now_khz: int | None
    limit_khz: int | None
    first: int = 0


def parse_probe(text: str) -> dict[str, str]:
    """Parses the output of `PROBE_COMMAND` into name → value; never raises."""
    text = text[:MAX_TEXT]
    details = dict.fromkeys(_PROPERTIES, UNKNOWN)
    for name in details:
        match = re.search(rf"^@{name} (.+)$", text, re.MULTILINE)
        if match and (value := one_line(match[1], MAX_VALUE)):
            details[name] = value
    saver = re.search(r"^@battery_saver ([01])$", text, re.MULTILINE)
    details["battery_saver"] = _SAVER[saver[1]] if saver else UNKNOWN
    gpu = re.search(r"^@gpu\s+GLES: (.+)$", text, re.MULTILINE)
    details["gpu"] = (gpu and one_line(gpu[1], MAX_VALUE)) or UNKNOWN
    clusters = parse_clusters(text)
    labels = [f"{c.cores} @ {c.max_khz or UNKNOWN} kHz" for c in clusters]
    details["clusters"] = one_line("; ".join(labels), MAX_VALUE) if labels else UNKNOWN
    return details


def parse_clusters(text: str) -> list[CpuCluster]:
    """Parses the `@policy` lines, at most 16; implausible frequencies become None."""
    clusters = []
    for row in re.findall(r"^@policy (\d{1,3}\|.*)$", text, re.MULTILINE)[:16]:
        fields = (row.split("|") + [""] * 5)[:5]
        cores = "cores " + (",".join(re.findall(r"\d{1,3}", fields[1])[:64]) or "?")
        most, now, limit = (number(value, _KHZ) for value in fields[2:])
        clusters.append(CpuCluster(cores, most, now, limit, int(fields[0])))
    return clusters


def mask(clusters: Sequence[CpuCluster], cores: str) -> str:
    """Returns the CPU mask of some of the cores in hexadecimal, as `taskset` takes it.

    Args:
        clusters: CPU clusters of the phone.
        cores: `little` (the slowest cluster), `big` (all other clusters), `prime` (the fastest
            cluster if it has a single core), or a mask.

    Raises:
        ZooError: if `cores` is invalid, or the phone has no such cores or does not report them.
    """
    if re.fullmatch(r"(0x)?[0-9a-fA-F]{1,16}", cores) and int(cores, 16):
        return f"{int(cores, 16):x}"
    if cores not in ("little", "big", "prime"):
        raise UnknownNameError("--cores", cores, ("little", "big", "prime", "a mask such as f0"))
    known = sorted((c for c in clusters if c.max_khz), key=lambda c: c.max_khz or 0)
    numbers = [[int(n) for n in re.findall(r"\d+", cluster.cores)] for cluster in known]
    if not known or not all(numbers):
        raise ZooError(
            "the phone does not report its CPU clusters", remedy="pass --cores as a mask"
        )
    if len(known) == 1:
        raise ZooError(
            f"the phone has no {cores} cores: all cores are identical", got=known[0].cores
        )
    if cores == "prime" and len(numbers[-1]) != 1:
        raise ZooError(
            "the phone has no prime core",
            got="; ".join(f"{c.cores} @ {c.max_khz} kHz" for c in known),
            remedy="use --cores=big",
        )
    chosen = {"little": numbers[:1], "big": numbers[1:], "prime": numbers[-1:]}[cores]
    return f"{sum(1 << core for cluster in chosen for core in cluster):x}"


def number(text: str, allowed: range) -> int | None:
    """Parses an integer; None if `text` is not an integer or is out of range."""
    text = text.strip()
    if not re.fullmatch(r"-?[0-9]{1,10}", text):
        return None
    return int(text) if int(text) in allowed else None
