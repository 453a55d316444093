"""In-memory model of a parsed `.tflite`: validated, immutable, independent of the schema."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod

Options = Mapping[str, int | float]

# Bits per element. Types without a fixed size (strings, resources, variants) are absent.
BITS = {
    "FLOAT32": 32,
    "FLOAT16": 16,
    "BFLOAT16": 16,
    "FLOAT64": 64,
    "FLOAT8_E4M3FN": 8,
    "FLOAT8_E5M2": 8,
    "INT2": 2,
    "INT4": 4,
    "INT8": 8,
    "INT16": 16,
    "INT32": 32,
    "INT64": 64,
    "UINT4": 4,
    "UINT8": 8,
    "UINT16": 16,
    "UINT32": 32,
    "UINT64": 64,
    "BOOL": 8,
    "COMPLEX64": 64,
    "COMPLEX128": 128,
}
_WIDE = ("INT16", "INT32", "INT64")
_NARROW = ("FLOAT32", "FLOAT16", "BFLOAT16", "FLOAT64", "INT2", "INT4", "INT8", "UINT4", "UINT8")


@dataclass(frozen=True)
class TensorQuantization:
    """Quantization parameters: real = scale · (stored − zero point).

    Attributes:
        scales: One scale per tensor, or one per slice along `axis`.
        zero_points: One per scale. Validated together with the scales for `affine` only.
        axis: Quantized dimension of per-channel parameters.
        kind: `affine`, `custom`, `blockwise` or `multi-axis`.
    """

    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    axis: int
    kind: str = "affine"

    @property
    def per_channel(self) -> bool:
        """Whether there is one scale per slice along `axis`."""
        return len(self.scales) > 1


@dataclass(frozen=True)
class Tensor:
    """A tensor of a graph.

    Attributes:
        index: Position in the graph's tensor list.
        name: Name stored in the file.
        shape: Stored shape; dimensions known only at run time are 1.
        signature: Shape with −1 for those dimensions; empty if all are known.
        type: Schema type name, for example `FLOAT32` or `INT8`.
        data: Start offset and length of a constant's bytes in the file; None if not constant.
        quantization: Quantization parameters; None if the tensor has none.
        sparse: Whether the constant is stored in sparse form.
        variable: Whether the tensor keeps its value between invocations.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    signature: tuple[int, ...]
    type: str
    data: tuple[int, int] | None
    quantization: TensorQuantization | None
    sparse: bool
    variable: bool

    @property
    def elements(self) -> int:
        """Number of elements; 1 for a scalar."""
        return prod(self.shape)

    @property
    def bytes(self) -> int | None:
        """Dense size in memory in bytes; None for types without a fixed size."""
        bits = BITS.get(self.type)
        return None if bits is None else (self.elements * bits + 7) // 8

    @property
    def constant(self) -> bool:
        """Whether the value is stored in the file."""
        return self.data is not None

    @property
    def dynamic(self) -> bool:
        """Whether any dimension is known only at run time."""
        return any(n < 0 for n in self.signature)

    @property
    def parameter(self) -> bool:
        """Whether it holds weights or biases; wide integers without a scale are shapes or axes."""
        wide = self.type in _WIDE and self.quantization is not None
        return self.constant and (wide or self.type in _NARROW)


@dataclass(frozen=True)
class Operator:
    """A node of a graph.

    Attributes:
        index: Position in execution order.
        name: Builtin name, for example `CONV_2D`, or the name of the custom operator.
        kind: `builtin`, `custom` or `flex` (a TensorFlow kernel that needs the Flex delegate).
        version: Operator version, which determines the oldest compatible runtime.
        inputs: Tensor indices; −1 for an omitted optional input.
        outputs: Tensor indices.
        options: Options listed in `converters.tflite.options`, with defaults filled in.
    """

    index: int
    name: str
    kind: str
    version: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Options


@dataclass(frozen=True)
class Graph:
    """A subgraph. The first is the network; the rest serve control flow or initialization."""

    name: str
    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    def input(self, operator: Operator, place: int) -> Tensor | None:
        """Returns the operator's input at position `place`, or None if absent."""
        if place >= len(operator.inputs) or operator.inputs[place] < 0:
            return None
        return self.tensors[operator.inputs[place]]

    def input_tensors(self, operator: Operator) -> list[Tensor]:
        """Returns the operator's inputs, skipping omitted optional ones."""
        return [self.tensors[i] for i in operator.inputs if i >= 0]

    def output_tensors(self, operator: Operator) -> list[Tensor]:
        """Returns the operator's outputs."""
        return [self.tensors[i] for i in operator.outputs if i >= 0]


@dataclass(frozen=True)
class Signature:
    """A named entry point of a graph; inputs and outputs map argument names to tensor indices."""

    key: str
    inputs: Mapping[str, int]
    outputs: Mapping[str, int]
    graph: int


@dataclass(frozen=True)
class Metadata:
    """A named blob; `data` is its start offset and length in the file."""

    name: str
    data: tuple[int, int]


@dataclass(frozen=True)
class Model:
    """A parsed `.tflite` file.

    `content` holds all bytes of the file; `Tensor.data` and `Metadata.data` point into it.
    """

    content: bytes
    version: int
    description: str
    graphs: tuple[Graph, ...]
    signatures: tuple[Signature, ...]
    metadata: tuple[Metadata, ...]

    @property
    def main(self) -> Graph:
        """The first subgraph, which is the network."""
        return self.graphs[0]

    def operators(self) -> Iterator[tuple[Graph, Operator]]:
        """Yields every operator together with its graph."""
        for graph in self.graphs:
            for operator in graph.operators:
                yield graph, operator

    def raw(self, data: tuple[int, int]) -> memoryview:
        """Returns the bytes of a (start, length) range of the file without copying."""
        return memoryview(self.content)[data[0] : data[0] + data[1]]
