"""All that the inspection finds out about one file."""

from __future__ import annotations

import dataclasses
from collections import Counter
from dataclasses import dataclass
from typing import Any

from converters.inspection import arena, gpu, macs, roofline, runtimes, sparse
from converters.tflite import counts as flatbuffer
from converters.tflite.model import Graph, Model, Tensor
from converters.tflite.reader import read
from zoo.schema.measurement import Placement


@dataclass(frozen=True)
class OperatorRow:
    """Operators of one name and version; `kind` is `builtin`, `custom` or `flex`."""

    name: str
    version: int
    kind: str
    count: int
    macs: int


@dataclass(frozen=True)
class TensorRow:
    """One tensor; −1 in the shape is a dimension that only the run tells.

    `role` is `input`, `output`, `constant`, `variable` or `activation`. Where scales are many, they
    are one a slice along `axis`.
    """

    graph: int
    index: int
    name: str
    role: str
    type: str
    shape: tuple[int, ...]
    sparse: bool
    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    axis: int | None


@dataclass(frozen=True)
class QuantizationSummary:
    """Which types weights and activations of the main graph have, by number of tensors."""

    precision: str
    weights: dict[str, int]
    activations: dict[str, int]
    per_channel: int
    per_tensor: int


@dataclass(frozen=True)
class Arena:
    """Memory in bytes: activations of the main graph, and weights unpacked beside it."""

    bytes: int
    unpacked_bytes: int
    largest: tuple[str, ...]
    complete: bool


@dataclass(frozen=True)
class SignatureSummary:
    """A named entry: arguments and results, name → shape and type."""

    key: str
    inputs: dict[str, str]
    outputs: dict[str, str]


@dataclass(frozen=True)
class Inspection:
    """One file. `placement` is None until a runtime was asked, `problem` what it said then."""

    file: str
    bytes: int
    description: str
    graphs: int
    precision: QuantizationSummary
    operators: tuple[OperatorRow, ...]
    parameters: int
    zeros: float
    macs: int
    macs_not_counted: tuple[str, ...]
    arena: Arena | None
    inputs: tuple[TensorRow, ...]
    outputs: tuple[TensorRow, ...]
    signatures: tuple[SignatureSummary, ...]
    metadata: dict[str, int]
    runtime: runtimes.Runtime
    gpu: gpu.Gpu
    sparse: sparse.Sparse
    roofline: roofline.Estimate
    tensors: tuple[TensorRow, ...]
    placement: Placement | None = None
    problem: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Plain dictionaries and lists."""
        fields = dataclasses.asdict(dataclasses.replace(self, placement=None))
        fields["placement"] = self.placement and self.placement.model_dump(mode="json")
        fields["gpu"]["compatible"] = self.gpu.compatible
        fields["roofline"] |= {"us": self.roofline.us, "bound": self.roofline.bound}
        return fields

    @property
    def fully_delegated(self) -> bool:
        """Whether XNNPACK took the whole graph in one partition."""
        where = self.placement
        return where is not None and where.level == "full" and where.partitions == 1


def inspect(data: bytes, file: str, chip: str, tensors: bool = False) -> Inspection:
    """Reads a `.tflite` and looks at it from all sides, without running it.

    Args:
        data: the whole file.
        file: its name.
        chip: a key of `roofline.CHIPS`.
        tensors: list every tensor.

    Raises:
        ZooError: no `.tflite`, a damaged one, or no such chip.
        UnknownNameError: no such chip.
    """
    model = read(data, file)
    found = flatbuffer.count(model)
    main = model.main
    return Inspection(
        file=file,
        bytes=len(data),
        description=model.description,
        graphs=len(model.graphs),
        precision=_precision(main),
        operators=_operators(model),
        parameters=found.parameters,
        zeros=found.zeros,
        macs=macs.total(model),
        macs_not_counted=macs.uncounted(model),
        arena=_arena(main),
        inputs=tuple(_row(0, main, main.tensors[i]) for i in main.inputs),
        outputs=tuple(_row(0, main, main.tensors[i]) for i in main.outputs),
        signatures=_signatures(model),
        metadata={entry.name: entry.data[1] for entry in model.metadata},
        runtime=runtimes.oldest(model),
        gpu=gpu.check(model),
        sparse=sparse.check(model),
        roofline=roofline.estimate(model, chip),
        tensors=_tensors(model) if tensors else (),
    )


def _operators(model: Model) -> tuple[OperatorRow, ...]:
    counts: Counter[tuple[str, int, str]] = Counter()
    costs: Counter[tuple[str, int, str]] = Counter()
    for graph, op in model.operators():
        counts[op.name, op.version, op.kind] += 1
        costs[op.name, op.version, op.kind] += macs.of_operator(graph, op)
    keys = sorted(counts, key=lambda key: (-costs[key], -counts[key], key))
    return tuple(OperatorRow(*key, counts[key], costs[key]) for key in keys)


def _tensors(model: Model) -> tuple[TensorRow, ...]:
    return tuple(
        _row(number, graph, tensor)
        for number, graph in enumerate(model.graphs)
        for tensor in graph.tensors
    )


def _row(number: int, graph: Graph, tensor: Tensor) -> TensorRow:
    role = "constant" if tensor.constant else "variable" if tensor.variable else "activation"
    if tensor.index in graph.inputs:
        role = "input"
    elif tensor.index in graph.outputs:
        role = "output"
    quantized = tensor.quantization
    return TensorRow(
        graph=number,
        index=tensor.index,
        name=tensor.name,
        role=role,
        type=tensor.type.lower(),
        shape=tensor.signature or tensor.shape,
        sparse=tensor.sparse,
        scales=quantized.scales if quantized else (),
        zero_points=quantized.zero_points if quantized else (),
        axis=quantized.axis if quantized and quantized.per_channel else None,
    )


def _signatures(model: Model) -> tuple[SignatureSummary, ...]:
    found = []
    for each in model.signatures:
        tensors = model.graphs[each.graph].tensors
        sides = [
            {name: short(tensors[i]) for name, i in side.items()}
            for side in (each.inputs, each.outputs)
        ]
        found.append(SignatureSummary(each.key, *sides))
    return tuple(found)


def short(tensor: Tensor) -> str:
    """Type and shape, `float32 [1, 32, 32, 3]`."""
    return f"{tensor.type.lower()} {list(tensor.signature or tensor.shape)}"


def _arena(graph: Graph) -> Arena | None:
    planned = arena.plan(graph)
    if planned is None:
        return None
    largest = [graph.tensors[i] for i in planned.largest[:3]]
    dynamic = any(t.dynamic for t in graph.tensors)
    return Arena(
        bytes=planned.bytes,
        unpacked_bytes=planned.unpacked_bytes,
        largest=tuple(short(tensor) for tensor in largest),
        complete=not dynamic and not planned.unsized,
    )


def _precision(graph: Graph) -> QuantizationSummary:
    weights = [t for t in graph.tensors if t.parameter and len(t.shape) > 1]
    folded = arena.unpacked_constants(graph)
    scaled = [t.quantization for t in weights if t.quantization]
    activations = [
        t
        for t in graph.tensors
        if not t.constant and t.index not in folded and t.type != "RESOURCE"
    ]
    stored = Counter(t.type.lower() for t in weights)
    computed = Counter(t.type.lower() for t in activations)
    return QuantizationSummary(
        precision=_name(stored, computed),
        weights=dict(stored.most_common()),
        activations=dict(computed.most_common()),
        per_channel=sum(q.per_channel for q in scaled),
        per_tensor=sum(not q.per_channel for q in scaled),
    )


def _name(weights: Counter[str], activations: Counter[str]) -> str:
    """The usual name for what most weights and activations are."""
    if not weights or not activations:
        return "no weights" if not weights else "no activations"
    stored, computed = weights.most_common(1)[0][0], activations.most_common(1)[0][0]
    if stored == computed:
        return f"{stored}"
    if computed == "float32" and stored != "float16":
        return f"{stored} weights, float32 activations (dynamic range)"
    return f"{stored} weights, {computed} activations"
