"""Draws images, converts them to a model's inputs and computes its outputs on the host.

Runs in a child process, because LiteRT crashes on some files and decoding JPEGs needs TensorFlow.
`android_bench.outputs.reference` starts it with the protocol of `zoo.runtime.child`; inputs and
outputs are written to the folder in the request.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import numpy as np

from android_bench.host.worker import ScoreRequest
from zoo import data, runtime
from zoo.data import imagenet
from zoo.errors import ZooError
from zoo.io.files import MAX_MODEL_BYTES, read_bytes
from zoo.runtime.child import serve
from zoo.schema.artifact import TensorInfo
from zoo.schema.base import Strict

MOST_INPUT_BYTES = 64 * 2**20  # 4,700 × 1,200 RGB pixels as float32


class OutputRequest(Strict):
    """The model and the images for which to compute outputs.

    Attributes:
        path: Absolute path of the model.
        sha256: SHA-256 of the model.
        folder: Folder for the inputs and outputs.
        count: Number of images to draw.
        seed: Seed of the random draw.
        split: Test split to draw from; None if the model has no manifest.
        pictures: Tar or folder of JPEGs to draw from; None if `split` is used.
    """

    path: str
    sha256: str
    folder: str
    count: int
    seed: int
    split: ScoreRequest | None
    pictures: str | None


class OutputAnswer(Strict):
    """Description of the files `input-N` and `output-N`, N from 1, in the requested folder.

    Attributes:
        images: Number of images.
        pictures: Description of the images.
        reference: Runtime that computed the outputs, with its version.
        input_shape: Shape of the input, including the batch axis.
        output: The output tensor.
    """

    images: int
    pictures: str
    reference: str
    input_shape: tuple[int, ...]
    output: TensorInfo


def answer(request: OutputRequest) -> OutputAnswer:
    """Writes the inputs and outputs of all images to the requested folder.

    Raises:
        ZooError: if the model's hash differs from the request, its input is not a single image,
            or there are no images for it.
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
        raise ZooError("the model's input is too large", where=path.name, got=net.inputs()[0].shape)
    described, tensors = _of_split(net, request) if decoded is None else _of_files(net, decoded)
    count = 0
    for count, tensor in enumerate(tensors, start=1):
        net.set_input(tensor)
        net.invoke()
        output = net.get_output()
        Path(request.folder, f"input-{count}").write_bytes(tensor.tobytes())
        Path(request.folder, f"output-{count}").write_bytes(output.tobytes())
    return OutputAnswer(
        images=count,
        pictures=described,
        reference=f"litert {runtime.version('litert')}, plain kernels",
        input_shape=net.inputs()[0].shape,
        output=net.outputs()[0].model_copy(update={"shape": tuple(output.shape)}),
    )


def _of_split(net: runtime.Net, request: OutputRequest) -> tuple[str, Iterator[np.ndarray]]:
    source = request.split
    if source is None:
        raise ZooError(
            "no images to compare outputs on: the file has no manifest that names a dataset",
            where=Path(request.path).name,
            remedy="pass --images=FOLDER_OR_TAR with JPEGs",
        )
    split = source.load_split()
    draw = random.Random(request.seed)  # noqa: S311
    chosen = draw.sample(range(len(split)), min(request.count, len(split)))
    normalized = (data.normalize(split.images[i], source.mean, source.std) for i in sorted(chosen))
    return f"{source.dataset}/test", (net.quantized(image) for image in normalized)


def _decoded(request: OutputRequest) -> list[np.ndarray]:
    """Draws a seeded random sample of the JPEGs; returns uint8 (height, width, 3) each."""
    draw = random.Random(request.seed)  # noqa: S311
    sample: list[imagenet.JpegImage] = []
    candidates = imagenet.read_images(Path(request.pictures or ""), labeled=False)
    for number, image in enumerate(candidates):  # reservoir sampling
        if len(sample) < request.count:
            sample.append(image)
        elif (place := draw.randrange(number + 1)) < request.count:
            sample[place] = image
    return [imagenet.decode(image) for image in sample]


def _of_files(net: runtime.Net, decoded: list[np.ndarray]) -> tuple[str, Iterator[np.ndarray]]:
    """Resizes and scales images to the input's range; exact normalization is not needed here."""
    shape, dtype = net.inputs()[0].shape, np.dtype(net.input["dtype"])
    if len(shape) != 4 or shape[3] not in (1, 3):
        raise ZooError(
            "the model's input is not an image",
            expected="shape (1, height, width, 1 or 3)",
            got=shape,
        )
    if dtype not in (np.float32, np.uint8, np.int8):
        raise ZooError(
            "unsupported dtype of the model's input", expected="float32, uint8 or int8", got=dtype
        )
    if dtype == np.float32:
        described = "pixels scaled to -1 … 1; the file does not say how to normalize them"
    else:
        described = f"pixels over the whole range of {dtype}"
    sized = (_sized(pixels, *shape[1:]) for pixels in decoded)
    return f"--images, {described}", (_in_range(pixels, dtype) for pixels in sized)


def _sized(pixels: np.ndarray, height: int, width: int, channels: int) -> np.ndarray:
    """Resizes to (height, width, channels) by nearest neighbor, ignoring the aspect ratio."""
    rows = np.arange(height) * pixels.shape[0] // height
    columns = np.arange(width) * pixels.shape[1] // width
    resized = pixels[rows][:, columns]
    return resized if channels == 3 else resized.mean(axis=2, keepdims=True).astype(np.uint8)


def _in_range(pixels: np.ndarray, dtype: np.dtype) -> np.ndarray:
    if dtype == np.float32:
        return data.normalize(pixels, 127.5, 127.5)
    if dtype == np.int8:
        return (pixels.astype(np.int16) - 128).astype(np.int8)
    return pixels


if __name__ == "__main__":
    serve(lambda line: answer(OutputRequest.model_validate_json(line)))
