"""The graph and its delegated nodes, and the runtime's output about them."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

XNNPACK = "TfLiteXNNPackDelegate"


@dataclass(frozen=True)
class Node:
    """An operator of the model."""

    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True)
class Graph:
    """The nodes of a model in the order of its file, and those that XNNPACK has taken.

    Attributes:
        nodes: All nodes.
        xnnpack: Indices of the nodes in each XNNPACK kernel.
    """

    nodes: tuple[Node, ...]
    xnnpack: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, interpreter: Any) -> Graph:
        """Reads the graph from LiteRT's interpreter, which lists a DELEGATE operator per kernel."""
        listed = [
            Node(op["op_name"], tuple(map(int, op["inputs"])), tuple(map(int, op["outputs"])))
            for op in interpreter._get_ops_details()
        ]
        nodes = tuple(node for node in listed if node.name != "DELEGATE")
        kernels = [node for node in listed if node.name == "DELEGATE"]
        return cls(nodes, tuple(_replaced(nodes, kernel) for kernel in kernels))

    def share(self, level: str, kernels: int = 1) -> tuple[tuple[int, ...], ...]:
        """Returns the nodes that an accelerator takes, as one tuple of indices per kernel.

        Args:
            level: `full` for all nodes in one kernel, otherwise all nodes but the last.
            kernels: Number of kernels, limited by the number of nodes.
        """
        count = len(self.nodes) if level == "full" else len(self.nodes) - 1
        kernels = 1 if level == "full" else min(kernels, count)
        return tuple(tuple(range(i * count // kernels, (i + 1) * count // kernels))
                     for i in range(kernels))  # fmt: skip


def tell_replacing(graph: Graph, delegate: str, kernels: tuple[tuple[int, ...], ...]) -> None:
    """Prints the runtime's line about replaced nodes, which all Android builds write to stderr."""
    taken = sum(map(len, kernels))
    if not taken:
        return
    parts = 1 if taken == len(graph.nodes) else 2 * len(kernels)
    print(
        f"VERBOSE: Replacing {taken} out of {len(graph.nodes)} node(s) with delegate ({delegate}) "
        f"node, yielding {parts} partitions for subgraph 0 (main).",
        file=sys.stderr,
        flush=True,
    )


def write_runtime_info(
    path: str, graph: Graph, delegate: str, kernels: tuple[tuple[int, ...], ...]
) -> None:
    """Writes the exported ModelRuntimeDetails in LiteRT's format."""
    from ai_edge_litert.model_runtime_info_pb2 import ModelRuntimeDetails, RuntimeSubgraph

    details = ModelRuntimeDetails()
    subgraph = details.subgraphs.add(
        subgraph_id=0, subgraph_type=RuntimeSubgraph.TFLITE_SUBGRAPH, name="main"
    )
    whose = {node: len(graph.nodes) + k for k, kernel in enumerate(kernels) for node in kernel}
    for number, node in enumerate(graph.nodes):
        entry = subgraph.nodes.add(id=number, name=node.name, type=str(number))
        entry.inputs.extend(node.inputs)
        entry.outputs.extend(node.outputs)
        if number in whose:
            entry.delegated_to_node_id = whose[number]
    for number, kernel in enumerate(kernels, start=len(graph.nodes)):
        entry = subgraph.nodes.add(id=number, name=delegate, type=delegate)
        entry.delegate_node_details.delegate_name = delegate
        entry.delegate_node_details.tflite_node_ids_replaced.extend(kernel)
    ran = [number for number in range(len(graph.nodes)) if number not in whose]
    subgraph.execution_plan.extend([*sorted(set(whose.values())), *ran])
    Path(path).write_bytes(details.SerializeToString())


def _replaced(nodes: tuple[Node, ...], kernel: Node) -> tuple[int, ...]:
    producer = {tensor: number for number, node in enumerate(nodes) for tensor in node.outputs}
    pending, taken = list(kernel.outputs), set()
    while pending:
        tensor = pending.pop()
        if tensor in kernel.inputs or tensor not in producer or producer[tensor] in taken:
            continue
        taken.add(producer[tensor])
        pending += nodes[producer[tensor]].inputs
    return tuple(sorted(taken))
