"""An inspection as text for a terminal: the verdict first, then what it rests on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from converters.inspection.inspect import Inspection, TensorRow
from converters.inspection.roofline import ABOVE
from converters.inspection.sparse import LEAST_ZEROS
from zoo.errors import one_line

_NAME_WIDTH = 72
_SHOWN = 12  # rows of a list that may be long; --json has them all
_LABEL_WIDTH = 10


def text(found: Inspection) -> str:
    """The whole report on one file."""
    lines = [
        f"{one_line(found.file, 200)}  {_bytes(found.bytes)}, {found.precision.precision}",
        *_labeled("XNNPACK", _xnnpack(found)),
        *_labeled("GPU", _gpu(found)),
        *_labeled("runtime", _runtime(found)),
        *_labeled("cost", _cost(found)),
        *_labeled("memory", _memory(found)),
        *_labeled("roofline", _roofline(found)),
        *_labeled("sparse", _sparse(found)),
        *_labeled("types", _types(found)),
        *_labeled("inputs", (_tensor(row) for row in found.inputs)),
        *_labeled("outputs", (_tensor(row) for row in found.outputs)),
        *_labeled("signatures", _signatures(found)),
        *_labeled("metadata", _metadata(found)),
        *_labeled("operators", _operators(found)),
    ]
    if found.tensors:
        lines += _labeled("tensors", _tensors(found.tensors))
    return "\n".join(lines)


def _labeled(label: str, lines: Iterable[str]) -> list[str]:
    filled = list(lines) or ["none"]
    return [
        f"  {label if i == 0 else '':{_LABEL_WIDTH}}  {line}".rstrip()
        for i, line in enumerate(filled)
    ]


def _xnnpack(found: Inspection) -> list[str]:
    where = found.placement
    if where is None:
        return [one_line(found.problem or "not asked (--norun)")]
    if where.level == "full" and where.partitions == 1:
        return [f"full: all {where.nodes} nodes in 1 partition"]
    lines = [
        f"{where.level}: {where.delegated} of {where.nodes} nodes in"
        f" {_plural(where.partitions or 0, 'partition')}"
    ]
    left = where.model_dump().get("left")
    if left:
        lines.append("left: " + _counted(left))
    return lines


def _gpu(found: Inspection) -> list[str]:
    gpu = found.gpu
    lines = [
        f"by its rules: all {gpu.operators} operators"
        if gpu.compatible
        else f"by its rules: {gpu.taken} of {gpu.operators} operators; refused:"
    ]
    lines += _aligned(
        [(f"  {each.count} ×", one_line(each.operator, 40), each.reason) for each in gpu.refusals]
    )
    return lines + [f"caution: {warning}" for warning in gpu.warnings]


def _runtime(found: Inspection) -> list[str]:
    runtime = found.runtime
    if runtime.version is None:
        lines = ["no builtin operator tells"]
    else:
        because = ", ".join(runtime.because[:4]) + (", …" if len(runtime.because) > 4 else "")
        lines = [f"TensorFlow Lite {runtime.version} or later, for {because}"]
    if runtime.unknown:
        lines.append(f"perhaps later, for {', '.join(runtime.unknown[:_SHOWN])}")
    if runtime.stated and runtime.stated != runtime.version:
        lines.append(f"the file's own metadata says {one_line(runtime.stated, 40)}")
    others = sorted({one_line(op.name, 40) for op in found.operators if op.kind == "custom"})
    if others:
        lines.append(f"needs custom operators: {', '.join(others[:_SHOWN])}")
    if any(op.kind == "flex" for op in found.operators):
        lines.append("needs the Flex delegate, TensorFlow's own kernels")
    return lines


def _cost(found: Inspection) -> list[str]:
    zeros = f", {100 * found.zeros:.1f} % zeros in weights" if found.zeros >= 0.001 else ""
    lines = [f"{_si(found.macs)} MACs, {found.parameters:,} parameters{zeros}"]
    if found.macs_not_counted:
        names = (one_line(name, 40) for name in found.macs_not_counted[:_SHOWN])
        lines.append(f"without the MACs of {', '.join(names)}")
    return lines


def _memory(found: Inspection) -> list[str]:
    arena = found.arena
    if arena is None:
        return ["arena not planned: too many tensors"]
    least = "" if arena.complete else "at least "
    lines = [f"{least}{_bytes(arena.bytes)} arena: activations, as TFLite's own planner lays them"]
    if arena.largest:
        lines.append(f"fullest with {', '.join(arena.largest)}")
    if arena.unpacked_bytes:
        lines.append(f"and {_bytes(arena.unpacked_bytes)} of weights unpacked at the start")
    return lines


def _roofline(found: Inspection) -> list[str]:
    line = found.roofline
    return [
        f"{_ms(line.us)} on {line.chip}, {line.bound}-bound: an optimistic estimate",
        ABOVE,
        f"arithmetic {_ms(line.compute_us)}, memory {_ms(line.memory_us)} for"
        f" {_bytes(line.bytes)} moved, nothing fused",
        f"peaks: {line.source}",
    ]


def _sparse(found: Inspection) -> list[str]:
    if found.sparse.eligible:
        zeros = 100 * (found.sparse.zeros or 0)
        return [
            f"XNNPACK may use its sparse kernels: {zeros:.1f} % zeros in the 1×1 convolutions"
            f" (at least {100 * LEAST_ZEROS:.1f} %); not on x86"
        ]
    return ["no sparse inference: " + reason for reason in found.sparse.reasons[:1]] + [
        f"and: {reason}" for reason in found.sparse.reasons[1:]
    ]


def _types(found: Inspection) -> list[str]:
    precision = found.precision
    weights = f"weights {_counted(precision.weights)}"
    if precision.per_channel or precision.per_tensor:
        weights += f" ({precision.per_channel} scaled by channel, {precision.per_tensor} by tensor)"
    return [weights, f"activations {_counted(precision.activations)}"]


def _signatures(found: Inspection) -> list[str]:
    lines = []
    for each in found.signatures[:_SHOWN]:
        sides = [
            ", ".join(f"{one_line(name, 40)} {kind}" for name, kind in list(side.items())[:4])
            + (", …" if len(side) > 4 else "")
            for side in (each.inputs, each.outputs)
        ]
        lines.append(f"{one_line(each.key, 40)}: {sides[0]} → {sides[1]}")
    return lines


def _metadata(found: Inspection) -> list[str]:
    entries = list(found.metadata.items())[:_SHOWN]
    return [", ".join(f"{one_line(name, 40)} ({_bytes(size)})" for name, size in entries)][
        : len(entries)
    ]


def _operators(found: Inspection) -> list[str]:
    rows = [
        (
            f"{op.count} ×",
            one_line(op.name, 60),
            f"v{op.version}",
            f"{_si(op.macs)} MACs" if op.macs else "",
            "" if op.kind == "builtin" else op.kind,
        )
        for op in found.operators
    ]
    graphs = [f"in {found.graphs} subgraphs"] if found.graphs > 1 else []
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
    told = f"zero point {points[0]}" if len(points) == 1 else f"{len(points)} zero points"
    return (
        f"{len(row.scales)} scales {min(row.scales):.3g} to {max(row.scales):.3g}, {told},"
        f" axis {row.axis}"
    )


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows in columns; the first is flush right, since it holds counts."""
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


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{n} × {one_line(name, 40)}" for name, n in counts.items()) or "none"


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "s")


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
