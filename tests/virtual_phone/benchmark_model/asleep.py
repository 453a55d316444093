"""A replacement for LiteRT that computes nothing, for tools whose inferences only sleep."""

from __future__ import annotations

from enum import Enum
from typing import Any


class OpResolverType(Enum):
    AUTO = 0
    BUILTIN_WITHOUT_DEFAULT_DELEGATES = 1


class Interpreter:
    """A graph of three nodes, which XNNPACK takes unless it is turned off."""

    def __init__(self, model_content: bytes, **options: Any):
        if model_content[4:8] != b"TFL3":
            raise ValueError("not a model")
        self._delegated = options["experimental_op_resolver_type"] is OpResolverType.AUTO

    def allocate_tensors(self) -> None:
        pass

    def invoke(self) -> None:
        pass

    def get_input_details(self) -> list[dict[str, Any]]:
        return []

    def get_output_details(self) -> list[dict[str, Any]]:
        return []

    def _get_ops_details(self) -> list[dict[str, Any]]:
        nodes = [{"op_name": "CONV_2D", "inputs": (n,), "outputs": (n + 1,)} for n in range(3)]
        whole = {"op_name": "DELEGATE", "inputs": (0,), "outputs": (3,)}
        return [*nodes, whole] if self._delegated else nodes
