"""Output lines of the tool: INFO and WARN on stdout, ERROR on stderr."""

from __future__ import annotations

import math
import sys
from typing import NoReturn


def info(text: str) -> None:
    print(f"INFO: {text}", flush=True)


def warn(text: str) -> None:
    print(f"WARN: {text}", flush=True)


def fail(*lines: str) -> NoReturn:
    for line in lines:
        print(f"ERROR: {line}", file=sys.stderr, flush=True)
    raise SystemExit(1)


def statistics_line(times_us: list[int], percentiles: bool) -> str:
    """Returns the `count=` line; averages have 6 significant digits, as in C++ streams."""
    if not times_us:
        return "count=0"
    count, last = len(times_us), times_us[-1]
    if min(times_us) == max(times_us):
        return f"count={count} curr={last}" + ("(all same)" if count > 1 else "")
    mean = sum(times_us) / count
    std = int(math.sqrt(sum(t * t for t in times_us) / count - mean * mean))
    line = (
        f"count={count} first={times_us[0]} curr={last} min={min(times_us)} max={max(times_us)}"
        f" avg={mean:g} std={std}"
    )
    if percentiles:
        ranked = sorted(times_us)
        p5, median, p95 = (ranked[round(q * (count - 1))] for q in (0.05, 0.5, 0.95))
        line += f" p5={p5} median={median} p95={p95}"
    return line


def mean_us(times_us: list[int]) -> float:
    return sum(times_us) / len(times_us) if times_us else 0.0
