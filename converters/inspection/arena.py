"""How much memory TensorFlow Lite's plain kernels need for activations.

TFLite gives every tensor that lives between two operators a place in one block of memory, the
arena: tensors that live throughout first, then by falling size, each into the tightest gap among
those that live at the same time, aligned to 64 bytes; some operators write over their input
(public source: tflite/arena_planner.cc, tflite/simple_memory_arena.cc). This repeats that plan.

Not in it: scratch buffers of the kernels, which the file does not tell. A delegate keeps tensors
inside its partitions in memory of its own, so that the arena is then smaller.
"""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass

from converters.tflite.model import Graph, Tensor

ALIGNMENT = 64
_MAX_TENSORS = 4_000  # activations; the plan takes the square of it. Deep networks have hundreds.
_FOREVER = 2**31

# Operators that may write over an input: name → which inputs, and whether the value stays the
# same, so that other readers of that input do no harm.
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
# Computed once from constants, at the first inference, and kept.
_UNPACKED_ONCE = ("DEQUANTIZE", "DENSIFY")


@dataclass(frozen=True)
class ArenaPlan:
    """The arena of one graph.

    Attributes:
        bytes: the arena itself.
        offsets: tensor index → its first byte, for those that have a place of their own.
        largest: the tensors that live at the fullest moment, by falling size.
        unpacked_bytes: weights that are widened or made dense at the start and kept, outside.
        unsized: tensors of types without a size, strings and variables say, left out.
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
    """Plans a graph; None where it has too many tensors."""
    unpacked = unpacked_constants(graph)
    shared = _in_place(graph)
    first, last = _lifetimes(graph, shared)
    unsized = 0
    wanted = []
    for index in first:
        tensor = graph.tensors[index]
        if tensor.constant or tensor.variable or index in unpacked or index in shared:
            continue
        if tensor.bytes is None:
            unsized += 1
        if tensor.bytes:
            wanted.append(index)
    if len(wanted) > _MAX_TENSORS:
        return None

    def order(index: int) -> tuple[int, int, int]:
        if first[index] == 0 and last[index] == _FOREVER:
            return 0, index, 0
        return 1, -(graph.tensors[index].bytes or 0), first[index]

    slots: list[_Slot] = []
    offsets: dict[int, int] = {}
    for index in sorted(wanted, key=order):
        slot = _fit(slots, graph.tensors[index].bytes or 0, first[index], last[index])
        insort(slots, slot)
        offsets[index] = slot.offset
    return ArenaPlan(
        bytes=max((slot.offset + slot.size for slot in slots), default=0),
        offsets=offsets,
        largest=_fullest(graph, wanted, first, last),
        unpacked_bytes=sum(graph.tensors[index].bytes or 0 for index in unpacked),
        unsized=unsized,
    )


def unpacked_constants(graph: Graph) -> set[int]:
    """Tensors that are computed from constants alone, weights that are widened or made dense."""
    return {
        index
        for op in graph.operators
        if op.name in _UNPACKED_ONCE and all(t.constant for t in graph.input_tensors(op))
        for index in op.outputs
        if index >= 0
    }


def _fit(slots: list[_Slot], size: int, first: int, last: int) -> _Slot:
    """The tightest gap between slots that live at the same time, or behind them all."""
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
    """Output → the tensor whose memory it takes over."""
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
    """Tensor → the first and the last operator that needs it."""
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
        last.setdefault(index, _FOREVER)  # never read: kept, as TFLite does
    for index in (*graph.inputs, *graph.outputs):
        last[index] = _FOREVER
    return first, last


def _fullest(
    graph: Graph, wanted: list[int], first: dict[int, int], last: dict[int, int]
) -> tuple[int, ...]:
    changes = sorted([(first[i], 1, i) for i in wanted] + [(last[i] + 1, 0, i) for i in wanted])
    most, now, when = 0, 0, 0
    for moment, begins, index in changes:
        now += (graph.tensors[index].bytes or 0) * (1 if begins else -1)
        if now > most:
            most, when = now, moment
    alive = [i for i in wanted if first[i] <= when <= last[i]]
    return tuple(sorted(alive, key=lambda i: -(graph.tensors[i].bytes or 0)))
