"""What benchmark_model exports of the graph as it ran: which node was taken by which delegate.

With `--model_runtime_info_output_file` it writes a `ModelRuntimeDetails` after all delegates were
applied. The schema is tflite/profiling/proto/model_runtime_info.proto of google-ai-edge/LiteRT, and
tflite/profiling/model_runtime_info.cc fills it in: a delegate's node lists those that it replaced,
and the execution plan what is run.
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
    """One node of the graph; `delegate` is empty for an operator of the model."""

    name: str
    delegate: str = ""
    replaced: tuple[int, ...] = ()


def placement_of(data: bytes, delegate: Delegate) -> Placement:
    """Where the model's first subgraph ran; for the delegate `none`, what any delegate took.

    Raises:
        ZooError: not such a file, too large, or one that contradicts itself.
    """
    if len(data) > MAX_BYTES:
        raise _Spoilt(f"{len(data)} bytes")
    nodes, plan = _first_subgraph(data)
    taken: dict[int, str] = {}
    own: set[int] = set()
    partitions = 0
    for number in plan:
        node = nodes.get(number)
        if node is None or number in own or number in taken:
            raise _Spoilt(f"node {number} in the execution plan")
        if not node.delegate:
            own.add(number)
            continue
        partitions += delegate.is_called(node.delegate)
        for part in node.replaced:
            if part in taken or part not in nodes or nodes[part].delegate:
                raise _Spoilt(f"node {part} replaced by {node.delegate}")
            taken[part] = node.delegate
    if not own.isdisjoint(taken) or not (own or taken):
        raise _Spoilt("nodes that run twice, or none")
    asked = {number for number, name in taken.items() if delegate.is_called(name)}
    every = own | taken.keys()
    left = Counter(nodes[number].name for number in every - asked)
    return Placement(
        level=level_of(len(asked), len(every)),
        nodes=len(every),
        delegated=len(asked),
        partitions=partitions,
        left=dict(left.most_common()),
    )


class _Spoilt(ZooError):
    """The file is not what the tool writes."""

    def __init__(self, got: str):
        super().__init__("benchmark_model's runtime information makes no sense", got=got)


def _first_subgraph(data: bytes) -> tuple[dict[int, PlacedNode], list[int]]:
    for number, value in list(fields(data)):  # all of it, so that a cut is noticed
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
                    raise _Spoilt(f"node {key} twice, or too many nodes")
                nodes[key] = node
            elif part == _PLAN:
                plan += integers(content) if isinstance(content, bytes) else [content]
        if index == 0:
            return nodes, plan
    raise _Spoilt("no first subgraph")


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
