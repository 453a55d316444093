"""Runs a `.tflite` on this computer with LiteRT or tflite_runtime, with or without XNNPACK."""

from __future__ import annotations

import importlib.metadata
import sys
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from zoo.errors import UnknownNameError, ZooError
from zoo.schema.artifact import TensorInfo
from zoo.schema.measurement import Placement

# Package of each runtime by its name on the command line.
RUNTIMES = {"litert": "ai-edge-litert", "tflite_runtime": "tflite-runtime"}
DELEGATES = ("xnnpack", "none")


def version(runtime: str) -> str:
    """Returns the installed version of a runtime.

    Args:
        runtime: A key of `RUNTIMES`.

    Raises:
        UnknownNameError: if the runtime is unknown.
        ZooError: if it is not installed.
    """
    if runtime not in RUNTIMES:
        raise UnknownNameError("runtime", runtime, RUNTIMES)
    try:
        return importlib.metadata.version(RUNTIMES[runtime])
    except importlib.metadata.PackageNotFoundError as error:
        extra = " (Python 3.11 only)" if runtime == "tflite_runtime" else ""
        raise ZooError(
            f"the runtime {runtime} is not installed",
            remedy=f"pip install {RUNTIMES[runtime]}{extra}, or use --runtime=litert",
        ) from error


@dataclass(frozen=True)
class Net:
    """A loaded `.tflite` with one input, one output and batch size 1.

    Attributes:
        interpreter: The interpreter, with its tensors allocated.
        input: Details of the input tensor, from `get_input_details`.
        output: Details of the output tensor, from `get_output_details`.
    """

    interpreter: Any
    input: dict[str, Any]
    output: dict[str, Any]

    def run(self, image: np.ndarray) -> np.ndarray:
        """Runs one inference.

        Quantizes the input and dequantizes the output, as an application does.

        Args:
            image: Normalized image, float32 (height, width, channels).

        Returns:
            The output without the batch axis, float32.
        """
        self.set_input(self.quantized(image))
        self.interpreter.invoke()
        return self.dequantized(self.interpreter.get_tensor(self.output["index"])[0])

    def set_input(self, value: np.ndarray) -> None:
        """Sets the input tensor from an array of its dtype, without the batch axis."""
        self.interpreter.set_tensor(self.input["index"], value[np.newaxis])

    def quantized(self, image: np.ndarray) -> np.ndarray:
        """Converts a float32 image to the dtype of the input tensor."""
        dtype = self.input["dtype"]
        if not np.issubdtype(dtype, np.integer):
            return image.astype(dtype)
        scale, zero_point = self.input["quantization"]
        if not scale:  # an input of raw pixels, which the graph normalizes
            return image.astype(dtype)
        limits = np.iinfo(dtype)
        return np.clip(np.rint(image / scale) + zero_point, limits.min, limits.max).astype(dtype)

    def dequantized(self, value: np.ndarray) -> np.ndarray:
        """Converts a value of the output tensor to float32."""
        if not np.issubdtype(value.dtype, np.integer):
            return value.astype(np.float32)
        scale, zero_point = self.output["quantization"]
        return (value.astype(np.float32) - zero_point) * np.float32(scale)

    def placement(self) -> Placement:
        """Returns how many nodes of the graph run on the delegate."""
        return placement(self.interpreter._get_ops_details())

    def inputs(self) -> tuple[TensorInfo, ...]:
        """Describes the inputs for the manifest."""
        return tuple(_info(d) for d in self.interpreter.get_input_details())

    def outputs(self) -> tuple[TensorInfo, ...]:
        """Describes the outputs for the manifest."""
        return tuple(_info(d) for d in self.interpreter.get_output_details())


def load(content: bytes, runtime: str, delegate: str, threads: int, where: object) -> Net:
    """Loads a `.tflite` with one input, one output and batch size 1.

    Arguments as in `interpreter`.

    Raises:
        ZooError: if `interpreter` fails, or the model has several inputs or outputs or another
            batch size.
    """
    loaded = interpreter(content, runtime, delegate, threads, where)
    inputs, outputs = loaded.get_input_details(), loaded.get_output_details()
    if len(inputs) != 1 or len(outputs) != 1 or list(inputs[0]["shape"][:1]) != [1]:
        raise ZooError(
            "unsupported inputs or outputs",
            where=where,
            expected="one input with batch size 1 and one output",
            got=f"{len(inputs)} inputs, {len(outputs)} outputs, "
            f"first input {inputs[0]['shape'].tolist() if inputs else 'none'}",
        )
    return Net(loaded, inputs[0], outputs[0])


def interpreter(content: bytes, runtime: str, delegate: str, threads: int, where: object) -> Any:
    """Loads any `.tflite` and allocates its tensors.

    Args:
        content: Content of the file, whose hash must have been checked.
        runtime: A key of `RUNTIMES`.
        delegate: One of `DELEGATES`; `none` runs the built-in kernels.
        threads: Number of CPU threads, at least 1.
        where: Name of the file, shown in error messages.

    Raises:
        ZooError: if the runtime or delegate is unknown, the other runtime is already loaded, or the
            runtime cannot load the file.
    """
    version(runtime)
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


def _info(details: dict[str, Any]) -> TensorInfo:
    scale, zero_point = details["quantization"]
    integer = np.issubdtype(details["dtype"], np.integer) and scale != 0
    return TensorInfo(
        name=details["name"],
        shape=tuple(int(n) for n in details["shape"]),
        dtype=np.dtype(details["dtype"]).name,
        scale=float(scale) if integer else None,
        zero_point=int(zero_point) if integer else None,
    )
