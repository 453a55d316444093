"""Where a graph ran, by everything that tells it: the tools' lines and the exported information."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Literal

from android_bench.tools.delegates import TOOL_NAMES, Delegate
from zoo.schema.measurement import Placement

PlacementLevel = Literal["full", "partial", "none", "unknown"]

# Subgraph::ReplaceNodeSubsetsWithDelegateKernels in tflite/core/subgraph.cc: on Android in every
# build, on stderr (tflite/minimal_logging_android.cc). Builds differ in the words at its end, and
# the oldest leave the total out. The number of partitions counts those left outside too.
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
# The same file: after a failure the graph is as it was, and a tool may go on.
_RESTORED = "Restored original execution plan after delegate application failure"


def level_of(delegated: int, nodes: int) -> PlacementLevel:
    """How much of the graph it is, of at least one node."""
    return "none" if delegated == 0 else "full" if delegated == nodes else "partial"


def explicit(lines: Iterable[str], delegate: Delegate) -> list[Placement]:
    """What TFLite's tool says (tflite/tools/benchmark/benchmark_tflite_model.cc, Init)."""
    name = TOOL_NAMES.get(delegate.kind)
    said = []
    for line in lines:
        if (applied := _APPLIED.fullmatch(line)) is not None and applied[1] == name:
            level: PlacementLevel = "full" if applied[2] == "completely" else "partial"
            parts = int(applied[3]) if applied[3] else None
            said.append(Placement(level=level, partitions=parts))
        elif (refused := _NOT_APPLIED.fullmatch(line)) is not None and refused[1] == name:
            said.append(Placement(level="none", partitions=0))
    return said


def replaced(lines: Iterable[str], delegate: Delegate) -> list[Placement]:
    """What the runtime says of the model's first subgraph."""
    said = []
    for line in lines:
        found = _REPLACING.fullmatch(line)
        if found is None or int(found[4] or 0) != 0 or not delegate.is_called(found[3]):
            continue
        if found[2] is None:
            continue  # a count without a total tells no level
        delegated, nodes = int(found[1]), int(found[2])
        if not 0 < nodes >= delegated:
            said.append(Placement(level="unknown"))
            continue
        level = level_of(delegated, nodes)
        parts = {"full": 1, "none": 0}.get(level)
        said.append(Placement(level=level, nodes=nodes, delegated=delegated, partitions=parts))
    return said


def agreed(voices: Sequence[Placement]) -> Placement:
    """What all say, each number from the first that knows it.

    Silence and contradiction are unknown.
    """
    if len({voice.level for voice in voices}) != 1:
        return Placement(level="unknown")
    fields = ("nodes", "delegated", "partitions", "left")
    known = {
        name: next((v for voice in voices if (v := getattr(voice, name)) is not None), None)
        for name in fields
    }
    return Placement(level=voices[0].level, **known)


def misplacement(lines: Sequence[str], delegate: Delegate, placement: Placement) -> list[str]:
    """Why the figures would not be the delegate's.

    Args:
        lines: of both streams.
        delegate: that was asked for.
        placement: what is known of it.
    """
    said = delegate.said
    if delegate.kind == "none":
        return _not_plain(lines, placement)
    for line in lines:
        if _RESTORED in line:
            return [f"{said} failed, and the model ran without it: {line.strip()}"]
    if delegate.kind == "xnnpack":
        others = [m for line in lines if (m := _REPLACING.fullmatch(line))]
        for other in others:
            if not delegate.is_called(other[3]):
                return [f"another delegate was used too: {other[0]}"]
        if placement.level == "none":
            return ["XNNPACK took no part of the model, it ran on plain kernels"]
        return []
    for line in lines:
        # tflite/tools/delegates/default_execution_provider.cc and nnapi_delegate_provider.cc warn
        # so, and external_delegate.cc tells of a library it can't load: each time the run goes on.
        if "acceleration is unsupported" in line or "Unable to load external delegate" in line:
            return [f"{said} was not used, the model ran on the CPU: {line.strip()}"]
    if placement.level == "none":
        return [f"{said} took no part of the model, it ran on the CPU"]
    if placement.level == "unknown":
        return [f"nothing says that {said} was used; the model may have run on the CPU"]
    return []


def _not_plain(lines: Iterable[str], placement: Placement) -> list[str]:
    for line in lines:
        if _APPLIED.search(line) or _REPLACING.search(line) or _IMPLICIT in line:
            return [f"a delegate was used though none was asked for: {line.strip()}"]
    if placement.level in ("full", "partial"):
        return ["a delegate was used though none was asked for"]
    return []
