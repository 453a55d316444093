"""The page of what Snapdragons' NPUs do with each network. No TensorFlow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from converters.parity.signals import DEPARTS_DB
from converters.studies.accelerator_rows import AcceleratorRow, by_file, decibels
from converters.studies.coverage_table import CoverageRow
from converters.studies.notes import Notes
from zoo.catalog.precisions import PRECISIONS
from zoo.runtime.npu_compiler import SOCS
from zoo.schema.compiled import CompiledModel

_PREFIX = "npu:"
Found = Mapping[tuple[str, str], AcceleratorRow]


def markdown(
    rows: Sequence[CoverageRow],
    accelerators: Iterable[AcceleratorRow],
    catalog: Sequence[str],
    made_by: str,
) -> str:
    """Returns the page: a table per precision, followed by all reasons.

    Args:
        rows: Rows of the conversions, in the order of the page.
        accelerators: Rows of the NPU's compiler and emulator, in file order.
        catalog: Names of all networks.
        made_by: Sentence with the commands.
    """
    found = {key: row for key, row in by_file(accelerators).items() if _soc(row)}
    files = {row.sha256 for row in rows}
    known = [row for row in found.values() if row.sha256 in files]
    socs = [soc for soc in SOCS if any(_soc(row) == soc for row in known)]
    emulated = [soc for soc in socs if any(_computed(row) for row in known if _soc(row) == soc)]
    named = {row.precision for row in known}
    precisions = [precision for precision in PRECISIONS if precision in named]
    shown = {p: [row for row in rows if row.precision == p] for p in precisions}
    models = {row.model for row in rows if row.precision in precisions}
    missing = ", ".join(f"`{name}`" for name in catalog if name not in models)
    notes = Notes()
    lines = [
        _HEADING.format(
            networks=len(models),
            all=len(catalog),
            missing=f" (without {missing})" if missing else "",
            versions=_versions(known),
            socs=", ".join(f"{soc} ({SOCS[soc].name})" for soc in socs),
        ),
        *([_EMULATED.format(emulated=" and ".join(emulated))] if emulated else []),
        "",
        made_by,
        "",
        *(f"- {line}" for line in summary(shown, found, socs)),
        "",
    ]
    for precision, some in shown.items():
        lines += _table(precision, some, found, socs, emulated, notes)
    lines += notes.section()
    return "\n".join(lines).rstrip() + "\n"


def summary(
    shown: Mapping[str, Sequence[CoverageRow]], found: Found, socs: Sequence[str]
) -> list[str]:
    """Returns per precision how many networks each SoC's NPU runs whole in one partition.

    Args:
        shown: Rows of the conversions by precision.
        found: Rows of the NPU.
        socs: Keys of `zoo.runtime.npu_compiler.SOCS`.
    """
    lines = []
    for precision, rows in shown.items():
        counts = []
        for soc in socs:
            results = [r for row in rows if (r := found.get((row.sha256 or "", _PREFIX + soc)))]
            whole = sum(r.compiled is not None and r.compiled.whole for r in results)
            counts.append(f"{whole} of {len(results)} on {soc}")
        lines.append(f"{precision}, whole in one partition: {', '.join(counts)}.")
    return lines


def _table(
    precision: str,
    rows: Sequence[CoverageRow],
    found: Found,
    socs: Sequence[str],
    emulated: Sequence[str],
    notes: Notes,
) -> list[str]:
    heads = ["model", "operators", *socs, *(f"{soc}, emulated" for soc in emulated)]
    lines = [f"## {precision}", "", "| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for row in rows:
        cells = [row.model, str(row.operators or "")]
        for soc in socs:
            cells.append(_compiled(row, found.get((row.sha256 or "", _PREFIX + soc)), notes))
        for soc in emulated:
            cells.append(_emulated(found.get((row.sha256 or "", _PREFIX + soc)), notes))
        lines.append("| " + " | ".join(cells) + " |")
    return [*lines, ""]


def _compiled(row: CoverageRow, result: AcceleratorRow | None, notes: Notes) -> str:
    if row.reason is not None:
        return "no " + notes.mark(row.reason, row.model)
    if result is None:
        return ""
    made = result.compiled
    if made is None:
        return "no " + notes.mark(result.reason or "not compiled", row.model)
    rest = f"{_traffic(made)}, {_mb(made.bytes)}, {made.seconds:.0f} s"
    if made.whole:
        return f"whole, {rest}"
    kinds = dict.fromkeys((left.operator, left.reason or "no reason given") for left in made.left)
    marks = [notes.mark(f"{operator}: {reason}") for operator, reason in kinds]
    placed = f"{made.on_npu} of {made.operators} in {made.partitions} partitions"
    return " ".join([f"**{placed}**, {rest}", *marks])


def _emulated(result: AcceleratorRow | None, notes: Notes) -> str:
    if result is None or result.compiled is None:
        return ""
    found = result.on_images
    if found is None:
        return "–" if result.reason is None else "no " + notes.mark(result.reason, result.model)
    if not found.reasons:
        return decibels(found)
    first = found.first
    named = f"{first.operator} ({first.options})" if first else "not found"
    return f"**{decibels(found)}** {notes.mark(f'first operator whose output departs: {named}')}"


def _traffic(made: CompiledModel) -> str:
    if made.read_bytes is None or made.written_bytes is None:
        return "traffic unknown"
    spilled = (made.spilled_bytes or 0) + (made.filled_bytes or 0)
    moved = _mb(made.read_bytes + made.written_bytes)
    return f"{moved} moved" + (f" (**{_mb(spilled)} spilled**)" if spilled else "")


def _mb(count: int) -> str:
    return f"{count / 1e6:.2f} MB"


def _computed(row: AcceleratorRow) -> bool:
    return row.on_images is not None or (row.compiled is not None and row.reason is not None)


def _soc(row: AcceleratorRow) -> str:
    return row.delegate.removeprefix(_PREFIX) if row.delegate.startswith(_PREFIX) else ""


def _versions(rows: Sequence[AcceleratorRow]) -> str:
    used = {f"{package} {number}" for row in rows for package, number in row.versions.items()}
    qnn = {f"QNN {row.compiled.versions['qnn']}" for row in rows if row.compiled is not None}
    return ", ".join([*sorted(used), *sorted(qnn)])


_HEADING = """# {networks} of the {all} networks on the NPUs of Snapdragons

Networks of the catalog{missing}
at their published input sizes, compiled with Qualcomm's own compiler for the NPUs (Hexagon) of
{socs}; versions: {versions}. The weights are random,
with batch normalization statistics from real images.

- *whole*: the NPU runs all operators in one partition. **70 of 73 in 3 partitions**: the CPU runs
  the others, for the compiler's reasons at the numbers below. *no*: the compiler failed or did not
  end in time.
- *1.20 MB moved*: what one inference reads from the phone's memory and writes to it, weights
  included. *Spilled* is what was written and read back because the NPU's own memory was full.
- Then the size of the compiled file, and the seconds of the compiler on this computer."""
_EMULATED = f"""\
- *emulated, 42 dB*: Qualcomm's emulator ran the compiled file of {{emulated}}; the signal-to-noise
  ratio of its outputs, compared with XNNPACK's on a few images. It is bold where outputs depart:
  below {DEPARTS_DB["float16"]:g} dB for floats, which the NPU computes in float16, and
  {DEPARTS_DB["integers"]:g} dB for integers. Networks with random weights amplify small errors,
  those with tens of layers most. The emulator computes what the NPU computes; it has no latency."""
