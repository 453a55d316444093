"""An operator as a GPU engine sees it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from converters.inspection.arena import unpacked_constants
from converters.tflite.model import Graph, Model, Operator, Tensor

_MAX_VALUES = 64


class Facts:
    """What the rules need to know of a graph besides the operator at hand.

    Args:
        model: The file.
        graph: One of its graphs.
        sparse: Whether the engine unpacks weights that are stored in sparse form.

    Attributes:
        folded: Tensors that are unpacked at startup from constants, which engines regard as such.
        users: Tensor → the operators that read it, one entry per use.
        producers: Tensor → the operator that computes it.
    """

    def __init__(self, model: Model, graph: Graph, sparse: bool = True):
        self.model, self.graph = model, graph
        self.folded = unpacked_constants(graph)
        if not sparse:
            self.folded -= {
                index for op in graph.operators if op.name == "DENSIFY" for index in op.outputs
            }
        self.users: dict[int, list[Operator]] = {}
        for operator in graph.operators:
            for index in operator.inputs:
                self.users.setdefault(index, []).append(operator)
        self.producers = {index: op for op in graph.operators for index in op.outputs}


@dataclass(frozen=True)
class Node:
    """An operator with the facts of its graph."""

    facts: Facts
    operator: Operator

    @property
    def name(self) -> str:
        """Name of the operator, for example `CONV_2D`."""
        return self.operator.name

    @cached_property
    def inputs(self) -> list[Tensor]:
        """Inputs, skipping omitted optional ones."""
        return self.facts.graph.input_tensors(self.operator)

    @cached_property
    def outputs(self) -> list[Tensor]:
        """Output tensors."""
        return self.facts.graph.output_tensors(self.operator)

    def input(self, place: int) -> Tensor | None:
        """Returns the input at a position, or None if absent."""
        return self.facts.graph.input(self.operator, place)

    def is_constant(self, tensor: Tensor) -> bool:
        """Returns whether the tensor's value is known before the first inference."""
        return tensor.constant or tensor.index in self.facts.folded

    @property
    def computed_inputs(self) -> int:
        """Number of inputs computed at run time."""
        return sum(not self.is_constant(tensor) for tensor in self.inputs)

    def option(self, name: str) -> int | float:
        """Returns an option of the operator; 0 if it is not known."""
        return self.operator.options.get(name, 0)

    def shape(self, place: int) -> tuple[int, ...]:
        """Returns the shape of an input; empty if it is absent."""
        tensor = self.input(place)
        return () if tensor is None else tensor.shape

    def type(self, place: int) -> str:
        """Returns the type of an input; empty if it is absent."""
        tensor = self.input(place)
        return "" if tensor is None else tensor.type

    def numbers(self, place: int) -> tuple[int, ...]:
        """Returns the values of a constant int32 input, such as strides; empty for others."""
        tensor = self.input(place)
        if tensor is None or tensor.data is None or tensor.type != "INT32":
            return ()
        if tensor.elements > _MAX_VALUES:
            return ()
        return tuple(int(n) for n in np.frombuffer(self.facts.model.raw(tensor.data), "<i4"))


# Returns why an engine refuses an operator; None if it takes it.
Rule = Callable[[Node], str | None]


def joined(*rules: Rule) -> Rule:
    """Returns a rule that gives the first of several reasons."""

    def rule(node: Node) -> str | None:
        return next((reason for each in rules if (reason := each(node)) is not None), None)

    return rule


def named(names: str, rule: Rule) -> dict[str, Rule]:
    """Returns a table with the same rule for several operators, separated by spaces."""
    return dict.fromkeys(names.split(), rule)
