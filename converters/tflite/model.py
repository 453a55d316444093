"""A `.tflite` as it was read: checked, immutable, without the schema's details."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod

Options = Mapping[str, int | float]

# Bits of an element; a type that is missing has no fixed size (strings, resources, variants).
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
    """real = scale · (stored − zero point); one of each, or one a slice along `axis`.

    `kind` is `affine`, `custom`, `blockwise` or `multi-axis`; only affine ones have numbers here.
    """

    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    axis: int
    kind: str = "affine"

    @property
    def per_channel(self) -> bool:
        """Whether slices have scales of their own."""
        return len(self.scales) > 1


@dataclass(frozen=True)
class Tensor:
    """One tensor.

    Attributes:
        index: its place in the graph.
        shape: as stored; dimensions that are only known at run time are 1.
        signature: the shape with −1 for those, empty where all are known.
        type: `FLOAT32`, `INT8`…, as the schema names it.
        data: where a constant's bytes lie in the file, first and length; None for others.
        sparse: the constant is stored in sparse form.
        variable: keeps its value between invocations.
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
        """Size in memory, dense; None for types without a fixed size."""
        bits = BITS.get(self.type)
        return None if bits is None else (self.elements * bits + 7) // 8

    @property
    def constant(self) -> bool:
        """Whether its value is in the file."""
        return self.data is not None

    @property
    def dynamic(self) -> bool:
        """Whether a dimension is only known at run time."""
        return any(n < 0 for n in self.signature)

    @property
    def parameter(self) -> bool:
        """Whether it holds weights or biases; integers without a scale are shapes and axes."""
        wide = self.type in _WIDE and self.quantization is not None
        return self.constant and (wide or self.type in _NARROW)


@dataclass(frozen=True)
class Operator:
    """One node of a graph.

    Attributes:
        index: its place in the graph, which is the order of execution.
        name: `CONV_2D`…, or the custom operator's own name.
        kind: `builtin`, `custom` or `flex` (TensorFlow's kernel, which needs the Flex delegate).
        version: of the operator, which tells the oldest runtime.
        inputs: tensor indices, −1 for an optional one that is left out.
        outputs: tensor indices.
        options: those of its options that the inspection knows, defaults filled in.
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
    """One subgraph; the first is the network, others belong to control flow or initialization."""

    name: str
    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    def input(self, operator: Operator, place: int) -> Tensor | None:
        """The operator's input at a place, None where it has none there."""
        if place >= len(operator.inputs) or operator.inputs[place] < 0:
            return None
        return self.tensors[operator.inputs[place]]

    def input_tensors(self, operator: Operator) -> list[Tensor]:
        """The operator's inputs without the optional ones that are left out."""
        return [self.tensors[i] for i in operator.inputs if i >= 0]

    def output_tensors(self, operator: Operator) -> list[Tensor]:
        """The operator's outputs."""
        return [self.tensors[i] for i in operator.outputs if i >= 0]


@dataclass(frozen=True)
class Signature:
    """A named way to call a graph: argument name → tensor index."""

    key: str
    inputs: Mapping[str, int]
    outputs: Mapping[str, int]
    graph: int


@dataclass(frozen=True)
class Metadata:
    """A named blob; `data` is where it lies in the file, first byte and length."""

    name: str
    data: tuple[int, int]


@dataclass(frozen=True)
class Model:
    """The whole file.

    `content` is its bytes, where `Tensor.data` and `Metadata.data` point to.
    """

    content: bytes
    version: int
    description: str
    graphs: tuple[Graph, ...]
    signatures: tuple[Signature, ...]
    metadata: tuple[Metadata, ...]

    @property
    def main(self) -> Graph:
        """The network itself."""
        return self.graphs[0]

    def operators(self) -> Iterator[tuple[Graph, Operator]]:
        """All operators with their graphs."""
        for graph in self.graphs:
            for operator in graph.operators:
                yield graph, operator

    def raw(self, data: tuple[int, int]) -> memoryview:
        """The bytes at a place of the file, not copied."""
        return memoryview(self.content)[data[0] : data[0] + data[1]]
