"""Strict parsers for the statistics that benchmark_model prints; unknown lines are ignored."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

MAX_US = 3.6e9  # one hour, the limit on a single inference or the initialization
MAX_MB = 2**20

_NUMBER = r"[0-9]{1,16}(?:\.[0-9]{1,16})?(?:e[+-]?[0-9]{1,2})?"
_COUNT = re.compile(rf"count=([0-9]{{1,9}})((?: \w+={_NUMBER})+)(\(all same\))?")
_PAIR = re.compile(rf" (\w+)=({_NUMBER})")
_TIMINGS = re.compile(
    rf"Inference timings in us: Init: ({_NUMBER}), First inference: ({_NUMBER}), "
    rf"(?:Warmup \(avg\): {_NUMBER}, )?Inference \(avg\): ({_NUMBER})"
)
_OLD_TIMINGS = re.compile(
    rf"Average inference timings in us: Warmup: {_NUMBER}, Init: ({_NUMBER}), "
    rf"Inference: ({_NUMBER})"
)
_PEAK = re.compile(rf"Overall peak memory footprint \(MB\) via periodic monitoring: ({_NUMBER})")
_REST = re.compile(r"[0-9.e+-]")
_MANY = {"first", "curr", "min", "max", "avg", "std"}
_PERCENTILES = {"p5", "median", "p95"}


@dataclass(frozen=True)
class Stats:
    """A `count=` line, with times in microseconds; percentiles are None on old builds."""

    count: int
    first_us: float
    min_us: float
    max_us: float
    avg_us: float
    std_us: float
    p5_us: float | None = None
    median_us: float | None = None
    p95_us: float | None = None


@dataclass(frozen=True)
class Timings:
    """The line of inference timings; `first_us` is None on very old builds."""

    init_us: float
    first_us: float | None
    avg_us: float


def parse_stats(lines: Sequence[str]) -> Stats | None:
    """Parses the last `count=` line; returns None if it is missing or invalid.

    A blank line must follow it, as otherwise its last number may be truncated.
    """
    for number, line in reversed(list(enumerate(lines))):
        if line.startswith("count="):
            complete = number + 1 < len(lines) and not lines[number + 1]
            return _stats(line) if complete else None
    return None


def parse_timings(lines: Sequence[str]) -> Timings | None:
    """Parses the last line of inference timings; returns None if it is missing or invalid."""
    for line in reversed(lines):
        if (new := _TIMINGS.fullmatch(line)) is not None:
            init_us, first_us, avg_us = (_time_us(text) for text in new.groups())
            if init_us is None or first_us is None or avg_us is None:
                return None
            return Timings(init_us, first_us, avg_us)
        if (old := _OLD_TIMINGS.fullmatch(line)) is not None:
            init_us, avg_us = (_time_us(text) for text in old.groups())
            if init_us is None or avg_us is None:
                return None
            return Timings(init_us, None, avg_us)
    return None


def memory_mb(lines: Sequence[str]) -> float | None:
    """Parses the peak memory footprint in MB; returns None if it is missing or invalid."""
    for number, line in reversed(list(enumerate(lines))):
        if (peak := _PEAK.fullmatch(line)) is not None:
            value = float(peak[1])
            # The number ends its line, so the next line must not look like the rest of the number.
            complete = number + 1 < len(lines) and not _REST.match(lines[number + 1])
            return value if complete and 0 < value < MAX_MB else None
    return None


def _stats(line: str) -> Stats | None:
    row = _COUNT.fullmatch(line)
    if row is None:
        return None
    count, all_same = int(row[1]), row[3] is not None
    pairs = _PAIR.findall(row[2])
    values = {name: _time_us(text) for name, text in pairs}
    if count < 1 or len(values) != len(pairs) or None in values.values():
        return None
    v = {name: value for name, value in values.items() if value is not None}
    if set(v) == {"curr"}:  # a single run, or all runs equal
        if all_same == (count == 1) or v["curr"] <= 0:
            return None
        same = v["curr"]
        return Stats(count, same, same, same, same, 0.0)
    if set(v) not in (_MANY, _MANY | _PERCENTILES) or all_same or not _ordered(v):
        return None
    return Stats(
        count=count,
        first_us=v["first"],
        min_us=v["min"],
        max_us=v["max"],
        avg_us=v["avg"],
        std_us=v["std"],
        p5_us=v.get("p5"),
        median_us=v.get("median"),
        p95_us=v.get("p95"),
    )


def _ordered(v: dict[str, float]) -> bool:
    # The mean has 6 significant digits, so rounding may put it slightly outside the extremes.
    slack_us = 1e-5 * v["max"] + 1
    return (
        v["avg"] > 0
        and v["min"] - slack_us <= v["avg"] <= v["max"] + slack_us
        and all(v["min"] <= v[name] <= v["max"] for name in ("first", "curr"))
        and v["std"] <= v["max"] - v["min"] + slack_us
        and (
            "median" not in v
            or v["min"] - slack_us <= v["p5"] <= v["median"] <= v["p95"] <= v["max"] + slack_us
        )
    )


def _time_us(text: str) -> float | None:
    value = float(text)
    return value if math.isfinite(value) and 0 <= value <= MAX_US else None
