"""The table of what each engine computes of the files of a release. No TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from converters.parity.evidence import METHOD, meant_for
from zoo import runtime
from zoo.schema.artifact import Artifact
from zoo.schema.engine_check import EngineCheck

Column = tuple[str, str]  # runtime, delegate


def columns(checks: Sequence[EngineCheck]) -> list[Column]:
    """Returns the engines of the lines, in the order of `zoo.runtime.RUNTIMES`."""
    order = list(runtime.RUNTIMES)
    names = {
        (check.configuration.runtime, check.configuration.delegate)
        for check in checks
        if check.configuration.runtime in order
    }
    return sorted(names, key=lambda name: (order.index(name[0]), name[1]))


def table(artifacts: Sequence[Artifact], checks: Sequence[EngineCheck]) -> str:
    """Returns a row per artifact as a Markdown table, and the reasons of those that fail.

    Args:
        artifacts: Manifests of the release.
        checks: Lines of evidence, in file order.
    """
    found = {
        (check.model_sha256, check.configuration.runtime, check.configuration.delegate): check
        for check in checks
        if check.method == METHOD
    }
    named = columns(checks)
    notes: dict[str, int] = {}
    heads = [f"{name}, {delegate}" for name, delegate in named]
    lines = [
        "| file | images | XNNPACK, top-1 % | " + " | ".join(heads) + " |",
        "|---|---:|---:|" + "---|" * len(named),
    ]
    for artifact in artifacts:
        own = {name: found.get((artifact.sha256, *name)) for name in named}
        ran = [check for check in own.values() if check and check.cpu_top1 is not None]
        cells = [_cell(artifact, name, check, notes) for name, check in own.items()]
        images = str(ran[0].images) if ran else "–"
        accuracy = f"{100 * (ran[0].cpu_top1 or 0):.1f}" if ran else "–"
        lines.append(f"| {artifact.name} | {images} | {accuracy} | {' | '.join(cells)} |")
    lines += ["", *(f"[{number}] {text}  " for text, number in notes.items())]
    return "\n".join(lines).rstrip() + "\n"


def totals(artifacts: Sequence[Artifact], checks: Sequence[EngineCheck]) -> Mapping[Column, str]:
    """Returns for each engine how many files it computes right, of those meant for it."""
    right = {
        (check.model_sha256, check.configuration.runtime, check.configuration.delegate)
        for check in checks
        if check.method == METHOD and check.valid and not check.reasons
    }
    counts = {}
    for name in columns(checks):
        meant = [each for each in artifacts if meant_for(each.precision, name[0])]
        passed = sum((each.sha256, *name) in right for each in meant)
        counts[name] = f"{passed} of {len(meant)}"
    return counts


def _cell(
    artifact: Artifact, name: Column, check: EngineCheck | None, notes: dict[str, int]
) -> str:
    if check is None:
        return "not run" if meant_for(artifact.precision, name[0]) else "not meant for it"
    mark = ""
    if check.reasons:
        wrong = check.first_wrong
        reason = "; ".join(check.reasons)
        if wrong is not None:
            reason += f"; first wrong operator {wrong.index}, {wrong.operator} ({wrong.options})"
        mark = f" [{notes.setdefault(reason, len(notes) + 1)}]"
    if check.agreement is None or check.top1 is None:
        return f"**failed**{mark}"
    placed = check.placement
    where = ""
    if placed is not None and placed.accelerator is not None:
        where = ", whole" if placed.level == "full" else f", {placed.delegated} of {placed.nodes}"
    text = f"{100 * check.top1:.1f}, agrees in {100 * check.agreement:.1f}{where}"
    return f"**{text}**{mark}" if mark else text
