"""Rows of `converters.studies.coverage` and their Markdown tables. No TensorFlow."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterable, Sequence

from pydantic import Field

from converters.parity.signals import DEPARTS_DB
from converters.studies.accelerator_rows import AcceleratorRow, by_file, decibels
from converters.studies.notes import Notes
from zoo.catalog.precisions import PRECISIONS
from zoo.runtime.engines import ACCELERATORS, INTERPRETERS
from zoo.schema.base import Sha256, Strict
from zoo.schema.measurement import Placement


class OnRuntime(Strict):
    """Result for a file on one runtime with XNNPACK.

    Attributes:
        placement: Operators that XNNPACK runs.
        relative: Relative difference from Keras, see `converters.parity.difference`.
        agreement: Agreement with Keras, see `converters.parity.difference`.
        latency_us: Median latency in microseconds.
        reason: Why the file does not run. All other fields are then None.
    """

    placement: Placement | None = None
    relative: float | None = None
    agreement: float | None = None
    latency_us: float | None = None
    reason: str | None = None


class CoverageRow(Strict):
    """Result for one network in one precision.

    If the conversion failed, only `reason` is set. Latencies come from one process on a shared
    machine, so only their ratios within a row are used.
    """

    model: str
    precision: str
    reason: str | None = None
    sha256: Sha256 | None = None
    bytes: int | None = None
    operators: int | None = None
    gpu_refusals: tuple[str, ...] = ()
    gpu_warnings: tuple[str, ...] = ()
    oldest_runtime: str | None = None
    on: dict[str, OnRuntime] = Field(default_factory=dict)


def file_name(model: str, precision: str) -> str:
    """Returns the name of the file of a network in a precision."""
    return f"{model}-{precision}.tflite"


def line(row: CoverageRow) -> str:
    """Returns a row as one line of text."""
    if row.reason is not None:
        return f"{row.model} {row.precision}: {row.reason}"
    runs = "; ".join(f"{name} {_run(on)}" for name, on in row.on.items())
    gpu = "whole on GPU" if not row.gpu_refusals else f"not on GPU: {row.gpu_refusals[0]}"
    return f"{row.model} {row.precision}: {runs}; {gpu}"


def markdown(
    rows: Iterable[CoverageRow], heading: str, accelerators: Iterable[AcceleratorRow] = ()
) -> str:
    """Returns the tables for LiteRT, the GPU and tflite_runtime, followed by all reasons.

    Args:
        rows: Rows in any order. Missing pairs of network and precision leave an empty cell.
        heading: Text above the tables.
        accelerators: Rows of the GPU engine, in file order.
    """
    engine = by_file(accelerators)
    by_pair = {(row.model, row.precision): row for row in rows}
    models = list(dict.fromkeys(model for model, _ in by_pair))
    precisions = [p for p in PRECISIONS if any(key[1] == p for key in by_pair)]
    notes = Notes()
    note = notes.mark

    def table(title: str, cell) -> list[str]:  # type: ignore[no-untyped-def]
        lines = [f"## {title}", "", "| model | " + " | ".join(precisions) + " |"]
        lines.append("|---" * (len(precisions) + 1) + "|")
        for model in models:
            cells = [cell(by_pair[model, p]) if (model, p) in by_pair else "" for p in precisions]
            lines.append(f"| {model} | " + " | ".join(cells) + " |")
        return [*lines, ""]

    def no(row: CoverageRow, on: OnRuntime | None) -> str:
        return "no " + note(row.reason or (on and on.reason) or "not run", row.model)

    def on_litert(row: CoverageRow) -> str:
        on = row.on.get("litert")
        if row.reason is not None or on is None or on.placement is None:
            return no(row, on)
        return f"{_placed(on.placement)}, {_share(on.relative)}"

    def on_gpu(row: CoverageRow) -> str:
        if row.reason is not None:
            return "no " + note(row.reason, row.model)
        marks = dict.fromkeys(note(text.split(": ", 1)[1]) for text in row.gpu_refusals)
        warnings = [note(re.sub(r"^\d+ ", "", text)) for text in row.gpu_warnings]
        return " ".join([("no" if marks else "yes"), *marks, *warnings])

    def on_gpu_engine(row: CoverageRow) -> str:
        if row.reason is not None:
            return "no " + note(row.reason, row.model)
        return _on_gpu_engine(engine.get(_on_gpu_key(row)), notes)

    def on_old(row: CoverageRow) -> str:
        on = row.on.get("tflite_runtime")
        if row.reason is not None or on is None or on.placement is None:
            return no(row, on)
        cost = _cost(row)
        times = "" if cost is None else f", ×{cost:.1f}"
        return f"{_placed(on.placement)}{times}, from {row.oldest_runtime}"

    text = [heading.rstrip(), ""]
    text += table("LiteRT with XNNPACK, and the difference from Keras", on_litert)
    text += table("GPU delegate, by its rules", on_gpu)
    text += table("LiteRT's GPU engine, and the ratio to XNNPACK", on_gpu_engine)
    text += table("tflite_runtime 2.14 with XNNPACK", on_old)
    text += notes.section()
    return "\n".join(text).rstrip() + "\n"


def _on_gpu_engine(row: AcceleratorRow | None, notes: Notes) -> str:
    if row is None:
        return ""
    found, placement = row.on_images, row.placement
    if found is None or placement is None:
        return "no " + notes.mark(row.reason or "not run", row.model)
    marks = [notes.mark(reason) for reason in placement.refused or ()]
    values = decibels(found)
    if found.reasons:
        first = found.first
        named = f"{first.operator} ({first.options})" if first else "not found"
        marks.append(notes.mark(f"first operator whose output departs: {named}"))
        values = f"**{values}**"
    return " ".join([f"{_placed(placement)}, {values}", *marks])


def summary(rows: Sequence[CoverageRow], accelerators: Iterable[AcceleratorRow] = ()) -> list[str]:
    """Returns a table: per precision, how many networks convert and run whole on each delegate."""
    titles = (
        "networks | convert | whole on LiteRT's XNNPACK | whole on the GPU delegate | "
        "whole and right on the GPU engine | run on tflite_runtime 2.14 | "
        "time on tflite_runtime 2.14 / on LiteRT"
    )
    engine = by_file(accelerators)
    lines = [f"| precision | {titles} |", "|---" * 8 + "|"]
    for precision in PRECISIONS:
        matches = [row for row in rows if row.precision == precision]
        if matches:
            converted = [row for row in matches if row.reason is None]
            counts = (
                len(matches),
                len(converted),
                sum(_whole(row.on.get("litert")) for row in converted),
                sum(not row.gpu_refusals for row in converted),
                _right([found for row in converted if (found := engine.get(_on_gpu_key(row)))]),
                sum(row.on.get("tflite_runtime", OnRuntime()).reason is None for row in converted),
                _typical([cost for row in converted if (cost := _cost(row)) is not None]),
            )
            lines.append(f"| {precision} | " + " | ".join(map(str, counts)) + " |")
    return lines


def heading(
    rows: Iterable[CoverageRow],
    catalog: Sequence[str],
    accelerators: Iterable[AcceleratorRow] = (),
) -> str:
    """Returns the heading of the page, with the number of networks.

    Args:
        rows: Rows of the page.
        catalog: Names of all networks.
        accelerators: Rows of the GPU engine, whose devices are named.
    """
    devices = {
        row.placement.accelerator.in_words
        for row in accelerators
        if row.delegate == _GPU and row.placement and row.placement.accelerator
    }
    models = {row.model for row in rows}
    missing = ", ".join(f"`{name}`" for name in catalog if name not in models)
    return _HEADING.format(
        networks=len(models),
        all=len(catalog),
        missing=f" (without {missing})" if missing else "",
        device=" and ".join(sorted(devices)) or "no device",
    )


def _on_gpu_key(row: CoverageRow) -> tuple[str, str]:
    return row.sha256 or "", _GPU


def _right(rows: Sequence[AcceleratorRow]) -> str:
    right = sum(
        row.placement is not None
        and row.placement.level == "full"
        and row.on_images is not None
        and not row.on_images.reasons
        for row in rows
    )
    return f"{right} of {len(rows)}" if rows else "–"


def _cost(row: CoverageRow) -> float | None:
    old, new = (row.on.get(name) for name in ("tflite_runtime", "litert"))
    if old is None or new is None or not old.latency_us or not new.latency_us:
        return None
    return old.latency_us / new.latency_us


def _typical(costs: Sequence[float]) -> str:
    if len(costs) < 2:
        return "".join(f"×{cost:.1f}" for cost in costs)
    low, middle, high = statistics.quantiles(costs, n=4)
    return f"×{middle:.1f} (interquartile range {low:.1f} – {high:.1f})"


def _whole(on: OnRuntime | None) -> bool:
    placement = on.placement if on else None
    return placement is not None and placement.level == "full" and placement.partitions == 1


def _placed(placement: Placement) -> str:
    # The GPU engine does not tell the number of partitions.
    if placement.level == "full" and placement.partitions in (1, None):
        return f"all {placement.nodes}"
    parts = f" in {placement.partitions} parts" if placement.partitions else ""
    return f"**{placement.delegated} of {placement.nodes}{parts}**"


def _share(value: float | None) -> str:
    if value == 0:
        return "equal"
    return "" if value is None else f"{value:.0e}" if value < 1e-3 else f"{100 * value:.1f} %"


def _run(on: OnRuntime) -> str:
    if on.placement is None:
        return on.reason or "not run"
    return f"{_placed(on.placement)}, {_share(on.relative)} off"


_GPU = "gpu"  # its delegate
_HEADING = f"""# {{networks}} of the {{all}} networks in every precision

Networks of the catalog{{missing}}
at their published input sizes, converted to TFLite: where each runs, and how far its logits are
from those of Keras. The weights are random, with batch normalization statistics from real images,
so this page covers operators and arithmetic. The accuracy of *trained* weights in each precision is
in [imagenet.md](imagenet.md). The runtimes are {" and ".join(INTERPRETERS)}, and
{ACCELERATORS[_GPU]}, the engine of phones' GPUs. What the NPUs do is in [npu.md](npu.md).

- *all 73, 1e-05*: XNNPACK runs all 73 operators in one partition. The second number is the root
  mean square of the difference from Keras, relative to that of the logits.
- **70 of 73 in 3 parts**: the other operators run on the built-in kernels, and every transition
  between the two costs a copy.
- *GPU delegate*: what the rules of TFLite's classic delegate say. The GPU engine is LiteRT's own
  (ML Drift), which really ran, on {{device}}.
- *all 73, 98 dB*: the GPU engine takes all operators. The second number is the signal-to-noise
  ratio of its outputs, compared with XNNPACK's on the same few images; it is bold where outputs
  depart: below {DEPARTS_DB["float32"]:g} dB for floats and {DEPARTS_DB["integers"]:g} dB for
  integers.
- *×4.1*: inference time relative to LiteRT, in the same run. *from 2.3.0*: the oldest TFLite
  release that supports all operators.
- Networks with random weights amplify small errors. After tens of layers, their int8 errors are
  many times larger than those of trained networks.
"""
