"""Chooses pictures, makes a model's inputs of them and computes what it should say, on the host.

In a process of its own, as LiteRT crashes on some files and decoding JPEGs needs TensorFlow.
Started by `android_bench.outputs.reference`, by the protocol of `zoo.runtime.child`; files go into
the folder that the request names.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import numpy as np

from android_bench.host.worker import ScoreRequest
from zoo import data, runtime
from zoo.data import imagenet as images
from zoo.errors import ZooError
from zoo.io.files import MAX_MODEL_BYTES, read_bytes
from zoo.runtime.child import serve
from zoo.schema.artifact import TensorInfo
from zoo.schema.base import Strict

MOST_INPUT_BYTES = 64 * 2**20  # a picture of 4,700 × 1,200 pixels as float32


class OutputRequest(Strict):
    """Which pictures: `split` names a data set, else `pictures` is a tar or folder of JPEGs."""

    path: str
    sha256: str
    folder: str
    count: int
    seed: int
    split: ScoreRequest | None
    pictures: str | None


class OutputAnswer(Strict):
    """`input-N` and `output-N` lie in the folder; `pictures` says in words which were taken."""

    images: int
    pictures: str
    reference: str
    input_shape: tuple[int, ...]
    output: TensorInfo


def answer(request: OutputRequest) -> OutputAnswer:
    """Writes inputs and outputs.

    Raises:
        ZooError: a file that isn't as it was, no model of one picture, or no pictures for it.
    """
    path = Path(request.path)
    content = read_bytes(path, "the model", MAX_MODEL_BYTES, "name an existing .tflite")
    if (got := sha256(content).hexdigest()) != request.sha256:
        raise ZooError(
            "the model changed on disk", where=path, expected=f"sha256 {request.sha256}", got=got
        )
    decoded = None if request.pictures is None else _decoded(request)
    net = runtime.load(content, "litert", "none", 1, path.name)
    if np.prod(net.input["shape"], dtype=np.int64) * net.input["dtype"]().itemsize > (
        MOST_INPUT_BYTES
    ):
        raise ZooError(
            "an input too large for pictures", where=path.name, got=net.inputs()[0].shape
        )
    told, tensors = _of_split(net, request) if decoded is None else _of_files(net, decoded)
    count = 0
    for count, tensor in enumerate(tensors, start=1):
        net.set_input(tensor)
        net.interpreter.invoke()
        output = net.interpreter.get_tensor(net.output["index"])
        Path(request.folder, f"input-{count}").write_bytes(tensor.tobytes())
        Path(request.folder, f"output-{count}").write_bytes(output.tobytes())
    return OutputAnswer(
        images=count,
        pictures=told,
        reference=f"litert {runtime.version('litert')}, plain kernels",
        input_shape=net.inputs()[0].shape,
        output=net.outputs()[0].model_copy(update={"shape": tuple(output.shape)}),
    )


def _of_split(net: runtime.Net, request: OutputRequest) -> tuple[str, Iterator[np.ndarray]]:
    wanted = request.split
    if wanted is None:
        raise ZooError(
            "no pictures to compare outputs on: the file has no manifest that names a data set",
            where=Path(request.path).name,
            remedy="give --images=FOLDER_OR_TAR of JPEGs",
        )
    split = wanted.pictures()
    draw = random.Random(request.seed)  # noqa: S311
    chosen = draw.sample(range(len(split)), min(request.count, len(split)))
    pictures = (data.normalize(split.images[i], wanted.mean, wanted.std) for i in sorted(chosen))
    return f"{wanted.dataset}/test", (net.quantized(picture) for picture in pictures)


def _decoded(request: OutputRequest) -> list[np.ndarray]:
    """A seeded choice of the JPEGs, uint8 (height, width, 3) each."""
    draw = random.Random(request.seed)  # noqa: S311
    kept: list[images.Picture] = []
    every = images.pictures(Path(request.pictures or ""), labeled=False)
    for number, picture in enumerate(every):  # every picture stays with the same chance
        if len(kept) < request.count:
            kept.append(picture)
        elif (place := draw.randrange(number + 1)) < request.count:
            kept[place] = picture
    return [images.decode(picture) for picture in kept]


def _of_files(net: runtime.Net, decoded: list[np.ndarray]) -> tuple[str, Iterator[np.ndarray]]:
    """Any picture does to compare two computations, so long as it fills the input's range."""
    shape, dtype = net.inputs()[0].shape, np.dtype(net.input["dtype"])
    if len(shape) != 4 or shape[3] not in (1, 3):
        raise ZooError(
            "the model's input is no picture",
            expected="a shape of (1, height, width, 1 or 3)",
            got=shape,
        )
    if dtype not in (np.float32, np.uint8, np.int8):
        raise ZooError("pictures of an unknown form", expected="float32, uint8, int8", got=dtype)
    if dtype == np.float32:
        told = "pixels scaled to -1 … 1, as the file does not say how"
    else:
        told = f"pixels over the whole range of {dtype}"
    sized = (_sized(pixels, *shape[1:]) for pixels in decoded)
    return f"--images, {told}", (_in_range(pixels, dtype) for pixels in sized)


def _sized(pixels: np.ndarray, height: int, width: int, channels: int) -> np.ndarray:
    """Nearest pixels: geometry is no matter here, and a network may want any size."""
    rows = np.arange(height) * pixels.shape[0] // height
    columns = np.arange(width) * pixels.shape[1] // width
    taken = pixels[rows][:, columns]
    return taken if channels == 3 else taken.mean(axis=2, keepdims=True).astype(np.uint8)


def _in_range(pixels: np.ndarray, dtype: np.dtype) -> np.ndarray:
    if dtype == np.float32:
        return data.normalize(pixels, 127.5, 127.5)
    if dtype == np.int8:
        return (pixels.astype(np.int16) - 128).astype(np.int8)
    return pixels


if __name__ == "__main__":
    sys.exit(serve(lambda line: answer(OutputRequest.model_validate_json(line))))
