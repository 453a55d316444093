"""Latencies of several `.tflite` files as ratios to one of them, measured in turns."""

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
    """Latency by that of the base: the median over turns, and the middle half of the turns.

    `reason` is why there is none.
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
    """Times the base and the others with XNNPACK on one thread.

    In each turn every file is loaded and run for some time, in a seeded random order; a ratio is
    of two medians of one turn. So a slow minute of the machine meets both sides of it.

    Args:
        base: what the others are compared with.
        others: the others.
        runner: of the runtime.
        turns: at least 3.
        seconds: of each file in each turn.
        log: gets a line for each turn.

    Raises:
        ZooError: the base can't be run.
    """
    order = random.Random(1)  # noqa: S311
    failed: dict[Path, str] = {}
    ratios: dict[Path, list[float]] = {path: [] for path in others}
    for turn in range(turns):
        files = [base, *(path for path in others if path not in failed)]
        order.shuffle(files)
        took = {}
        for path in files:
            try:
                took[path] = statistics.median(runner.latency_us(path, "xnnpack", 1, seconds))
            except ZooError as error:
                if path == base:
                    raise
                failed[path] = str(error)
        for path in files:
            if path != base and path in took:
                ratios[path].append(took[path] / took[base])
        log(f"turn {turn + 1} of {turns}")
    found = []
    for path in others:
        if path in failed:
            found.append(Ratio(reason=failed[path]))
            continue
        low, _, high = statistics.quantiles(ratios[path], n=4, method="inclusive")
        found.append(Ratio(statistics.median(ratios[path]), low, high))
    return found
