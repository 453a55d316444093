"""The sampler's output: readings of a phone's nodes, each row with the time since boot.

    mmz-sampler 1 native
    node current_now /sys/class/power_supply/battery/current_now
    node voltage_now /sys/class/power_supply/battery/voltage_now
    denied temp /sys/class/power_supply/battery/temp
    start
    81234567890 81234570000 -412000 4101000

A row is the monotonic and the boot-time clock in microseconds (`-` where the sampler has none) and
a value for each node (`-` where it could not be read just then).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from zoo.errors import ZooError, one_line

MAX_BYTES = 64 * 2**20
_MAX_NODES = 64
_HEADER = re.compile(r"mmz-sampler 1 (native|loop)")
_NODE = re.compile(r"(node|denied|missing) ([a-z0-9_]{1,40}) (\S{1,200})")
_VALUE = re.compile(r"-?[0-9]{1,18}")
# What drivers give for a property that the hardware lacks.
_UNSUPPORTED = -(2**31)


@dataclass(frozen=True, eq=False)
class Trace:
    """What was sampled.

    Attributes:
        kind: `native` or `loop`.
        boot_s: (n,) seconds since boot, suspended time included, rising.
        awake_s: (n,) likewise without suspended time; NaN where the sampler has no such clock.
        columns: node name → (n,) readings as the kernel gives them; NaN where there was none.
        refused: node name → `denied` or `missing`.
        damaged: rows that could not be read.
    """

    kind: str
    boot_s: np.ndarray
    awake_s: np.ndarray
    columns: Mapping[str, np.ndarray]
    refused: Mapping[str, str]
    damaged: int

    def part(self, start_s: float, end_s: float) -> Trace:
        """The rows from `start_s` to `end_s`, both included."""
        inside = (self.boot_s >= start_s) & (self.boot_s <= end_s)
        return Trace(
            self.kind,
            self.boot_s[inside],
            self.awake_s[inside],
            {name: column[inside] for name, column in self.columns.items()},
            self.refused,
            self.damaged,
        )


def parse(text: str) -> Trace:
    """Reads what a sampler wrote, also where its end was cut off.

    Raises:
        ZooError: it is no sampler's output, or its clock ran backwards.
    """
    lines = text[:MAX_BYTES].split("\n")
    complete = lines[:-1]  # what follows the last line break was cut off, or is empty
    header = _HEADER.fullmatch(complete[0]) if complete else None
    if header is None:
        raise ZooError("the sampler wrote nothing that can be read", got=one_line(text[:80]))
    names: list[str] = []
    refused: dict[str, str] = {}
    rows: list[list[float]] = []
    damaged = 0
    body = iter(complete[1:])
    for line in body:
        if line == "start":
            break
        found = _NODE.fullmatch(line)
        if found is None or found[2] in names or len(names) == _MAX_NODES:
            raise ZooError("the sampler's list of nodes is damaged", got=one_line(line, 80))
        if found[1] == "node":
            names.append(found[2])
        else:
            refused[found[2]] = found[1]
    else:
        raise ZooError("the sampler ended before its first reading")
    for line in body:
        row = _row(line, len(names))
        if row is None:
            damaged += 1
        else:
            rows.append(row)
    table = np.array(rows, np.float64).reshape(-1, 2 + len(names))
    boot_s = table[:, 1] / 1e6
    if (np.diff(boot_s) < 0).any():
        raise ZooError("the phone's clock ran backwards while it was sampled")
    columns = {name: table[:, 2 + i] for i, name in enumerate(names)}
    return Trace(header[1], boot_s, table[:, 0] / 1e6, columns, refused, damaged)


def _row(line: str, nodes: int) -> list[float] | None:
    words = line.split(" ")
    if len(words) != 2 + nodes or words[1] == "-":
        return None
    row = []
    for word in words:
        if word == "-":
            row.append(float("nan"))
        elif _VALUE.fullmatch(word):
            row.append(float("nan") if int(word) == _UNSUPPORTED else float(word))
        else:
            return None
    return row
