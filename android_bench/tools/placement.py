"""Determines where a graph ran, from the tools' log lines and the exported runtime information."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Literal

from android_bench.tools.delegates import TOOL_NAMES, Delegate
from zoo.schema.measurement import Placement

PlacementLevel = Literal["full", "partial", "none", "unknown"]

# Printed by Subgraph::ReplaceNodeSubsetsWithDelegateKernels in tflite/core/subgraph.cc; on Android
# in every build, on stderr (tflite/minimal_logging_android.cc). Builds differ in the end of the
# line, and the oldest omit the total. The number of partitions includes undelegated ones.
_REPLACING = re.compile(
    r"Replacing (\d{1,7})(?: out of (\d{1,7}))? node\(s\) with delegate \(([^()\s]{1,80})\) node, "
    r"yielding \d{1,7} partitions"
    r"(?: for (?:the whole graph|subgraph (\d{1,4})(?: \(.{0,80}\))?))?\.?",
    re.ASCII,
)
_APPLIED = re.compile(
    r"Explicitly applied (\w+) delegate, and the model graph will be (completely|partially)"
    r" executed by the delegate(?: w/ (\d{1,6}) delegate kernels?)?\.?",
    re.ASCII,
)
_NOT_APPLIED = re.compile(
    r"Though (\w+) delegate is explicitly applied, the model graph will not be executed by the "
    r"delegate\.?",
    re.ASCII,
)
_IMPLICIT = "Created TensorFlow Lite XNNPACK delegate for CPU."
# From the same file: after a failure the graph is restored, and a tool may continue without it.
_RESTORED = "Restored original execution plan after delegate application failure"


def level_of(delegated: int, nodes: int) -> PlacementLevel:
    """Returns the placement level of a graph with at least one node."""
    return "none" if delegated == 0 else "full" if delegated == nodes else "partial"


def explicit(lines: Iterable[str], delegate: Delegate) -> list[Placement]:
    """Placements from the lines of TFLite's tool.

    They are printed by Init in tflite/tools/benchmark/benchmark_tflite_model.cc.
    """
    name = TOOL_NAMES.get(delegate.kind)
    placements = []
    for line in lines:
        if (applied := _APPLIED.fullmatch(line)) is not None and applied[1] == name:
            level: PlacementLevel = "full" if applied[2] == "completely" else "partial"
            parts = int(applied[3]) if applied[3] else None
            placements.append(Placement(level=level, partitions=parts))
        elif (refused := _NOT_APPLIED.fullmatch(line)) is not None and refused[1] == name:
            placements.append(Placement(level="none", partitions=0))
    return placements


def replaced(lines: Iterable[str], delegate: Delegate) -> list[Placement]:
    """Placements of the model's first subgraph from the lines of the runtime."""
    placements = []
    for line in lines:
        match = _REPLACING.fullmatch(line)
        if match is None or int(match[4] or 0) != 0 or not delegate.is_called(match[3]):
            continue
        if match[2] is None:
            continue  # without the total the level is unknown
        delegated, nodes = int(match[1]), int(match[2])
        if not 0 < nodes >= delegated:
            placements.append(Placement(level="unknown"))
            continue
        level = level_of(delegated, nodes)
        parts = {"full": 1, "none": 0}.get(level)
        placements.append(
            Placement(level=level, nodes=nodes, delegated=delegated, partitions=parts)
        )
    return placements


def agreed(sources: Sequence[Placement]) -> Placement:
    """Merges placements from several sources.

    Each number comes from the first source that has it. The level is `unknown` if there are no
    sources or their levels differ.
    """
    if len({source.level for source in sources}) != 1:
        return Placement(level="unknown")
    fields = ("nodes", "delegated", "partitions", "left")
    known = {
        name: next((v for source in sources if (v := getattr(source, name)) is not None), None)
        for name in fields
    }
    return Placement(level=sources[0].level, **known)


def misplacement(lines: Sequence[str], delegate: Delegate, placement: Placement) -> list[str]:
    """Returns why a latency does not count as the delegate's; empty if it does.

    Args:
        lines: Lines of both streams.
        delegate: Requested delegate.
        placement: Placement of the graph from all sources.
    """
    label = delegate.label
    if delegate.kind == "none":
        return _not_plain(lines, placement)
    for line in lines:
        if _RESTORED in line:
            return [f"{label} failed and the model ran without it: {line.strip()}"]
    if delegate.kind == "xnnpack":
        others = [m for line in lines if (m := _REPLACING.fullmatch(line))]
        for other in others:
            if not delegate.is_called(other[3]):
                return [f"another delegate was used as well: {other[0]}"]
        if placement.level == "none":
            return ["XNNPACK took none of the nodes; the model ran on plain kernels"]
        return []
    for line in lines:
        # Warnings of tflite/tools/delegates/default_execution_provider.cc, of
        # nnapi_delegate_provider.cc, and of external_delegate.cc for a library that cannot be
        # loaded. Each time the run continues on the CPU.
        if "acceleration is unsupported" in line or "Unable to load external delegate" in line:
            return [f"{label} was not used; the model ran on the CPU: {line.strip()}"]
    if placement.level == "none":
        return [f"{label} took none of the nodes; the model ran on the CPU"]
    if placement.level == "unknown":
        return [f"no evidence that {label} was used; the model may have run on the CPU"]
    return []


def _not_plain(lines: Iterable[str], placement: Placement) -> list[str]:
    for line in lines:
        if _APPLIED.search(line) or _REPLACING.search(line) or _IMPLICIT in line:
            return [f"a delegate was used although none was requested: {line.strip()}"]
    if placement.level in ("full", "partial"):
        return ["a delegate was used although none was requested"]
    return []
