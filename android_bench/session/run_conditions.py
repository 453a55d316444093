"""Conditions on the phone while the tool ran, recorded by the shell that started it.

Right before and right after the run, the shell reads a few nodes with its built-in `read`. That
starts no other process, and it sees a clock limit before the phone has cooled down.

    before 8123.45 1700000000.123456 cpu  100 0 50 9000 10 0 5 0 0 0
    limit 0 1804800
    after 8143.45 1700000020.123460 cpu  2100 0 60 9900 10 0 5 0 0 0
    limit 0 1804800
    0m0.00s 0m0.00s
    0m18.20s 0m0.30s
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

FILE = "watch"
_TICKS = 100  # ticks per second in /proc/stat, the same on every Android
_MAX_TEXT = 2**14
_CLUSTERS = "/sys/devices/system/cpu/cpufreq/policy"

# Android's shell has the variable EPOCHREALTIME; other shells fall back to whole seconds.
_NOTE = (
    "note() { read -r up rest </proc/uptime; read -r cpu </proc/stat\n"
    'echo "$1 $up ${EPOCHREALTIME:-$(date +%s)} $cpu"\n'
    f"for p in {_CLUSTERS}*; do read -r khz <$p/scaling_max_freq &&\n"
    f'echo "limit ${{p#{_CLUSTERS}}} $khz"; done; }}\n'
)
_MOMENT = re.compile(
    r"(before|after) (\d{1,9}\.\d{2}) (\d{1,12}(?:\.\d{1,9})?)(?: cpu +((?:\d{1,15} ?){8,10}))?"
)
_LIMIT = re.compile(r"limit (\d{1,3}) (\d{4,9})")
_TIMES = re.compile(r"\s*(\d{1,6})m(\d{1,2}[.,]\d{1,6})s\s+(\d{1,6})m(\d{1,2}[.,]\d{1,6})s\s*")


@dataclass(frozen=True)
class RunConditions:
    """Conditions of one run; None or empty where the phone does not report a value.

    Attributes:
        seconds: Run time of the tool in s, from /proc/uptime, which can't be set.
        clock_jump_s: Drift of the wall clock, which the tool times with, against the uptime.
        clock_step_s: Smallest jump that can be distinguished from rounding.
        other_cores: Mean number of cores kept busy by anything except the tool.
        limits: Cluster → its clock limit in kHz (before, after) the run.
    """

    seconds: float | None = None
    clock_jump_s: float | None = None
    clock_step_s: float = 0.0
    other_cores: float | None = None
    limits: dict[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def notes(self) -> dict[str, str]:
        """The run time and the load of other processes, as text for a result row."""
        notes = {}
        if self.seconds is not None:
            notes["tool_seconds"] = f"{self.seconds:.2f}"
        if self.other_cores is not None:
            notes["other_load_cores"] = f"{self.other_cores:.2f}"
        return notes


def watched(tool: str) -> str:
    """Wraps a shell command so that it records its conditions in `FILE`; keeps its exit code."""
    # `times` prints the CPU time of this shell's child processes, which is nearly all the tool's.
    return (
        f"(\n{_NOTE}note before >{FILE} 2>/dev/null\n{tool}\ncode=$?\n"
        f"{{ note after; times; }} >>{FILE} 2>/dev/null\nexit $code\n)"
    )


def parse(text: str) -> RunConditions:
    """Parses the content of `FILE`; never raises. Missing or malformed values stay None."""
    lines = text[:_MAX_TEXT].split("\n")
    moments: dict[str, re.Match[str]] = {}
    limits: dict[str, dict[str, int]] = {"before": {}, "after": {}}
    times = []
    at = ""
    for line in lines:
        if (moment := _MOMENT.fullmatch(line.strip())) is not None:
            at = moment[1]
            moments[at] = moment
        elif at and (limit := _LIMIT.fullmatch(line)) is not None:
            limits[at][limit[1]] = int(limit[2])
        elif at == "after" and (spent := _TIMES.fullmatch(line)) is not None:
            times.append(_seconds(spent[1], spent[2]) + _seconds(spent[3], spent[4]))
    both = {
        name: (khz, limits["after"][name])
        for name, khz in limits["before"].items()
        if name in limits["after"]
    }
    if set(moments) != {"before", "after"}:
        return RunConditions(limits=both)
    start, end = moments["before"], moments["after"]
    seconds = float(end[2]) - float(start[2])
    if seconds <= 0:
        return RunConditions(limits=both)
    whole = "." not in start[3] or "." not in end[3]
    return RunConditions(
        seconds=seconds,
        clock_jump_s=float(end[3]) - float(start[3]) - seconds,
        # Whole seconds: two roundings. Otherwise: rounding to 10 ms plus clock slewing.
        clock_step_s=1.5 if whole else 0.03 + 1e-3 * seconds,
        other_cores=_other_cores(start[4], end[4], times, seconds),
        limits=both,
    )


def _other_cores(
    before: str | None, after: str | None, times: list[float], seconds: float
) -> float | None:
    if before is None or after is None or len(times) != 2:
        return None
    busy = _busy_s(after) - _busy_s(before) - times[1]
    return max(0.0, busy / seconds)


def _busy_s(fields: str) -> float:
    # user nice system idle iowait irq softirq steal
    ticks = [int(word) for word in fields.split()]
    return (sum(ticks[:3]) + sum(ticks[5:8])) / _TICKS


def _seconds(minutes: str, seconds: str) -> float:
    return 60 * int(minutes) + float(seconds.replace(",", "."))
