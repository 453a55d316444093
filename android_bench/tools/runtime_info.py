"""Reads the runtime information exported by benchmark_model: which delegate runs which node.

With `--model_runtime_info_output_file` the tool writes a `ModelRuntimeDetails` message after all
delegates are applied. Its schema is tflite/profiling/proto/model_runtime_info.proto of
google-ai-edge/LiteRT; tflite/profiling/model_runtime_info.cc writes it. A delegate's node lists the
nodes that it replaced, and the execution plan lists the nodes that run.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from android_bench.tools.delegates import Delegate
from android_bench.tools.placement import level_of
from android_bench.tools.protobuf_wire import fields, integers
from zoo.errors import ZooError, one_line
from zoo.schema.measurement import Placement

MAX_BYTES = 64 * 2**20
_MAX_NODES = 100_000
_SUBGRAPHS = 2  # of ModelRuntimeDetails
_SUBGRAPH_ID, _NODES, _PLAN = 1, 3, 4  # of RuntimeSubgraph
_ID, _NAME, _DETAILS = 1, 2, 8  # of Node
_DELEGATE_NAME, _REPLACED = 1, 2  # of DelegateNodeDetails


@dataclass(frozen=True)
class PlacedNode:
    """One node of the graph.

    Attributes:
        name: Name of the operator.
        delegate: Name of the delegate; empty for an operator of the model.
        replaced: Numbers of the nodes that the delegate replaced.
    """

    name: str
    delegate: str = ""
    replaced: tuple[int, ...] = ()


def placement_of(data: bytes, delegate: Delegate) -> Placement:
    """Returns where the nodes of the model's first subgraph ran.

    Args:
        data: Content of the exported file.
        delegate: Delegate whose nodes are counted; for `none`, those of any delegate.

    Raises:
        ZooError: if the file is invalid, too large or inconsistent.
    """
    if len(data) > MAX_BYTES:
        raise _InvalidInfo(f"{len(data)} bytes")
    nodes, plan = _first_subgraph(data)
    taken: dict[int, str] = {}
    undelegated: set[int] = set()
    partitions = 0
    for number in plan:
        node = nodes.get(number)
        if node is None or number in undelegated or number in taken:
            raise _InvalidInfo(f"node {number} in the execution plan")
        if not node.delegate:
            undelegated.add(number)
            continue
        partitions += delegate.is_called(node.delegate)
        for part in node.replaced:
            if part in taken or part not in nodes or nodes[part].delegate:
                raise _InvalidInfo(f"node {part} replaced by {node.delegate}")
            taken[part] = node.delegate
    if not undelegated.isdisjoint(taken) or not (undelegated or taken):
        raise _InvalidInfo("no nodes, or nodes that run twice")
    delegated = {number for number, name in taken.items() if delegate.is_called(name)}
    numbers = undelegated | taken.keys()
    left = Counter(nodes[number].name for number in numbers - delegated)
    return Placement(
        level=level_of(len(delegated), len(numbers)),
        nodes=len(numbers),
        delegated=len(delegated),
        partitions=partitions,
        left=dict(left.most_common()),
    )


class _InvalidInfo(ZooError):
    """The file is not valid runtime information."""

    def __init__(self, got: str):
        super().__init__("benchmark_model's runtime information is invalid", got=got)


def _first_subgraph(data: bytes) -> tuple[dict[int, PlacedNode], list[int]]:
    for number, value in list(fields(data)):  # parses the whole file, to detect truncation
        if number != _SUBGRAPHS or not isinstance(value, bytes):
            continue
        nodes: dict[int, PlacedNode] = {}
        plan: list[int] = []
        index = 0
        for part, content in fields(value):
            if part == _SUBGRAPH_ID and isinstance(content, int):
                index = content
            elif part == _NODES and isinstance(content, bytes):
                key, node = _node(content)
                if key in nodes or len(nodes) >= _MAX_NODES:
                    raise _InvalidInfo(f"duplicate node {key}, or too many nodes")
                nodes[key] = node
            elif part == _PLAN:
                plan += integers(content) if isinstance(content, bytes) else [content]
        if index == 0:
            return nodes, plan
    raise _InvalidInfo("no first subgraph")


def _node(message: bytes) -> tuple[int, PlacedNode]:
    key, name, delegate = -1, "", ""
    replaced: list[int] = []
    for number, value in fields(message):
        if number == _ID and isinstance(value, int):
            key = value
        elif number == _NAME and isinstance(value, bytes):
            name = _text(value)
        elif number == _DETAILS and isinstance(value, bytes):
            delegate = "unknown"
            for part, content in fields(value):
                if part == _DELEGATE_NAME and isinstance(content, bytes):
                    delegate = _text(content)
                elif part == _REPLACED:
                    replaced += integers(content) if isinstance(content, bytes) else [content]
    return key, PlacedNode(name, delegate, tuple(replaced))


def _text(value: bytes) -> str:
    return one_line(value.decode(errors="replace"), 80) or "unknown"
