"""Complete static inspection of a `.tflite` file."""

from __future__ import annotations

import dataclasses
from collections import Counter
from dataclasses import dataclass
from typing import Any

from converters.inspection import arena, cautions, gpu, macs, roofline, runtimes, sparse
from converters.inspection.cautions import Caution
from converters.inspection.gpu import Gpu
from converters.tflite import counts as flatbuffer
from converters.tflite.model import Graph, Model, Tensor
from converters.tflite.reader import read
from zoo.schema.measurement import Placement


@dataclass(frozen=True)
class OperatorRow:
    """Operators with the same name, version and kind (`builtin`, `custom` or `flex`)."""

    name: str
    version: int
    kind: str
    count: int
    macs: int


@dataclass(frozen=True)
class TensorRow:
    """A tensor of a graph.

    Attributes:
        graph: Index of the subgraph.
        index: Index of the tensor in the subgraph.
        name: Name stored in the file.
        role: `input`, `output`, `constant`, `variable` or `activation`.
        type: Lowercase schema type, for example `float32`.
        shape: Shape, with −1 for dimensions known only at run time.
        sparse: Whether the constant is stored in sparse form.
        scales: Quantization scales, one per tensor or one per slice along `axis`.
        zero_points: One per scale.
        axis: Quantized dimension; None without per-channel scales.
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
    """Tensor counts by type for the main graph's weights and activations.

    `per_channel` and `per_tensor` count the quantized weights with each kind of scale.
    """

    precision: str
    weights: dict[str, int]
    activations: dict[str, int]
    per_channel: int
    per_tensor: int


@dataclass(frozen=True)
class Arena:
    """Activation memory of the main graph.

    Attributes:
        bytes: Size of the arena in bytes.
        unpacked_bytes: Bytes of weights unpacked outside the arena.
        largest: Type and shape of up to three tensors alive at peak usage.
        complete: False if tensors of unknown size make `bytes` a lower bound.
    """

    bytes: int
    unpacked_bytes: int
    largest: tuple[str, ...]
    complete: bool


@dataclass(frozen=True)
class SignatureSummary:
    """A named entry point; inputs and outputs map names to type and shape."""

    key: str
    inputs: dict[str, str]
    outputs: dict[str, str]


@dataclass(frozen=True)
class EngineRow:
    """What an engine takes of a file.

    Attributes:
        engine: A key of `zoo.runtime.RUNTIMES`.
        version: Its version.
        delegate: The delegate it ran the file with.
        placement: Which operators it takes; None if it failed.
        problem: The error if it failed.
    """

    engine: str
    version: str
    delegate: str
    placement: Placement | None = None
    problem: str | None = None

    @property
    def takes_all(self) -> bool:
        """Whether it takes the whole graph, in one partition if it tells their number."""
        placed = self.placement
        return placed is not None and placed.level == "full" and placed.partitions in (None, 1)


@dataclass(frozen=True)
class Inspection:
    """Everything known about a file.

    `gpu` is the verdict on LiteRT's GPU engine, `gpu_classic` that on TFLite's delegate, both by
    rules. `engines` are those that have loaded it; `placement` and `problem` are what LiteRT with
    XNNPACK says, None if it was not asked.
    """

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
    gpu: Gpu
    gpu_classic: Gpu
    cautions: tuple[Caution, ...]
    sparse: sparse.Sparse
    roofline: roofline.Estimate
    tensors: tuple[TensorRow, ...]
    engines: tuple[EngineRow, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Returns the inspection as JSON-serializable dictionaries and lists."""
        fields = dataclasses.asdict(dataclasses.replace(self, engines=()))
        fields["engines"] = [
            dataclasses.asdict(dataclasses.replace(row, placement=None))
            | {"placement": row.placement and row.placement.model_dump(mode="json")}
            for row in self.engines
        ]
        fields["placement"] = self.placement and self.placement.model_dump(mode="json")
        fields["problem"] = self.problem
        for engine in ("gpu", "gpu_classic"):
            fields[engine]["compatible"] = getattr(self, engine).compatible
        fields["roofline"] |= {"us": self.roofline.us, "bound": self.roofline.bound}
        return fields

    @property
    def placement(self) -> Placement | None:
        """What XNNPACK takes."""
        return next((row.placement for row in self.engines if row.engine == "litert"), None)

    @property
    def problem(self) -> str | None:
        """LiteRT's error."""
        return next((row.problem for row in self.engines if row.engine == "litert"), None)


def inspect(data: bytes, file: str, chip: str, tensors: bool = False) -> Inspection:
    """Inspects a `.tflite` without running it.

    Args:
        data: Contents of the whole file.
        file: File name, for the report and error messages.
        chip: Key of `roofline.CHIPS`.
        tensors: Whether to list every tensor.

    Raises:
        ZooError: if the data is not a `.tflite` or is damaged.
        UnknownNameError: if the chip is unknown.
    """
    model = read(data, file)
    counts = flatbuffer.count(model)
    main = model.main
    doubts = cautions.check(model)
    return Inspection(
        file=file,
        bytes=len(data),
        description=model.description,
        graphs=len(model.graphs),
        precision=_precision(main),
        operators=_operators(model),
        parameters=counts.parameters,
        zeros=counts.zeros,
        macs=macs.total(model),
        macs_not_counted=macs.uncounted(model),
        arena=_arena(main),
        inputs=tuple(_row(0, main, main.tensors[i]) for i in main.inputs),
        outputs=tuple(_row(0, main, main.tensors[i]) for i in main.outputs),
        signatures=_signatures(model),
        metadata={entry.name: entry.data[1] for entry in model.metadata},
        runtime=runtimes.oldest(model),
        gpu=gpu.ml_drift(model, doubts),
        gpu_classic=gpu.classic(model, doubts),
        cautions=doubts,
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
    summaries = []
    for signature in model.signatures:
        tensors = model.graphs[signature.graph].tensors
        sides = [
            {name: short(tensors[i]) for name, i in side.items()}
            for side in (signature.inputs, signature.outputs)
        ]
        summaries.append(SignatureSummary(signature.key, *sides))
    return tuple(summaries)


def short(tensor: Tensor) -> str:
    """Returns type and shape, for example `float32 [1, 32, 32, 3]`."""
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
    """Returns the common name for the most frequent weight and activation types."""
    if not weights or not activations:
        return "no weights" if not weights else "no activations"
    stored, computed = weights.most_common(1)[0][0], activations.most_common(1)[0][0]
    if stored == computed:
        return f"{stored}"
    if computed == "float32" and stored != "float16":
        return f"{stored} weights, float32 activations (dynamic range)"
    return f"{stored} weights, {computed} activations"
