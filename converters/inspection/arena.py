"""Activation memory that TensorFlow Lite needs with its plain kernels.

TFLite places every tensor that lives between two operators in a single block of memory, the arena.
Tensors that live throughout come first, the rest follow by decreasing size. Each one takes the
tightest gap among the tensors that are alive at the same time, aligned to 64 bytes; some operators
overwrite their input (public source: tflite/arena_planner.cc, tflite/simple_memory_arena.cc). This
module reproduces that plan.

Scratch buffers of the kernels are not included, since the file does not describe them. A delegate
keeps the tensors inside its partitions in its own memory, which makes the arena smaller.
"""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass

from converters.tflite.model import Graph, Tensor

ALIGNMENT = 64
_MAX_TENSORS = 4_000  # activations; planning takes quadratic time, deep networks have hundreds
_FOREVER = 2**31

# Operators that may overwrite an input: name → (input positions, whether the value is unchanged).
# Other readers of the input do no harm if the value is unchanged.
_IN_PLACE: dict[str, tuple[tuple[int, ...], bool]] = {
    "ADD": ((0, 1), False),
    "SUB": ((0, 1), False),
    "MUL": ((0, 1), False),
    "DIV": ((0, 1), False),
    "SOFTMAX": ((0,), False),
    "DYNAMIC_UPDATE_SLICE": ((0,), False),
    "RESHAPE": ((0,), True),
    "EXPAND_DIMS": ((0,), True),
    "SQUEEZE": ((0,), True),
    "BITCAST": ((0,), True),
}
_SCALAR_BYTES = 4
# Computed once from constants at the first inference and then kept.
_UNPACKED_ONCE = ("DEQUANTIZE", "DENSIFY")


@dataclass(frozen=True)
class ArenaPlan:
    """Arena plan of a graph.

    Attributes:
        bytes: Size of the arena in bytes.
        offsets: Tensor index → start offset, without tensors that reuse the memory of another.
        largest: Indices of the tensors alive at peak usage, by decreasing size.
        unpacked_bytes: Bytes of weights that are dequantized or densified once and kept outside
            the arena.
        unsized: Number of tensors that are left out because their type has no fixed size, for
            example strings.
    """

    bytes: int
    offsets: dict[int, int]
    largest: tuple[int, ...]
    unpacked_bytes: int
    unsized: int


@dataclass(order=True)
class _Slot:
    offset: int
    size: int
    first: int
    last: int


def plan(graph: Graph) -> ArenaPlan | None:
    """Plans the arena of a graph; None if it has too many tensors."""
    unpacked = unpacked_constants(graph)
    shared = _in_place(graph)
    first, last = _lifetimes(graph, shared)
    unsized = 0
    planned = []
    for index in first:
        tensor = graph.tensors[index]
        if tensor.constant or tensor.variable or index in unpacked or index in shared:
            continue
        if tensor.bytes is None:
            unsized += 1
        if tensor.bytes:
            planned.append(index)
    if len(planned) > _MAX_TENSORS:
        return None

    def order(index: int) -> tuple[int, int, int]:
        if first[index] == 0 and last[index] == _FOREVER:
            return 0, index, 0
        return 1, -(graph.tensors[index].bytes or 0), first[index]

    slots: list[_Slot] = []
    offsets: dict[int, int] = {}
    for index in sorted(planned, key=order):
        slot = _fit(slots, graph.tensors[index].bytes or 0, first[index], last[index])
        insort(slots, slot)
        offsets[index] = slot.offset
    return ArenaPlan(
        bytes=max((slot.offset + slot.size for slot in slots), default=0),
        offsets=offsets,
        largest=_peak(graph, planned, first, last),
        unpacked_bytes=sum(graph.tensors[index].bytes or 0 for index in unpacked),
        unsized=unsized,
    )


def unpacked_constants(graph: Graph) -> set[int]:
    """Returns indices of the weights that are dequantized or densified from constants."""
    return {
        index
        for op in graph.operators
        if op.name in _UNPACKED_ONCE and all(t.constant for t in graph.input_tensors(op))
        for index in op.outputs
        if index >= 0
    }


def _fit(slots: list[_Slot], size: int, first: int, last: int) -> _Slot:
    """Returns the tightest gap between slots alive at the same time, else the end of the arena."""
    best, tightest, end = -1, 2**62, 0
    for slot in slots:
        if slot.last < first or slot.first > last:
            continue
        start = _aligned(end)
        if start + size <= slot.offset and slot.offset - start < tightest:
            best, tightest = start, slot.offset - end
        end = max(end, slot.offset + slot.size)
    return _Slot(_aligned(end) if best < 0 else best, size, first, last)


def _aligned(offset: int) -> int:
    return -(-offset // ALIGNMENT) * ALIGNMENT


def _in_place(graph: Graph) -> dict[int, int]:
    """Returns output index → index of the tensor whose memory it reuses."""
    readers = dict.fromkeys(range(len(graph.tensors)), 0)
    entries = set(graph.inputs)
    held = {*graph.outputs, *(t.index for t in graph.tensors if t.variable)}
    for index in (*graph.inputs, *graph.outputs):
        readers[index] += 1
    for op in graph.operators:
        for index in op.inputs:
            if index >= 0:
                readers[index] += 1
    shared: dict[int, int] = {}
    for op in graph.operators:
        places, unchanged = _IN_PLACE.get(op.name, ((), False))
        output = op.outputs[0] if op.outputs else -1
        if output < 0 or output in held:
            continue
        for place in places:
            source = graph.input(op, place)
            if source is None or source.index in entries or source.constant or source.variable:
                continue
            if not _may_share(source, graph.tensors[output], unchanged, readers):
                continue
            root = shared.get(source.index, source.index)
            if unchanged or readers[root] <= 1:
                shared[output] = root
            break
    return shared


def _may_share(source: Tensor, output: Tensor, unchanged: bool, readers: dict[int, int]) -> bool:
    size = source.bytes or 0
    if size != output.bytes:
        return False
    return unchanged or (size > _SCALAR_BYTES and readers[source.index] <= 1)


def _lifetimes(graph: Graph, shared: dict[int, int]) -> tuple[dict[int, int], dict[int, int]]:
    """Returns tensor index → first operator, and tensor index → last operator that needs it."""
    first: dict[int, int] = dict.fromkeys(graph.inputs, 0)
    last: dict[int, int] = {}
    for op in graph.operators:
        for index in op.outputs:
            if index >= 0:
                first.setdefault(index, op.index)
        for index in op.inputs:
            if index >= 0:
                last[shared.get(index, index)] = op.index
    for index in first:
        last.setdefault(index, _FOREVER)  # like TFLite, keep tensors that are never read
    for index in (*graph.inputs, *graph.outputs):
        last[index] = _FOREVER
    return first, last


def _peak(
    graph: Graph, planned: list[int], first: dict[int, int], last: dict[int, int]
) -> tuple[int, ...]:
    changes = sorted([(first[i], 1, i) for i in planned] + [(last[i] + 1, 0, i) for i in planned])
    peak, size, peak_at = 0, 0, 0
    for moment, begins, index in changes:
        size += (graph.tensors[index].bytes or 0) * (1 if begins else -1)
        if size > peak:
            peak, peak_at = size, moment
    alive = [i for i in planned if first[i] <= peak_at <= last[i]]
    return tuple(sorted(alive, key=lambda i: -(graph.tensors[i].bytes or 0)))
