"""What a doctor asks a phone beyond its make and state (`android_bench.phone.probe`)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from zoo.errors import one_line

MAX_TEXT = 2**16
_OPENCL = ("/system/vendor/lib64/libOpenCL.so", "/system/vendor/lib/libOpenCL.so",
           "/system/lib64/libOpenCL.so", "/system/lib/libOpenCL.so")  # fmt: skip
_STAT = "head -n 1 /proc/stat 2>/dev/null"

# Nothing here changes anything: `su` is looked for and not run, since it may ask on the screen.
FACTS_COMMAND = (
    "echo @storage; df -k /data/local/tmp 2>/dev/null\n"
    "echo @screen; dumpsys power 2>/dev/null"
    " | grep -E 'mWakefulness=|Display Power: state=' | head -n 4\n"
    "echo @gpu; cat /sys/class/kgsl/kgsl-3d0/gpu_model 2>/dev/null | head -c 100; echo\n"
    f"echo @opencl; for f in {' '.join(_OPENCL)}; do [ -e $f ] && echo $f; done\n"
    "echo @root; id -u; command -v su\n"
    "echo @fixed; cmd power help 2>/dev/null | grep set-fixed-performance-mode | head -n 1\n"
)
# By itself, so that the commands above don't count as load.
LOAD_COMMAND = f"{_STAT}; sleep 1; {_STAT}"


@dataclass(frozen=True)
class Facts:
    """What the phone told; None or "" where it did not.

    Attributes:
        free_mb: of /data, in units of 10⁶ bytes.
        screen_on: whether the display is.
        gpu, driver: of the graphics processor, as it calls itself.
        opencl: where its OpenCL library is.
        root: `adbd` runs as root, there is a `su`, or neither ("").
        fixed_performance: whether Android knows that mode.
    """

    free_mb: float | None
    screen_on: bool | None
    gpu: str
    driver: str
    opencl: str
    root: str
    fixed_performance: bool


def parse_facts(text: str, gles: str = "") -> Facts:
    """Reads the output of `FACTS_COMMAND`, and what `probe` calls `gpu`; never raises."""
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
    """How busy the cores were between two first lines of /proc/stat, 0 to 1; None if not told."""
    rows = re.findall(r"^cpu +((?:\d{1,18} ?){4,10})$", text[:MAX_TEXT], re.MULTILINE)
    if len(rows) != 2:
        return None
    first, last = ([int(word) for word in row.split()] for row in rows)
    spent = [b - a for a, b in zip(first, last, strict=False)]
    whole = sum(spent[:8])  # the two behind are counted in the others
    idle = spent[3] + (spent[4] if len(spent) > 4 else 0)
    return min(max(1 - idle / whole, 0.0), 1.0) if whole > 0 else None


def _free_mb(text: str) -> float | None:
    """Of `df -k`: the column is named, except on Android 6, whose toolbox has another layout."""
    found = re.search(r"^\S+ +\d+ +\d+ +(\d{1,15}) +\d+% ", text, re.MULTILINE)
    if found is not None:
        return int(found[1]) * 1024 / 1e6
    old = re.search(r"^/\S+ +[\d.]+[KMGT] +[\d.]+[KMGT] +(\d+(?:\.\d+)?)([KMGT]) +\d+$", text, re.M)
    return float(old[1]) * 1024 ** ("KMGT".index(old[2]) + 1) / 1e6 if old else None


def _screen_on(text: str) -> bool | None:
    display = re.search(r"Display Power: state=(\w{2,20})", text)
    if display is not None:
        return display[1] == "ON"
    awake = re.search(r"mWakefulness=(\w{2,20})", text)
    return None if awake is None else awake[1] in ("Awake", "Dreaming")
