"""Running a `.tflite` on this computer: LiteRT or tflite_runtime, with or without XNNPACK."""

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

# Name on the command line → the package whose interpreter it is.
RUNTIMES = {"litert": "ai-edge-litert", "tflite_runtime": "tflite-runtime"}
DELEGATES = ("xnnpack", "none")


def version(runtime: str) -> str:
    """The installed version of a runtime.

    Raises:
        UnknownNameError: no such runtime.
        ZooError: it is not installed.
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
    """A loaded `.tflite` with one input and one output, and batch size 1."""

    interpreter: Any
    input: dict[str, Any]
    output: dict[str, Any]

    def run(self, image: np.ndarray) -> np.ndarray:
        """float32 input of the model's shape without batch → float32 output without batch.

        Quantizes and dequantizes at the border, as an application does.
        """
        self.set_input(self.quantized(image))
        self.interpreter.invoke()
        return self.dequantized(self.interpreter.get_tensor(self.output["index"])[0])

    def set_input(self, value: np.ndarray) -> None:
        """Sets the input tensor from an array of its own dtype, without the batch axis."""
        self.interpreter.set_tensor(self.input["index"], value[np.newaxis])

    def quantized(self, image: np.ndarray) -> np.ndarray:
        """float32 → the input's dtype."""
        dtype = self.input["dtype"]
        if not np.issubdtype(dtype, np.integer):
            return image.astype(dtype)
        scale, zero_point = self.input["quantization"]
        if not scale:  # pixels, which the graph normalizes itself
            return image.astype(dtype)
        limits = np.iinfo(dtype)
        return np.clip(np.rint(image / scale) + zero_point, limits.min, limits.max).astype(dtype)

    def dequantized(self, value: np.ndarray) -> np.ndarray:
        """The output's dtype → float32."""
        if not np.issubdtype(value.dtype, np.integer):
            return value.astype(np.float32)
        scale, zero_point = self.output["quantization"]
        return (value.astype(np.float32) - zero_point) * np.float32(scale)

    def placement(self) -> Placement:
        """How many of the graph's own nodes the delegate really took."""
        return placement(self.interpreter._get_ops_details())

    def inputs(self) -> tuple[TensorInfo, ...]:
        """Descriptions for the manifest."""
        return tuple(_info(d) for d in self.interpreter.get_input_details())

    def outputs(self) -> tuple[TensorInfo, ...]:
        """Descriptions for the manifest."""
        return tuple(_info(d) for d in self.interpreter.get_output_details())


def load(content: bytes, runtime: str, delegate: str, threads: int, where: object) -> Net:
    """Loads the `.tflite` of a network for one image.

    Args and errors as `interpreter`.

    Raises:
        ZooError: it has several inputs or outputs, or another batch size than 1.
    """
    loaded = interpreter(content, runtime, delegate, threads, where)
    inputs, outputs = loaded.get_input_details(), loaded.get_output_details()
    if len(inputs) != 1 or len(outputs) != 1 or list(inputs[0]["shape"][:1]) != [1]:
        raise ZooError(
            "not a model of one image",
            where=where,
            expected="one input of batch size 1 and one output",
            got=f"{len(inputs)} inputs, {len(outputs)} outputs, "
            f"first input {inputs[0]['shape'].tolist() if inputs else 'none'}",
        )
    return Net(loaded, inputs[0], outputs[0])


def interpreter(content: bytes, runtime: str, delegate: str, threads: int, where: object) -> Any:
    """Loads any `.tflite` and allocates its tensors.

    Args:
        content: the file's bytes, from a source whose hash was checked.
        runtime: a key of `RUNTIMES`.
        delegate: one of `DELEGATES`; `none` runs the plain kernels.
        threads: CPU threads, at least 1.
        where: the file's name, for messages.

    Raises:
        ZooError: an unknown runtime or delegate, or a file that this runtime refuses.
    """
    version(runtime)
    if delegate not in DELEGATES:
        raise UnknownNameError("delegate", delegate, DELEGATES)
    # Their C++ symbols collide: whichever comes second fails with nonsense errors, or worse.
    other = "tflite_runtime" if runtime == "litert" else "ai_edge_litert"
    if f"{other}.interpreter" in sys.modules:
        raise ZooError(
            "two TFLite runtimes in one process",
            expected=f"a process without {other}",
            remedy="run each in a process of its own, as android_bench.host does",
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
            f"{runtime} refuses this .tflite",
            where=where,
            got=error,
            remedy="convert the model again, or try another --runtime",
        ) from error
    return loaded


def placement(operators: list[dict[str, Any]]) -> Placement:
    """Counts delegated nodes from an interpreter's list of operators.

    After delegation the list holds the graph's own nodes and one DELEGATE node for each partition.
    The nodes that a partition replaced are those met when walking back from its outputs to its
    inputs.
    """
    own = [op for op in operators if op["op_name"] != "DELEGATE"]
    partitions = [op for op in operators if op["op_name"] == "DELEGATE"]
    producer = {int(tensor): op["index"] for op in own for tensor in op["outputs"]}
    inputs_of = {op["index"]: [int(t) for t in op["inputs"]] for op in own}
    taken: set[int] = set()
    for partition in partitions:
        border = {int(t) for t in partition["inputs"]}
        pending = [int(t) for t in partition["outputs"]]
        while pending:
            tensor = pending.pop()
            node = producer.get(tensor)
            if tensor in border or node is None or node in taken:
                continue
            taken.add(node)
            pending.extend(inputs_of[node])
    level = "none" if not taken else "full" if len(taken) == len(own) else "partial"
    left = Counter(str(op["op_name"]) for op in own if op["index"] not in taken)
    return Placement(
        level=level,
        nodes=len(own),
        delegated=len(taken),
        partitions=len(partitions),
        left=dict(left.most_common()),
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
