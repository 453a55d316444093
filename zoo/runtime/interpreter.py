"""Runs a `.tflite` with the interpreter of LiteRT or tflite_runtime, with or without XNNPACK."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from zoo.errors import UnknownNameError, ZooError
from zoo.runtime.net import Net
from zoo.schema.measurement import Placement

DELEGATES = ("xnnpack", "none")


class InterpreterNet(Net):
    """A network in an interpreter, whose tensors are allocated."""

    def __init__(self, interpreter: Any):
        super().__init__(interpreter.get_input_details(), interpreter.get_output_details())
        self.interpreter = interpreter

    def set_inputs(self, values: Sequence[np.ndarray]) -> None:
        """Sets the input tensors from arrays of their shapes and dtypes."""
        for details, value in zip(self.input_details, values, strict=True):
            self.interpreter.set_tensor(details["index"], value)

    def invoke(self) -> None:
        """Runs one inference on the inputs that were set."""
        self.interpreter.invoke()

    def get_outputs(self) -> list[np.ndarray]:
        """Returns the output tensors in their dtypes."""
        return [self.interpreter.get_tensor(each["index"]) for each in self.output_details]

    def placement(self) -> Placement:
        """Returns how many nodes of the graph run on the delegate."""
        return placement(self.interpreter._get_ops_details())


def load(content: bytes, runtime: str, delegate: str, threads: int, where: object) -> Net:
    """Loads any `.tflite`; arguments and errors as in `interpreter`."""
    return InterpreterNet(interpreter(content, runtime, delegate, threads, where))


def interpreter(content: bytes, runtime: str, delegate: str, threads: int, where: object) -> Any:
    """Loads any `.tflite` and allocates its tensors.

    Args:
        content: Content of the file, whose hash must have been checked.
        runtime: `litert` or `tflite_runtime`.
        delegate: One of `DELEGATES`; `none` runs the built-in kernels.
        threads: Number of CPU threads, at least 1.
        where: Name of the file, shown in error messages.

    Raises:
        ZooError: if the runtime or delegate is unknown, the other runtime is already loaded, or the
            runtime cannot load the file.
    """
    if delegate not in DELEGATES:
        raise UnknownNameError("delegate", delegate, DELEGATES)
    # The C++ symbols of the two runtimes collide: the second one fails with misleading errors or
    # crashes.
    other = "tflite_runtime" if runtime == "litert" else "ai_edge_litert"
    if f"{other}.interpreter" in sys.modules:
        raise ZooError(
            "cannot use two TFLite runtimes in one process",
            expected=f"a process without {other}",
            remedy="run each runtime in its own process, as android_bench.host does",
        )
    if runtime == "litert":
        from ai_edge_litert import interpreter as module
    else:
        from tflite_runtime import interpreter as module
    resolver = module.OpResolverType
    kind = resolver.AUTO if delegate == "xnnpack" else resolver.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    try:
        loaded = module.Interpreter(
            model_content=content, num_threads=threads, experimental_op_resolver_type=kind
        )
        loaded.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise ZooError(
            f"{runtime} cannot load this .tflite",
            where=where,
            got=error,
            remedy="convert the model again, or try another --runtime",
        ) from error
    return loaded


def details(content: bytes, where: object) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Returns inputs and outputs as LiteRT describes them, without allocating any tensor.

    Args:
        content: Content of any `.tflite`.
        where: Name of the file, shown in error messages.

    Raises:
        ZooError: if LiteRT cannot load the file.
    """
    plain = _unallocated(content, where)
    return plain.get_input_details(), plain.get_output_details()


def operators(content: bytes, where: object) -> int:
    """Returns the number of operators of the graph; arguments and errors as in `details`."""
    return len(_unallocated(content, where)._get_ops_details())


def computes_in_integers(content: bytes, where: object) -> bool:
    """Returns whether any operator has a quantized output; arguments and errors as in `details`."""
    plain = _unallocated(content, where)
    tensors = {each["index"]: each for each in plain.get_tensor_details()}
    computed = (int(index) for op in plain._get_ops_details() for index in op["outputs"])
    return any(
        np.issubdtype(tensors[index]["dtype"], np.integer) and tensors[index]["quantization"][0]
        for index in computed
        if index in tensors
    )


def _unallocated(content: bytes, where: object) -> Any:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    try:
        return Interpreter(
            model_content=content,
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        )
    except (RuntimeError, ValueError) as error:
        raise ZooError("litert cannot load this .tflite", where=where, got=error) from error


def placement(operators: list[dict[str, Any]]) -> Placement:
    """Counts the delegated nodes in an interpreter's list of operators.

    After delegation the list has the original nodes of the graph and one DELEGATE node per
    partition. A partition replaces the nodes on the paths from its outputs back to its inputs.

    Args:
        operators: Result of the interpreter's `_get_ops_details`.
    """
    nodes = [op for op in operators if op["op_name"] != "DELEGATE"]
    partitions = [op for op in operators if op["op_name"] == "DELEGATE"]
    producer = {int(tensor): op["index"] for op in nodes for tensor in op["outputs"]}
    inputs_of = {op["index"]: [int(t) for t in op["inputs"]] for op in nodes}
    delegated: set[int] = set()
    for partition in partitions:
        boundary = {int(t) for t in partition["inputs"]}
        pending = [int(t) for t in partition["outputs"]]
        while pending:
            tensor = pending.pop()
            node = producer.get(tensor)
            if tensor in boundary or node is None or node in delegated:
                continue
            delegated.add(node)
            pending.extend(inputs_of[node])
    level = "none" if not delegated else "full" if len(delegated) == len(nodes) else "partial"
    remaining = Counter(str(op["op_name"]) for op in nodes if op["index"] not in delegated)
    return Placement(
        level=level,
        nodes=len(nodes),
        delegated=len(delegated),
        partitions=len(partitions),
        left=dict(remaining.most_common()),
    )
