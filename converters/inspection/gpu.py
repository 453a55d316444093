"""What the two GPU engines of phones take of a file, according to their rules.

TFLite's classic delegate and LiteRT's ML Drift have different rules. The Analyzer of TensorFlow
2.21 reports every file as compatible and cannot be relied on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from converters.inspection import gpu_classic, gpu_ml_drift, partition
from converters.inspection.cautions import Caution
from converters.inspection.gpu_node import Facts, Node, Rule
from converters.tflite.model import Model


@dataclass(frozen=True)
class Refusal:
    """Operators of one type that the engine leaves to the CPU for the same reason."""

    operator: str
    reason: str
    count: int


@dataclass(frozen=True)
class Gpu:
    """Result of checking a file against the rules of a GPU engine.

    Attributes:
        engine: Name of the engine.
        operators: Number of operators in the main graph.
        taken: Number of operators that the engine supports.
        partitions: Number of sets that the supported operators form, with others between them.
        on_gpu: Number of operators that run on the GPU: all, or those of the largest partition,
            without those that only unpack weights. By default both engines run a single partition
            (`max_delegated_partitions` is 1).
        refusals: Unsupported operators by reason, most frequent first.
        failure: Why the engine fails as a whole, so that nothing runs on the GPU; else None.
        warnings: Conditions under which the engine's results may be wrong or unchecked.
    """

    engine: str
    operators: int
    taken: int
    partitions: int
    on_gpu: int
    refusals: tuple[Refusal, ...]
    failure: str | None
    warnings: tuple[str, ...]

    @property
    def compatible(self) -> bool:
        """Whether all operators run on the GPU."""
        return not self.refusals and self.failure is None


def ml_drift(model: Model, cautions: Sequence[Caution]) -> Gpu:
    """Checks every operator of the main graph against the rules of LiteRT's ML Drift.

    Args:
        model: The file.
        cautions: Its cautions, of which those about this engine become warnings.
    """
    return _check(model, gpu_ml_drift.NAME, gpu_ml_drift.refusal, cautions)


def classic(model: Model, cautions: Sequence[Caution]) -> Gpu:
    """Checks every operator of the main graph against the rules of TFLite's classic delegate.

    Arguments as in `ml_drift`.
    """
    return _check(model, gpu_classic.NAME, gpu_classic.refusal, cautions, gpu_classic.failure)


def _check(
    model: Model,
    engine: str,
    refusal: Rule,
    cautions: Sequence[Caution],
    failure: Rule | None = None,
) -> Gpu:
    facts = Facts(model, model.main, sparse=engine == gpu_classic.NAME)
    nodes = [Node(facts, operator) for operator in model.main.operators]
    reasons = {node.operator.index: reason for node in nodes if (reason := refusal(node))}
    refused = Counter((nodes[index].name, reason) for index, reason in reasons.items())
    taken = [node.operator.index for node in nodes if node.operator.index not in reasons]
    unpacking = {node.operator.index for node in nodes if _unpacks(node)}
    sides = partition.delegated(model.main, taken, unpacking)
    largest = sides[0] if sides else []
    failed = _failure([nodes[index] for index in largest], failure)
    on_gpu = len(largest) if refused else len(nodes)
    warnings = [caution.text for caution in cautions if engine in caution.engines]
    if len(model.graphs) > 1:
        warnings.append("only the main graph was checked")
    return Gpu(
        engine=engine,
        operators=len(nodes),
        taken=len(taken),
        partitions=len(sides),
        on_gpu=0 if failed else on_gpu,
        refusals=tuple(Refusal(*key, count) for key, count in refused.most_common()),
        failure=failed,
        warnings=tuple(warnings),
    )


def _unpacks(node: Node) -> bool:
    return bool(node.operator.outputs) and set(node.operator.outputs) <= node.facts.folded


def _failure(nodes: Sequence[Node], failure: Rule | None) -> str | None:
    for node in nodes:
        if failure is not None and (reason := failure(node)) is not None:
            return f"{node.name}: {reason}"
    return None
