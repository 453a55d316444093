"""What the GPU delegate takes of a file, and why it refuses the rest; see `gpu_rules`.

TensorFlow 2.21's own Analyzer calls every file compatible: don't rely on it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from converters.inspection.arena import unpacked_constants
from converters.inspection.gpu_rules import Node, refusal
from converters.tflite.model import Model


@dataclass(frozen=True)
class Refusal:
    """Operators that the delegate leaves to the CPU, for one reason."""

    operator: str
    reason: str
    count: int


@dataclass(frozen=True)
class Gpu:
    """What the rules say of a file: operators taken, refusals, and results to mistrust."""

    operators: int
    taken: int
    refusals: tuple[Refusal, ...]
    warnings: tuple[str, ...]

    @property
    def compatible(self) -> bool:
        """Whether all operators are taken."""
        return not self.refusals


def check(model: Model) -> Gpu:
    """Holds every operator of the main graph against the rules."""
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
            f"{doubtful} quantized 1×1 CONV_2D of stride 2: LiteRT's GPU delegate gave wrong values"
            " for such (on a software GPU): compare its outputs before use"
        )
    if len(model.graphs) > 1:
        warnings.append("only the main graph is looked at")
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
