"""Text report of an inspection for the terminal: verdicts first, then details."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from converters.inspection.cautions import Caution
from converters.inspection.engine_text import counted, engine, plural
from converters.inspection.gpu import Gpu
from converters.inspection.inspect import Inspection, TensorRow
from converters.inspection.roofline import ABOVE
from converters.inspection.sparse import LEAST_ZEROS
from zoo.errors import one_line

_NAME_WIDTH = 72
_SHOWN = 12  # entries shown of a list that may be long; --json has them all
_LABEL_WIDTH = 10


def text(inspection: Inspection) -> str:
    """Returns the report on a file, with control characters removed from names."""
    lines = [
        f"{one_line(inspection.file, 200)}  {_bytes(inspection.bytes)},"
        f" {inspection.precision.precision}",
        *_labeled("XNNPACK", _xnnpack(inspection)),
        *_labeled("GPU", [*_gpu(inspection.gpu), *_gpu(inspection.gpu_classic)]),
        *_labeled("cautions", (_caution(each) for each in inspection.cautions)),
        *(
            line
            for row in inspection.engines
            if row.engine != "litert"
            for line in _labeled(row.engine, engine(row))
        ),
        *_labeled("runtime", _runtime(inspection)),
        *_labeled("cost", _cost(inspection)),
        *_labeled("memory", _memory(inspection)),
        *_labeled("roofline", _roofline(inspection)),
        *_labeled("sparse", _sparse(inspection)),
        *_labeled("types", _types(inspection)),
        *_labeled("inputs", (_tensor(row) for row in inspection.inputs)),
        *_labeled("outputs", (_tensor(row) for row in inspection.outputs)),
        *_labeled("signatures", _signatures(inspection)),
        *_labeled("metadata", _metadata(inspection)),
        *_labeled("operators", _operators(inspection)),
    ]
    if inspection.tensors:
        lines += _labeled("tensors", _tensors(inspection.tensors))
    return "\n".join(lines)


def _labeled(label: str, lines: Iterable[str]) -> list[str]:
    rows = list(lines) or ["none"]
    return [
        f"  {label if i == 0 else '':{_LABEL_WIDTH}}  {line}".rstrip()
        for i, line in enumerate(rows)
    ]


def _xnnpack(inspection: Inspection) -> list[str]:
    placement = inspection.placement
    if placement is None:
        return [one_line(inspection.problem or "not run")]
    if placement.level == "full" and placement.partitions == 1:
        return [f"full: all {placement.nodes} nodes in 1 partition"]
    lines = [
        f"{placement.level}: {placement.delegated} of {placement.nodes} nodes in"
        f" {plural(placement.partitions or 0, 'partition')}"
    ]
    left = placement.model_dump().get("left")
    if left:
        lines.append("not delegated: " + counted(left))
    return lines


def _gpu(gpu: Gpu) -> list[str]:
    if gpu.compatible:
        lines = [f"{gpu.engine} takes all {gpu.operators} operators, by its rules"]
    elif gpu.failure:
        lines = [f"{gpu.engine} fails: {gpu.failure}"]
    else:
        lines = [
            f"{gpu.engine} takes {gpu.taken} of {gpu.operators} operators, by its rules, and runs"
            f" {gpu.on_gpu}, the largest of {plural(gpu.partitions, 'partition')}; not supported:"
        ]
    return lines + _aligned(
        [(f"  {row.count} ×", one_line(row.operator, 40), row.reason) for row in gpu.refusals]
    )


def _caution(caution: Caution) -> str:
    return f"{caution.text} ({', '.join(caution.engines)})"


def _runtime(inspection: Inspection) -> list[str]:
    runtime = inspection.runtime
    if runtime.version is None:
        lines = ["oldest version unknown: no operator in the version table"]
    else:
        because = ", ".join(runtime.because[:4]) + (", …" if len(runtime.because) > 4 else "")
        lines = [f"TensorFlow Lite {runtime.version} or later, required by {because}"]
    if runtime.unknown:
        lines.append(f"possibly later, not in the table: {', '.join(runtime.unknown[:_SHOWN])}")
    if runtime.stated and runtime.stated != runtime.version:
        lines.append(f"the file's metadata states {one_line(runtime.stated, 40)}")
    custom = sorted({one_line(op.name, 40) for op in inspection.operators if op.kind == "custom"})
    if custom:
        lines.append(f"needs custom operators: {', '.join(custom[:_SHOWN])}")
    if any(op.kind == "flex" for op in inspection.operators):
        lines.append("needs the Flex delegate (TensorFlow kernels)")
    return lines


def _cost(inspection: Inspection) -> list[str]:
    zeros = (
        f", {100 * inspection.zeros:.1f} % zeros in weights" if inspection.zeros >= 0.001 else ""
    )
    lines = [f"{_si(inspection.macs)} MACs, {inspection.parameters:,} parameters{zeros}"]
    if inspection.macs_not_counted:
        names = (one_line(name, 40) for name in inspection.macs_not_counted[:_SHOWN])
        lines.append(f"excluding the MACs of {', '.join(names)}")
    return lines


def _memory(inspection: Inspection) -> list[str]:
    arena = inspection.arena
    if arena is None:
        return ["arena not planned: too many tensors"]
    least = "" if arena.complete else "at least "
    lines = [f"{least}{_bytes(arena.bytes)} arena for activations, as planned by TFLite"]
    if arena.largest:
        lines.append(f"peak with {', '.join(arena.largest)}")
    if arena.unpacked_bytes:
        lines.append(f"plus {_bytes(arena.unpacked_bytes)} of weights unpacked at initialization")
    return lines


def _roofline(inspection: Inspection) -> list[str]:
    estimate = inspection.roofline
    return [
        f"{_ms(estimate.us)} on {estimate.chip}, {estimate.bound}-bound: an optimistic estimate",
        ABOVE,
        f"arithmetic {_ms(estimate.compute_us)}, memory {_ms(estimate.memory_us)} for"
        f" {_bytes(estimate.bytes)} of traffic without operator fusion",
        f"peak figures: {estimate.source}",
    ]


def _sparse(inspection: Inspection) -> list[str]:
    if inspection.sparse.eligible:
        zeros = 100 * (inspection.sparse.zeros or 0)
        return [
            f"XNNPACK can use sparse kernels, except on x86: {zeros:.1f} % zeros in the 1×1"
            f" convolutions (at least {100 * LEAST_ZEROS:.1f} % required)"
        ]
    return ["no sparse inference: " + reason for reason in inspection.sparse.reasons[:1]] + [
        f"also: {reason}" for reason in inspection.sparse.reasons[1:]
    ]


def _types(inspection: Inspection) -> list[str]:
    precision = inspection.precision
    weights = f"weights {counted(precision.weights)}"
    if precision.per_channel or precision.per_tensor:
        weights += f" ({precision.per_channel} per-channel, {precision.per_tensor} per-tensor)"
    return [weights, f"activations {counted(precision.activations)}"]


def _signatures(inspection: Inspection) -> list[str]:
    lines = []
    for signature in inspection.signatures[:_SHOWN]:
        sides = [
            ", ".join(f"{one_line(name, 40)} {kind}" for name, kind in list(side.items())[:4])
            + (", …" if len(side) > 4 else "")
            for side in (signature.inputs, signature.outputs)
        ]
        lines.append(f"{one_line(signature.key, 40)}: {sides[0]} → {sides[1]}")
    return lines


def _metadata(inspection: Inspection) -> list[str]:
    entries = list(inspection.metadata.items())[:_SHOWN]
    return [", ".join(f"{one_line(name, 40)} ({_bytes(size)})" for name, size in entries)][
        : len(entries)
    ]


def _operators(inspection: Inspection) -> list[str]:
    rows = [
        (
            f"{op.count} ×",
            one_line(op.name, 60),
            f"v{op.version}",
            f"{_si(op.macs)} MACs" if op.macs else "",
            "" if op.kind == "builtin" else op.kind,
        )
        for op in inspection.operators
    ]
    graphs = [f"in {inspection.graphs} subgraphs"] if inspection.graphs > 1 else []
    return _aligned(rows) + graphs


def _tensors(rows: Sequence[TensorRow]) -> list[str]:
    return _aligned(
        [
            (
                f"{row.graph}:{row.index}",
                row.role,
                f"{row.type}{' sparse' if row.sparse else ''} {list(row.shape)}",
                _scales(row),
                one_line(row.name, _NAME_WIDTH),
            )
            for row in rows
        ]
    )


def _tensor(row: TensorRow) -> str:
    scales = _scales(row)
    return f"{one_line(row.name, _NAME_WIDTH)}: {row.type} {list(row.shape)}" + (
        f", {scales}" if scales else ""
    )


def _scales(row: TensorRow) -> str:
    if not row.scales:
        return ""
    if len(row.scales) == 1:
        return f"scale {row.scales[0]:.6g}, zero point {row.zero_points[0]}"
    points = sorted(set(row.zero_points))
    zero_points = f"zero point {points[0]}" if len(points) == 1 else f"{len(points)} zero points"
    return (
        f"{len(row.scales)} scales {min(row.scales):.3g} to {max(row.scales):.3g}, {zero_points},"
        f" axis {row.axis}"
    )


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Pads cells into columns; the first column holds counts and is right-aligned."""
    if not rows:
        return []
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(
            cell.rjust(width) if i == 0 else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _si(value: float) -> str:
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return (
                f"{value / size:.3g} {unit}"
                if value < 1000 * size
                else f"{value / size:,.0f} {unit}"
            )
    return f"{value:g}"


def _bytes(count: float) -> str:
    for size, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= size:
            return f"{count / size:.2f} {unit}"
    return f"{count:g} B"


def _ms(us: float) -> str:
    return f"{us / 1000:.3g} ms"
