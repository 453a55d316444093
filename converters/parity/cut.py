"""Cuts a `.tflite` after one of its operators. No TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from converters.tflite import edit
from converters.tflite.reader import read
from zoo.errors import ZooError


@dataclass(frozen=True)
class Cut:
    """A file whose outputs are those of one operator.

    Attributes:
        content: The `.tflite`.
        inputs: Which of the whole graph's inputs it still has, as indices in their order.
    """

    content: bytes
    inputs: tuple[int, ...]


class Graph:
    """The main graph of a file, whose operators can be cut after.

    Args:
        content: Content of the file.
        where: File name shown in error messages.

    Attributes:
        before: For each operator the operators that compute its inputs, as indices.

    Raises:
        ZooError: if the graph has control flow or several subgraphs, or the file is damaged.
    """

    def __init__(self, content: bytes, where: object):
        model = read(content, where)
        if len(model.graphs) != 1:
            raise ZooError(
                "can't cut a file with several subgraphs",
                where=where,
                got=f"{len(model.graphs)} subgraphs",
            )
        self._content, self._where = content, where
        self._graph = model.main
        producer = {
            index: operator.index
            for operator in self._graph.operators
            for index in operator.outputs
            if index >= 0
        }
        self.before = [
            tuple(sorted({producer[i] for i in operator.inputs if i in producer}))
            for operator in self._graph.operators
        ]
        self._last = [producer[i] for i in self._graph.outputs if i in producer]

    def needed(self, ends: Sequence[int]) -> list[int]:
        """Returns the operators that these ones depend on, and these, in execution order."""
        found: set[int] = set()
        pending = list(ends)
        while pending:
            index = pending.pop()
            if index not in found:
                found.add(index)
                pending.extend(self.before[index])
        return sorted(found)

    def computing(self) -> list[int]:
        """Returns the operators that depend on an input and that an output depends on."""
        live: set[int] = set()
        for operator in self._graph.operators:
            if set(self._graph.inputs) & set(operator.inputs) or live & set(
                self.before[operator.index]
            ):
                live.add(operator.index)
        return [index for index in self.needed(self._last) if index in live]

    def after(self, index: int) -> Cut:
        """Returns the file that ends with an operator.

        Raises:
            ZooError: if the file is damaged where the reader does not look.
        """
        model = edit.unpacked(self._content, self._where)
        graph = model.subgraphs[0]
        kept = self.needed([index])
        graph.operators = [graph.operators[i] for i in kept]
        used = {i for each in kept for i in self._graph.operators[each].inputs}
        inputs = [place for place, i in enumerate(self._graph.inputs) if i in used]
        graph.inputs = [graph.inputs[place] for place in inputs]
        graph.outputs = list(graph.operators[-1].outputs)
        model.signatureDefs, model.metadata = None, None
        return Cut(edit.packed(model), tuple(inputs))
