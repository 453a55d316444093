"""Facts about a phone beyond its make and state (see `android_bench.phone.probe`)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from zoo.errors import one_line

MAX_TEXT = 2**16
_OPENCL = ("/system/vendor/lib64/libOpenCL.so", "/system/vendor/lib/libOpenCL.so",
           "/system/lib64/libOpenCL.so", "/system/lib/libOpenCL.so")  # fmt: skip
_STAT = "head -n 1 /proc/stat 2>/dev/null"

# All commands are read-only. `su` is located but not run, because it may prompt on the screen.
FACTS_COMMAND = (
    "echo @storage; df -k /data/local/tmp 2>/dev/null\n"
    "echo @screen; dumpsys power 2>/dev/null"
    " | grep -E 'mWakefulness=|Display Power: state=' | head -n 4\n"
    "echo @gpu; cat /sys/class/kgsl/kgsl-3d0/gpu_model 2>/dev/null | head -c 100; echo\n"
    f"echo @opencl; for f in {' '.join(_OPENCL)}; do [ -e $f ] && echo $f; done\n"
    "echo @root; id -u; command -v su\n"
    "echo @fixed; cmd power help 2>/dev/null | grep set-fixed-performance-mode | head -n 1\n"
)
# A separate command, so the commands above do not count as load.
LOAD_COMMAND = f"{_STAT}; sleep 1; {_STAT}"


@dataclass(frozen=True)
class Facts:
    """Facts reported by a phone; None or "" where it does not report a value.

    Attributes:
        free_mb: Free space in /data, in MB (10⁶ bytes).
        screen_on: Whether the display is on.
        gpu: Vendor and name of the GPU.
        driver: Version string of the GPU driver.
        opencl: Path of the OpenCL library.
        root: `adbd` if adbd runs as root, `su` if a su program exists, else "".
        fixed_performance: Whether Android supports the fixed-performance mode.
    """

    free_mb: float | None
    screen_on: bool | None
    gpu: str
    driver: str
    opencl: str
    root: str
    fixed_performance: bool


def parse_facts(text: str, gles: str = "") -> Facts:
    """Parses the output of `FACTS_COMMAND` and the `gpu` entry of `probe`; never raises."""
    parts = dict(re.findall(r"^@(\w+)\n(.*?)(?=^@|\Z)", text[:MAX_TEXT], re.MULTILINE | re.DOTALL))
    named = re.fullmatch(r"([^,\n]{1,60}), ([^,\n]{1,80}), ([^\n]{1,200})", gles)
    model = one_line(parts.get("gpu", ""), 80)
    root = parts.get("root", "").split("\n")
    path = re.search(r"^/\S{1,100}$", parts.get("opencl", ""), re.MULTILINE)
    return Facts(
        free_mb=_free_mb(parts.get("storage", "")),
        screen_on=_screen_on(parts.get("screen", "")),
        gpu=one_line(f"{named[1]} {named[2]}", 100) if named else model,
        driver=one_line(named[3], 100) if named else "",
        opencl=path[0] if path else "",
        root="adbd" if root[0] == "0" else "su" if root[1:] and root[1].startswith("/") else "",
        fixed_performance="set-fixed-performance-mode" in parts.get("fixed", ""),
    )


def busy_share(text: str) -> float | None:
    """Returns the CPU load, 0 to 1, from the output of `LOAD_COMMAND`; None if malformed."""
    rows = re.findall(r"^cpu +((?:\d{1,18} ?){4,10})$", text[:MAX_TEXT], re.MULTILINE)
    if len(rows) != 2:
        return None
    first, last = ([int(word) for word in row.split()] for row in rows)
    spent = [b - a for a, b in zip(first, last, strict=False)]
    whole = sum(spent[:8])  # guest times, the last two fields, are included in user and nice
    idle = spent[3] + (spent[4] if len(spent) > 4 else 0)
    return min(max(1 - idle / whole, 0.0), 1.0) if whole > 0 else None


def _free_mb(text: str) -> float | None:
    """Parses `df -k`; Android 6's toolbox prints another layout, with units."""
    match = re.search(r"^\S+ +\d+ +\d+ +(\d{1,15}) +\d+% ", text, re.MULTILINE)
    if match is not None:
        return int(match[1]) * 1024 / 1e6
    old = re.search(r"^/\S+ +[\d.]+[KMGT] +[\d.]+[KMGT] +(\d+(?:\.\d+)?)([KMGT]) +\d+$", text, re.M)
    return float(old[1]) * 1024 ** ("KMGT".index(old[2]) + 1) / 1e6 if old else None


def _screen_on(text: str) -> bool | None:
    display = re.search(r"Display Power: state=(\w{2,20})", text)
    if display is not None:
        return display[1] == "ON"
    awake = re.search(r"mWakefulness=(\w{2,20})", text)
    return None if awake is None else awake[1] in ("Awake", "Dreaming")
