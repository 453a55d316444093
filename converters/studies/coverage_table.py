"""The rows of `converters.studies.coverage` and their table in Markdown. No TensorFlow."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterable, Sequence

from pydantic import Field

from converters.conversion.precisions import PRECISIONS
from zoo.runtime.interpreter import RUNTIMES
from zoo.schema.base import Sha256, Strict
from zoo.schema.measurement import Placement


class OnRuntime(Strict):
    """A file on one runtime with XNNPACK. A failure has its reason and nothing else.

    `relative` and `agreement` are against Keras, see `converters.parity.difference`.
    """

    placement: Placement | None = None
    relative: float | None = None
    agreement: float | None = None
    latency_us: float | None = None
    reason: str | None = None


class CoverageRow(Strict):
    """One network in one precision. Where it can't be converted, only `reason` is there.

    Latencies are of one process on one shared machine: only ratios of two in one row are used.
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


def line(row: CoverageRow) -> str:
    """One row in one line."""
    if row.reason is not None:
        return f"{row.model} {row.precision}: {row.reason}"
    runs = "; ".join(f"{name} {_run(on)}" for name, on in row.on.items())
    gpu = "GPU takes all" if not row.gpu_refusals else f"GPU refuses {row.gpu_refusals[0]}"
    return f"{row.model} {row.precision}: {runs}; {gpu}"


def markdown(rows: Iterable[CoverageRow], heading: str) -> str:
    """The tables: LiteRT, the GPU, tflite_runtime; then every refusal with its reason.

    Args:
        rows: in any order; a pair that is not there gets an empty cell.
        heading: what stands above the tables.
    """
    by_pair = {(row.model, row.precision): row for row in rows}
    models = list(dict.fromkeys(model for model, _ in by_pair))
    precisions = [p for p in PRECISIONS if any(key[1] == p for key in by_pair)]
    notes: dict[str, int] = {}

    def note(reason: str, model: str = "") -> str:
        # The same reason of many networks is told once: without names of networks and layers.
        reason = re.sub(rf"\b{re.escape(model)}\b", "the network", reason) if model else reason
        reason = re.sub(r"Layer [^ :]+:<", "Layer <", reason)
        return f"[{notes.setdefault(reason, len(notes) + 1)}]"

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
        warned = [note(re.sub(r"^\d+ ", "", text)) for text in row.gpu_warnings]
        return " ".join([("no" if marks else "yes"), *marks, *warned])

    def on_old(row: CoverageRow) -> str:
        on = row.on.get("tflite_runtime")
        if row.reason is not None or on is None or on.placement is None:
            return no(row, on)
        cost = _cost(row)
        times = "" if cost is None else f", ×{cost:.1f}"
        return f"{_placed(on.placement)}{times}, from {row.oldest_runtime}"

    text = [heading.rstrip(), ""]
    text += table("LiteRT with XNNPACK, and the difference from Keras", on_litert)
    text += table("GPU delegate", on_gpu)
    text += table("tflite_runtime 2.14 with XNNPACK", on_old)
    text += ["## Reasons", ""]
    text += [f"{number}. {reason}" for reason, number in notes.items()]
    return "\n".join(text) + "\n"


def summary(rows: Sequence[CoverageRow]) -> list[str]:
    """For each precision, how many networks convert, are wholly on XNNPACK and on the GPU."""
    titles = (
        "networks | convert | whole on XNNPACK | GPU takes all | run on 2.14 | its time / LiteRT's"
    )
    lines = [f"| precision | {titles} |", "|---" * 7 + "|"]
    for precision in PRECISIONS:
        own = [row for row in rows if row.precision == precision]
        if own:
            made = [row for row in own if row.reason is None]
            counts = (
                len(own),
                len(made),
                sum(_whole(row.on.get("litert")) for row in made),
                sum(not row.gpu_refusals for row in made),
                sum(row.on.get("tflite_runtime", OnRuntime()).reason is None for row in made),
                _typical([cost for row in made if (cost := _cost(row)) is not None]),
            )
            lines.append(f"| {precision} | " + " | ".join(map(str, counts)) + " |")
    return lines


def _cost(row: CoverageRow) -> float | None:
    old, new = (row.on.get(name) for name in ("tflite_runtime", "litert"))
    if old is None or new is None or not old.latency_us or not new.latency_us:
        return None
    return old.latency_us / new.latency_us


def _typical(costs: Sequence[float]) -> str:
    if len(costs) < 2:
        return "".join(f"×{cost:.1f}" for cost in costs)
    low, middle, high = statistics.quantiles(costs, n=4)
    return f"×{middle:.1f} (middle half {low:.1f} – {high:.1f})"


def _whole(on: OnRuntime | None) -> bool:
    where = on.placement if on else None
    return where is not None and where.level == "full" and where.partitions == 1


def _placed(where: Placement) -> str:
    if where.level == "full" and where.partitions == 1:
        return f"all {where.nodes}"
    parts = f" in {where.partitions} parts" if where.partitions else ""
    return f"**{where.delegated} of {where.nodes}{parts}**"


def _share(value: float | None) -> str:
    if value == 0:
        return "equal"
    return "" if value is None else f"{value:.0e}" if value < 1e-3 else f"{100 * value:.1f} %"


def _run(on: OnRuntime) -> str:
    if on.placement is None:
        return on.reason or "not run"
    return f"{_placed(on.placement)}, {_share(on.relative)} off"


HEADING = f"""# Every network in every precision

Networks of the catalog at their published inputs, converted to TFLite: where each runs, and how
far its logits are from Keras's. Their weights are random, with batch normalization settled on real
pictures: this is about operators and arithmetic; what a precision costs a *trained* network is
measured on real weights, see the README. The runtimes are {" and ".join(RUNTIMES)}.

- *all 73, 1e-05*: XNNPACK takes all 73 operators in one partition; the second figure is the root
  mean square of the logits' difference from Keras, by that of the logits.
- **70 of 73 in 3 parts**: the rest runs on plain kernels, each border costs a copy.
- *×4.1*: time of one inference there by that on LiteRT, in the same run. *from 2.3.0*: the oldest
  TFLite release whose operators suffice.
- A network of random weights multiplies small errors: after tens of layers it shows the figures of
  int8 many times larger than a trained one does.
"""
