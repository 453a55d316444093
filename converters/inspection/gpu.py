"""Support of a file by the GPU delegate, according to `gpu_rules`.

The Analyzer of TensorFlow 2.21 reports every file as compatible and cannot be relied on.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from converters.inspection.arena import unpacked_constants
from converters.inspection.gpu_rules import Node, refusal
from converters.tflite.model import Model


@dataclass(frozen=True)
class Refusal:
    """Operators of one type that the delegate leaves to the CPU for the same reason."""

    operator: str
    reason: str
    count: int


@dataclass(frozen=True)
class Gpu:
    """Result of checking a file against the rules of the GPU delegate.

    Attributes:
        operators: Number of operators in the main graph.
        taken: Number of operators that the delegate supports.
        refusals: Unsupported operators by reason, most frequent first.
        warnings: Conditions under which the delegate's results may be wrong or unchecked.
    """

    operators: int
    taken: int
    refusals: tuple[Refusal, ...]
    warnings: tuple[str, ...]

    @property
    def compatible(self) -> bool:
        """Whether the delegate supports all operators."""
        return not self.refusals


def check(model: Model) -> Gpu:
    """Checks every operator of the main graph against the rules."""
    graph = model.main
    folded = unpacked_constants(graph)
    refused: Counter[tuple[str, str]] = Counter()
    doubtful = 0
    for operator in graph.operators:
        node = Node(graph, operator, folded)
        reason = refusal(node)
        if reason is not None:
            refused[operator.name, reason] += 1
        doubtful += _pointwise_stride_2(node)
    warnings = []
    if doubtful:
        warnings.append(
            f"{doubtful} quantized 1×1 CONV_2D with stride 2: LiteRT's GPU delegate returned wrong"
            " values for these on a software GPU; compare its outputs before use"
        )
    if len(model.graphs) > 1:
        warnings.append("only the main graph was checked")
    return Gpu(
        operators=len(graph.operators),
        taken=len(graph.operators) - sum(refused.values()),
        refusals=tuple(Refusal(*key, count) for key, count in refused.most_common()),
        warnings=tuple(warnings),
    )


def _pointwise_stride_2(node: Node) -> bool:
    weights = node.graph.input(node.operator, 1)
    return (
        node.operator.name == "CONV_2D"
        and weights is not None
        and weights.type in ("INT8", "UINT8")
        and weights.shape[1:3] == (1, 1)
        and 2 in (node.option("stride_h"), node.option("stride_w"))
    )
