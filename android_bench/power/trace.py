"""The output of the sampler: readings of a phone's sysfs nodes with timestamps.

    mmz-sampler 1 native
    node current_now /sys/class/power_supply/battery/current_now
    node voltage_now /sys/class/power_supply/battery/voltage_now
    denied temp /sys/class/power_supply/battery/temp
    start
    81234567890 81234570000 -412000 4101000

A row has the monotonic clock (`-` if the sampler has none) and the boot-time clock, both in
microseconds, and one value per node (`-` if it could not be read).
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
# Value that drivers return for a property that the hardware lacks.
_UNSUPPORTED = -(2**31)


@dataclass(frozen=True, eq=False)
class Trace:
    """Parsed samples.

    Attributes:
        kind: Kind of sampler, `native` or `loop`.
        boot_s: (n,) seconds since boot including suspend, non-decreasing.
        awake_s: (n,) seconds since boot without suspend; NaN if the sampler has no such clock.
        columns: Node name → (n,) raw readings; NaN for missing values.
        refused: Node name → `denied` or `missing`, for nodes that cannot be read.
        damaged: Number of invalid rows.
    """

    kind: str
    boot_s: np.ndarray
    awake_s: np.ndarray
    columns: Mapping[str, np.ndarray]
    refused: Mapping[str, str]
    damaged: int

    def part(self, start_s: float, end_s: float) -> Trace:
        """Returns the rows from `start_s` to `end_s` in `boot_s`, both inclusive."""
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
    """Parses the output of a sampler; the end may be truncated.

    Raises:
        ZooError: if the output is invalid or its clock ran backwards.
    """
    lines = text[:MAX_BYTES].split("\n")
    complete = lines[:-1]  # drops a truncated last line
    header = _HEADER.fullmatch(complete[0]) if complete else None
    if header is None:
        raise ZooError("the sampler's output is unreadable", got=one_line(text[:80]))
    names: list[str] = []
    refused: dict[str, str] = {}
    rows: list[list[float]] = []
    damaged = 0
    body = iter(complete[1:])
    for line in body:
        if line == "start":
            break
        match = _NODE.fullmatch(line)
        if match is None or match[2] in names or len(names) == _MAX_NODES:
            raise ZooError("the sampler's list of nodes is damaged", got=one_line(line, 80))
        if match[1] == "node":
            names.append(match[2])
        else:
            refused[match[2]] = match[1]
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
        raise ZooError("the phone's clock ran backwards during sampling")
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
