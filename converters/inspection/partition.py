"""Partitions of a graph between a delegate and the CPU, as TFLite makes them.

TFLite goes through the operators in their order again and again. Each round collects those of one
side, the delegate's or the CPU's, whose inputs are computed; when no further one is ready, the set
is complete and the next round begins with the first operator that is left (public source:
tflite/graph_info.cc). So an operator of the delegate may run before an earlier one of the CPU that
it does not depend on. Operators with effects besides their outputs keep their order.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from converters.tflite.model import Graph, Operator

_EFFECTS = ("CALL_ONCE", "IF", "WHILE", "STABLEHLO_WHILE", "STABLEHLO_CASE")
_STATES = ("RESOURCE", "VARIANT")
_MAX_OPERATORS = 2_000  # a round goes through all operators, and the rounds may be as many


def delegated(
    graph: Graph, supported: Collection[int], left_out: Collection[int] = ()
) -> list[list[int]]:
    """Returns the delegate's sets of operators, the largest first.

    Args:
        graph: The graph. Of more than 2,000 operators only those in a row form a set.
        supported: Indices of the operators that the delegate supports.
        left_out: Operators that run before all others, such as those that unpack weights.
    """
    chosen, skipped = set(supported), set(left_out)
    operators = [op for op in graph.operators if op.index not in skipped]
    many = len(operators) > _MAX_OPERATORS
    after = _order(graph, operators)
    sides = _in_rows(operators, chosen) if many else _partition(operators, chosen, after)
    return sorted((side for side in sides if side[0] in chosen), key=lambda side: -len(side))


def _order(graph: Graph, operators: Sequence[Operator]) -> dict[int, int]:
    """Returns operator with effects → the one before it."""

    def has_effects(op: Operator) -> bool:
        tensors = [graph.tensors[index] for index in (*op.inputs, *op.outputs) if index >= 0]
        return op.name in _EFFECTS or any(tensor.type in _STATES for tensor in tensors)

    effects = [op.index for op in operators if has_effects(op)] if graph.tensors else []
    return dict(zip(effects[1:], effects, strict=False))


def _partition(
    operators: Sequence[Operator], chosen: set[int], after: dict[int, int]
) -> list[list[int]]:
    waiting = {index for op in operators for index in op.outputs if index >= 0}
    left, done = list(operators), {-1}
    sides: list[list[int]] = []
    while left:
        side: list[int] = []
        before = -1
        while len(side) != before:
            before, later = len(side), []
            for op in left:
                fits = not side or (op.index in chosen) == (side[0] in chosen)
                ready = waiting.isdisjoint(op.inputs) and after.get(op.index, -1) in done
                if fits and ready:
                    side.append(op.index)
                    done.add(op.index)
                    waiting.difference_update(op.outputs)
                else:
                    later.append(op)
            left = later
        if not side:  # damaged: operators that wait for each other
            break
        sides.append(side)
    return sides


def _in_rows(operators: Sequence[Operator], chosen: set[int]) -> list[list[int]]:
    sides: list[list[int]] = []
    for op in operators:
        if sides and (sides[-1][-1] in chosen) == (op.index in chosen):
            sides[-1].append(op.index)
        else:
            sides.append([op.index])
    return sides
