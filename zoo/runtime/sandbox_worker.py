"""The child of `zoo.runtime.sandbox`: runs `.tflite` files, one request after the other.

`python -m zoo.runtime.sandbox_worker RUNTIME` speaks the protocol of `zoo.runtime.child`; arrays go
through files that a request names.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from zoo import runtime
from zoo.errors import ZooError
from zoo.io.files import MAX_MODEL_BYTES, read_bytes
from zoo.runtime.child import serve
from zoo.runtime.interpreter import interpreter
from zoo.schema.base import Strict
from zoo.schema.measurement import Placement

_WARM_UP_SHARE = 0.25


class Request(Strict):
    """One call. `images` and `result` name `.npy` or `.npz` files where the call has any."""

    call: Literal["placement", "outputs", "tensors", "latency_us"]
    path: str
    delegate: str = "none"
    threads: int = Field(default=1, ge=1, le=256)
    seconds: float = Field(default=0.0, ge=0, le=3600)
    constants: bool = True
    images: str | None = None
    result: str | None = None


class Answer(Strict):
    """What came of it; `names` are those of the arrays `0`, `1`… in the `.npz`, for `tensors`."""

    placement: Placement | None = None
    names: tuple[str, ...] = ()


def answer(request: Request, kind: str) -> Answer:
    """Loads the file and does what is asked.

    Raises:
        ZooError: the file can't be read, or the runtime refuses it or the images.
    """
    path = Path(request.path)
    content = read_bytes(path, "the model", MAX_MODEL_BYTES, "name an existing .tflite")
    try:
        if request.call == "placement":  # of any model, not only those for one image
            loaded = interpreter(content, kind, request.delegate, request.threads, path.name)
            return Answer(placement=runtime.placement(loaded._get_ops_details()))
        net = runtime.load(content, kind, request.delegate, request.threads, path.name)
        if request.call == "latency_us":
            return _saved(request, np.array(_times_us(net, request.seconds)))
        images = np.load(request.images or "", allow_pickle=False)
        _check(net, images, path.name)
        if request.call == "outputs":
            return _saved(request, np.stack([net.run(image) for image in images]))
        found = _tensors(net, content, images[0], request.constants)
    # The runtimes raise the first two; a nonsensical graph has inputs or outputs without a shape.
    except (ValueError, RuntimeError, IndexError) as error:
        raise ZooError(f"{kind} can't run this .tflite", where=path.name, got=error) from error
    np.savez(request.result or "", **{str(i): value for i, value in enumerate(found.values())})
    return Answer(names=tuple(found))


def _saved(request: Request, values: np.ndarray) -> Answer:
    np.save(request.result or "", values, allow_pickle=False)
    return Answer()


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
    """Times of `invoke` alone, on seeded noise, after a warm-up of a quarter of the time."""
    random = np.random.default_rng(1)
    shape = tuple(int(n) for n in net.input["shape"][1:])
    net.set_input(net.quantized(random.standard_normal(shape).astype(np.float32)))
    end = time.perf_counter() + _WARM_UP_SHARE * seconds
    net.interpreter.invoke()
    while time.perf_counter() < end:
        net.interpreter.invoke()
    times_us: list[float] = []
    end = time.perf_counter() + seconds
    while not times_us or time.perf_counter() < end:
        began = time.perf_counter_ns()
        net.interpreter.invoke()
        times_us.append((time.perf_counter_ns() - began) / 1e3)
    return times_us


def _tensors(
    net: runtime.Net, content: bytes, image: np.ndarray, constants: bool
) -> dict[str, np.ndarray]:
    """Every tensor that holds numbers after one inference, by name, dequantized."""
    kind = type(net.interpreter)
    resolver = sys.modules[kind.__module__].OpResolverType
    interpreter = kind(
        model_content=content,
        num_threads=1,
        experimental_op_resolver_type=resolver.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        experimental_preserve_all_tensors=True,
    )
    interpreter.allocate_tensors()
    interpreter.set_tensor(net.input["index"], net.quantized(image)[np.newaxis])
    interpreter.invoke()
    computed = {net.input["index"]}
    for operator in interpreter._get_ops_details():
        computed |= {int(index) for index in operator["outputs"]}
    # The kernels' scratch tensors come last, most of them without a name.
    every = {details["index"]: details for details in interpreter.get_tensor_details()}
    names = unique([every[i]["name"] if i in every else "" for i in range(max(every) + 1)])
    found: dict[str, np.ndarray] = {}
    for index, details in sorted(every.items()):
        if not details["name"] or not (constants or index in computed):
            continue
        try:
            value = interpreter.get_tensor(index)
        except ValueError:  # nothing is kept there
            continue
        if value.dtype.kind in "biuf":
            found[names[index]] = _dequantized(value, details)
    return found


def unique(names: Sequence[str]) -> list[str]:
    """Names of a graph's tensors, by index; one that came before gets `#` and its own index."""
    found: dict[str, None] = {}
    for index, name in enumerate(names):
        while name in found:
            name += f"#{index}"
        found[name] = None
    return list(found)


def _dequantized(value: np.ndarray, details: dict[str, Any]) -> np.ndarray:
    """float32, by the tensor's scales; what has no scale and is no float stays as it is."""
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
    sys.exit(serve(lambda line: answer(Request.model_validate_json(line), sys.argv[1])))
