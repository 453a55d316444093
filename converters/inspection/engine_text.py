"""What an engine takes of a file, as text."""

from __future__ import annotations

from converters.inspection.inspect import EngineRow
from zoo.errors import one_line

_SHOWN = 12  # reasons; --json has them all


def engine(row: EngineRow) -> list[str]:
    """Returns the lines on an engine: its verdict, its device, and its words on what it refuses."""
    placed = row.placement
    if placed is None:
        return [one_line(row.problem or "not run")]
    device = placed.accelerator
    verdict = (
        f"fully accelerated: all {placed.nodes} operators"
        if placed.level == "full"
        else f"{placed.level}: {placed.delegated} of {placed.nodes} operators"
    )
    if placed.partitions is not None:
        verdict += f" in {plural(placed.partitions, 'partition')}"
    refused = placed.refused or ()
    lines = [verdict, f"version {row.version}" + (f" on {device.words}" if device else "")]
    lines += [f"refused: {one_line(reason, 300)}" for reason in refused[:_SHOWN]]
    if len(refused) > _SHOWN:
        lines.append(f"and {len(refused) - _SHOWN} more reasons")
    if placed.left:
        lines.append("not delegated: " + counted(placed.left))
    return lines


def counted(counts: dict[str, int]) -> str:
    """Returns for example `2 × CONV_2D, 1 × ADD`; `none` if there are none."""
    return ", ".join(f"{n} × {one_line(name, 40)}" for name, n in counts.items()) or "none"


def plural(count: int, noun: str) -> str:
    """Returns for example `1 partition` or `2 partitions`."""
    return f"{count} {noun}" + ("" if count == 1 else "s")
