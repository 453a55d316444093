"""The page that compares the GPU rules with the engine, as Markdown."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from converters.studies.gpu_rules.compare import Compared, Disagreement

_SHOWN = 4

_HEADING = """# The GPU rules and the engine

`zoo inspect` tells by rules which operators of a file a phone's GPU takes, and which ones an engine
computes wrong (`gpu_*.py` and `cautions.py` of `converters/inspection`). This page compares them
with LiteRT {version}'s GPU engine, ML Drift, through Vulkan on {device}:
{cases} files of a single operator, with the types, shapes and options that the rules depend on, and
the {files} files of `{release}`. Values are those of {inferences} inferences of random inputs,
compared with XNNPACK's.

{made_by}

- **What is taken**: the rules agree with the engine on {agree} of {all} files. It takes {taken} of
  the {cases} operators, and {whole} of the {files} released files whole.
- **What is computed**: {compared} files were compared. {wrong} of the operators and
  {files_wrong} of the released files depart from the CPU; {doubted} of them have a caution.
- TFLite's classic delegate runs on phones only. The last column of the first table is by its rules,
  which are from its public source.
"""


def markdown(
    rows: Sequence[Compared],
    files: Sequence[Compared],
    found: Sequence[Disagreement],
    fields: dict[str, object],
) -> str:
    """Returns the page.

    Args:
        rows: Cases of single operators.
        files: Released files.
        found: Disagreements of both.
        fields: `version`, `device`, `release`, `inferences` and `made_by`, for the heading.
    """
    both = [*rows, *files]
    misplaced = {each.name for each in found if "GPU" in each.rules or each.rules == "loads"}
    counts = {
        "cases": len(rows),
        "files": len(files),
        "all": len(both),
        "agree": len(both) - len(misplaced),
        "taken": sum(row.whole for row in rows),
        "whole": sum(row.whole for row in files),
        "compared": sum(row.wrong is not None for row in both),
        "wrong": sum(bool(row.wrong) for row in rows),
        "files_wrong": sum(bool(row.wrong) for row in files),
        "doubted": sum(bool(row.wrong and row.doubted) for row in both),
    }
    parts = [
        _HEADING.format(**counts, **fields),
        "## Disagreements\n",
        *_disagreements(found),
        "## Operators\n",
        "Of *n* cases, those that the engine takes; its words about the others, and the reasons by"
        "\nwhich the classic delegate refuses what it takes.\n",
        *_operators(rows),
        "## Values that differ\n",
        "Cases that the engine takes and whose values differ from the CPU's, by caution, and their"
        f"\nsignal-to-noise ratio. XNNPACK's values are those of the built-in kernels to"
        f"\n{_least_cpu_db(rows):.0f} dB in all cases, also of these.\n",
        *_wrong(rows),
    ]
    return "\n".join(parts).rstrip() + "\n"


def _least_cpu_db(rows: Iterable[Compared]) -> float:
    return min(row.answer.cpu_db for row in rows if row.answer.cpu_db is not None)


def _disagreements(found: Sequence[Disagreement]) -> list[str]:
    if not found:
        return ["None.\n"]
    lines = ["| file | the rules | the engine | why |", "|---|---|---|---|"]
    for row in found:
        lines.append(f"| {row.name} | {row.rules} | {row.engine} | {row.reason or '**unknown**'} |")
    return [*lines, ""]


def _operators(rows: Iterable[Compared]) -> list[str]:
    groups: dict[str, list[Compared]] = defaultdict(list)
    for row in rows:
        groups[row.case.operator].append(row)
    lines = ["| operator | cases | taken | the engine about the others | classic delegate |"]
    lines.append("|---|---|---|---|---|")
    for name, group in sorted(groups.items()):
        words = dict.fromkeys(
            text.removeprefix(f"{name}: ") for row in group for text in row.answer.refused
        )
        cells = (name, len(group), sum(row.whole for row in group), _some(words), _classic(group))
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return [*lines, ""]


def _classic(group: Iterable[Compared]) -> str:
    reasons: dict[str, None] = {}
    for row in group:
        if row.whole and not row.classic.compatible:
            told = [each.reason for each in row.classic.refusals]
            if row.classic.failure:
                told.append("fails: " + row.classic.failure.partition(": ")[2])
            reasons |= dict.fromkeys(told)
    return _some(reasons)


def _some(words: dict[str, None]) -> str:
    told = list(words)
    return "; ".join(told[:_SHOWN]) + ("; …" if len(told) > _SHOWN else "")


def _wrong(rows: Iterable[Compared]) -> list[str]:
    groups: dict[tuple[str, str, str, str], list[Compared]] = defaultdict(list)
    for row in rows:
        for each in row.doubted if row.wrong else ():
            key = (each.operator, each.what, each.effect, ", ".join(each.engines))
            groups[key].append(row)
    lines = ["| operator | which | what happens | on | cases | dB |", "|---|---|---|---|---|---|"]
    for key, group in sorted(groups.items()):
        most = max(row.answer.db or 0.0 for row in group)
        lines.append(f"| {' | '.join(key)} | {len(group)} | {max(0.0, most):.0f} or less |")
    return [*lines, ""]
