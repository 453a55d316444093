"""Measures the latency of `.tflite` files relative to a base file, in interleaved turns."""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from zoo.errors import ZooError
from zoo.io.log import Log
from zoo.runtime.sandbox import Sandbox


@dataclass(frozen=True)
class Ratio:
    """Latency of a file divided by that of the base.

    Attributes:
        median: Median over turns, None if the file failed.
        low: Lower quartile over turns.
        high: Upper quartile over turns.
        reason: Why the file failed.
    """

    median: float | None = None
    low: float | None = None
    high: float | None = None
    reason: str | None = None

    def __str__(self) -> str:
        if self.median is None:
            return f"none: {self.reason}"
        return f"{self.median:.2f} ({self.low:.2f} – {self.high:.2f})"


def measure(
    base: Path,
    others: Sequence[Path],
    runner: Sandbox,
    turns: int,
    seconds: float,
    log: Log,
) -> list[Ratio]:
    """Times the base and the other files with XNNPACK on one thread.

    In each turn, every file is loaded and run for some time, in a seeded random order. A ratio
    compares two medians of the same turn, so a slow phase of the machine affects both.

    Args:
        base: File that the others are compared with.
        others: Files to compare.
        runner: Sandbox of the runtime.
        turns: Number of turns, at least 3.
        seconds: Running time per file and turn.
        log: Called with one line per turn.

    Returns:
        One ratio per file, in the order of `others`.

    Raises:
        ZooError: if the base fails to run.
    """
    order = random.Random(1)  # noqa: S311
    failed: dict[Path, str] = {}
    ratios: dict[Path, list[float]] = {path: [] for path in others}
    for turn in range(turns):
        files = [base, *(path for path in others if path not in failed)]
        order.shuffle(files)
        latencies = {}
        for path in files:
            try:
                latencies[path] = statistics.median(runner.latency_us(path, "xnnpack", 1, seconds))
            except ZooError as error:
                if path == base:
                    raise
                failed[path] = str(error)
        for path in files:
            if path != base and path in latencies:
                ratios[path].append(latencies[path] / latencies[base])
        log(f"turn {turn + 1} of {turns}")
    results = []
    for path in others:
        if path in failed:
            results.append(Ratio(reason=failed[path]))
            continue
        low, _, high = statistics.quantiles(ratios[path], n=4, method="inclusive")
        results.append(Ratio(statistics.median(ratios[path]), low, high))
    return results
