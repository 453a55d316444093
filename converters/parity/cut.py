"""Cuts a `.tflite` after one of its operators. No TensorFlow."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils

from zoo.errors import ZooError

_DAMAGE = (
    ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError, struct.error,
)  # fmt: skip


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
        content: Content of the file, which the bounded reader must have accepted.
        where: File name shown in error messages.

    Attributes:
        before: For each operator the operators that compute its inputs, as indices.

    Raises:
        ZooError: if the graph has control flow or several subgraphs, or the file is damaged.
    """

    def __init__(self, content: bytes, where: object):
        self._content, self._where = content, where
        try:
            model = self._model()
            if len(model.subgraphs) != 1:
                raise ZooError(
                    "can't cut a file with several subgraphs",
                    where=where,
                    got=f"{len(model.subgraphs)} subgraphs",
                )
            graph = model.subgraphs[0]
            producer = {
                int(tensor): index
                for index, operator in enumerate(graph.operators)
                for tensor in operator.outputs
            }
            self.before = [
                tuple(sorted({producer[i] for i in map(int, op.inputs) if i in producer}))
                for op in graph.operators
            ]
            self._last = [producer[int(i)] for i in graph.outputs if int(i) in producer]
        except _DAMAGE as error:
            raise ZooError("damaged .tflite file", where=where, got=error) from error

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
        inputs = {int(i) for i in self._model().subgraphs[0].inputs}
        live: set[int] = set()
        for index, operator in enumerate(self._model().subgraphs[0].operators):
            if inputs & set(map(int, operator.inputs)) or live & set(self.before[index]):
                live.add(index)
        return [index for index in self.needed(self._last) if index in live]

    def after(self, index: int) -> Cut:
        """Returns the file that ends with an operator."""
        model = self._model()
        graph = model.subgraphs[0]
        kept = self.needed([index])
        graph.operators = [graph.operators[i] for i in kept]
        used = {int(i) for operator in graph.operators for i in operator.inputs}
        inputs = [place for place, i in enumerate(graph.inputs) if int(i) in used]
        graph.inputs = [graph.inputs[place] for place in inputs]
        graph.outputs = list(graph.operators[-1].outputs)
        model.signatureDefs, model.metadata = None, None
        return Cut(bytes(flatbuffer_utils.convert_object_to_bytearray(model)), tuple(inputs))

    def _model(self) -> Any:
        return schema.ModelT.InitFromObj(schema.Model.GetRootAs(bytearray(self._content), 0))
