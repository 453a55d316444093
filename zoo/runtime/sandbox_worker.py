"""The child process of `zoo.runtime.sandbox`, which runs `.tflite` files.

`python -m zoo.runtime.sandbox_worker RUNTIME` implements the protocol of `zoo.runtime.child`.
Arrays are passed in files named by the request.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from zoo import runtime
from zoo.errors import ZooError
from zoo.io.files import MAX_MODEL_BYTES, read_bytes
from zoo.runtime.child import serve
from zoo.runtime.interpreter import InterpreterNet
from zoo.schema.base import Strict
from zoo.schema.measurement import Placement

_WARM_UP_SHARE = 0.25


class Request(Strict):
    """A call of a method of `zoo.runtime.sandbox.Sandbox`.

    Attributes:
        call: Name of the method.
        path: The `.tflite`.
        delegate: One of the runtime's delegates.
        threads: Number of CPU threads.
        seconds: Duration of the measurement, for `latency_us`.
        constants: Whether to include constant tensors, for `tensors` and `all_tensors`.
        images: `.npy` file of the input images, if the call has any; for `all_tensors` an `.npz`
            file with an array per input, `0`, `1`, …, and for `run_tensors` the same with a first
            axis for the inferences.
        result: `.npy` or `.npz` file for the result, if the call has one.
    """

    call: Literal[
        "check", "placement", "outputs", "run_tensors", "tensors", "all_tensors", "latency_us"
    ]
    path: str = ""
    delegate: str = "none"
    threads: int = Field(default=1, ge=1, le=256)
    seconds: float = Field(default=0.0, ge=0, le=3600)
    constants: bool = True
    images: str | None = None
    result: str | None = None


class Answer(Strict):
    """The result of a call.

    Attributes:
        placement: Result of `placement`.
        names: Names of the arrays `0`, `1`, … in the `.npz` file, unless there is one array only.
    """

    placement: Placement | None = None
    names: tuple[str, ...] = ()


def answer(request: Request, kind: str) -> Answer:
    """Loads the file and executes the request.

    Args:
        request: The request.
        kind: Name of the runtime.

    Raises:
        ZooError: if the file is unreadable, or the runtime cannot run it or does not accept the
            images.
    """
    if request.call == "check":
        runtime.check(kind)
        return Answer()
    path = Path(request.path)
    content = read_bytes(path, "the model", MAX_MODEL_BYTES, "give an existing .tflite")
    try:
        if request.call == "placement":  # supports any number of inputs and outputs
            return Answer(placement=runtime.placement(content, kind, request.delegate, path.name))
        net = _loaded(content, kind, request.delegate, request.threads, path.name)
        if request.call in ("run_tensors", "all_tensors"):
            with np.load(request.images or "", allow_pickle=False) as given:
                inputs = [given[str(index)] for index in range(len(given.files))]
            if request.call == "run_tensors":
                return _saved_all(request, _run_tensors(net, inputs, path.name))
            return _saved_all(request, _tensors(net, content, inputs, request.constants))
        net.check_image(path.name)
        if request.call == "latency_us":
            net.check_timed(path.name)
            return _saved(request, np.array(_times_us(net, request.seconds)))
        images = np.load(request.images or "", allow_pickle=False)
        _check(net, images, path.name)
        if request.call == "outputs":
            return _saved(request, np.stack([net.run(image) for image in images]))
        inputs = [net.quantized(images[0])[np.newaxis]]
        return _saved_all(request, _tensors(net, content, inputs, request.constants))
    # The runtimes raise ValueError or RuntimeError. An invalid graph may have inputs or outputs
    # without a shape, which leads to an IndexError here.
    except (ValueError, RuntimeError, IndexError) as error:
        raise ZooError(f"{kind} cannot run this .tflite", where=path.name, got=error) from error


# The network of the last request, which accelerators take seconds to compile. An interpreter loads
# it anew, because a network may have a state.
_last: dict[tuple[bytes, str, str, int], runtime.Net] = {}


def _loaded(content: bytes, kind: str, delegate: str, threads: int, where: str) -> runtime.Net:
    if kind in runtime.INTERPRETERS:
        return runtime.load_any(content, kind, delegate, threads, where)
    key = sha256(content).digest(), kind, delegate, threads
    if key not in _last:
        _last.clear()
        _last[key] = runtime.load_any(content, kind, delegate, threads, where)
    return _last[key]


def _saved(request: Request, values: np.ndarray) -> Answer:
    np.save(request.result or "", values, allow_pickle=False)
    return Answer()


def _saved_all(request: Request, tensors: dict[str, np.ndarray]) -> Answer:
    np.savez(request.result or "", **{str(i): value for i, value in enumerate(tensors.values())})
    return Answer(names=tuple(tensors))


def _run_tensors(
    net: runtime.Net, inputs: Sequence[np.ndarray], where: str
) -> dict[str, np.ndarray]:
    """Returns the outputs of n inferences, by name."""
    expected = [(tuple(each["shape"]), np.dtype(each["dtype"])) for each in net.input_details]
    got = [(values.shape[1:], values.dtype) for values in inputs]
    if got != expected:
        raise ZooError(
            "the values do not fit the model's inputs", where=where, expected=expected, got=got
        )
    runs = [net.run_tensors(values) for values in zip(*inputs, strict=True)]
    names = unique([str(each["name"]) for each in net.output_details])
    return {name: np.stack([run[i] for run in runs]) for i, name in enumerate(names)}


def _check(net: runtime.Net, images: np.ndarray, where: str) -> None:
    shape = tuple(int(n) for n in net.input["shape"][1:])
    if images.shape[1:] != shape or len(images) == 0:
        raise ZooError(
            "the images do not fit the model's input",
            where=where,
            expected=f"at least one of shape {shape}",
            got=f"{len(images)} of shape {images.shape[1:]}",
        )


def _times_us(net: runtime.Net, seconds: float) -> list[float]:
    """Returns the times of `invoke` alone in microseconds, on random input with a fixed seed."""
    random = np.random.default_rng(1)
    shape = tuple(int(n) for n in net.input["shape"][1:])
    net.set_input(net.quantized(random.standard_normal(shape).astype(np.float32)))
    end = time.perf_counter() + _WARM_UP_SHARE * seconds
    net.invoke()
    while time.perf_counter() < end:
        net.invoke()
    times_us: list[float] = []
    end = time.perf_counter() + seconds
    while not times_us or time.perf_counter() < end:
        start = time.perf_counter_ns()
        net.invoke()
        times_us.append((time.perf_counter_ns() - start) / 1e3)
    return times_us


def _tensors(
    net: runtime.Net, content: bytes, inputs: Sequence[np.ndarray], constants: bool
) -> dict[str, np.ndarray]:
    """Returns all numeric tensors after one inference, by name, dequantized."""
    if not isinstance(net, InterpreterNet):
        raise ZooError("only an interpreter keeps the tensors between operators")
    kind = type(net.interpreter)
    resolver = sys.modules[kind.__module__].OpResolverType
    interpreter = kind(
        model_content=content,
        num_threads=1,
        experimental_op_resolver_type=resolver.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        experimental_preserve_all_tensors=True,
    )
    interpreter.allocate_tensors()
    computed = set()
    for details, value in zip(net.input_details, inputs, strict=True):
        interpreter.set_tensor(details["index"], value)
        computed.add(details["index"])
    interpreter.invoke()
    for operator in interpreter._get_ops_details():
        computed |= {int(index) for index in operator["outputs"]}
    # The kernels' scratch tensors come last, and most of them have no name.
    tensors = {details["index"]: details for details in interpreter.get_tensor_details()}
    names = unique([tensors[i]["name"] if i in tensors else "" for i in range(max(tensors) + 1)])
    values: dict[str, np.ndarray] = {}
    for index, details in sorted(tensors.items()):
        if not details["name"] or not (constants or index in computed):
            continue
        try:
            value = interpreter.get_tensor(index)
        except ValueError:  # the tensor has no data
            continue
        if value.dtype.kind in "biuf":
            values[names[index]] = _dequantized(value, details)
    return values


def unique(names: Sequence[str]) -> list[str]:
    """Makes the names of a graph's tensors unique.

    Args:
        names: Names by tensor index.

    Returns:
        The names by tensor index; `#` and the index are appended to repeated names.
    """
    result: dict[str, None] = {}
    for index, name in enumerate(names):
        while name in result:
            name += f"#{index}"
        result[name] = None
    return list(result)


def _dequantized(value: np.ndarray, details: dict[str, Any]) -> np.ndarray:
    """Dequantizes a tensor to float32; integers and booleans without a scale are unchanged."""
    quantized = details["quantization_parameters"]
    scales, zero_points = quantized["scales"], quantized["zero_points"]
    if value.dtype.kind not in "iu" or len(scales) == 0:
        return value.astype(np.float32) if value.dtype.kind == "f" else value
    if len(scales) > 1:
        shape = [1] * value.ndim
        shape[quantized["quantized_dimension"]] = -1
        scales, zero_points = scales.reshape(shape), zero_points.reshape(shape)
    return ((value.astype(np.float64) - zero_points) * scales).astype(np.float32)


if __name__ == "__main__":
    serve(lambda line: answer(Request.model_validate_json(line), sys.argv[1]))
