"""Values for the inputs of any `.tflite`, random or test images, to compare engines on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from converters.tflite.reader import read
from zoo import data, runtime
from zoo.data import Dataset
from zoo.errors import ZooError
from zoo.io.files import MAX_MODEL_BYTES, read_bytes
from zoo.schema.artifact import Artifact

_SEED = 20161122


def model_bytes(path: Path) -> bytes:
    """Returns the content of a `.tflite`.

    Raises:
        ZooError: if it can't be read, or is too large.
    """
    return read_bytes(path, "the model", MAX_MODEL_BYTES, "pass an existing .tflite file")


def sample(total: int, count: int) -> np.ndarray:
    """Returns the sorted indices of the images that every comparison uses.

    Args:
        total: Number of test images.
        count: How many to choose; capped at `total`.
    """
    return np.sort(np.random.default_rng(_SEED).permutation(total)[:count])


@dataclass(frozen=True, eq=False)
class Sample:
    """Test images as a file's input takes them.

    Attributes:
        images: Of the input's dtype, (n, 1, height, width, channels).
        labels: Class indices, int32 (n,).
        of: Size of the whole test split.
    """

    images: np.ndarray
    labels: np.ndarray
    of: int


def sampled(artifact: Artifact, content: bytes, count: int) -> Sample:
    """Returns test images as the file's input takes them.

    Args:
        artifact: Manifest of the file.
        content: The file.
        count: Number of images, capped at the size of the test split.

    Raises:
        ZooError: if the dataset is missing.
    """
    recipe = artifact.recipe
    dataset = _dataset(
        artifact.dataset,
        artifact.inputs[0].shape[1],
        recipe.validation_images,
        recipe.data_dir,
        recipe.skip_broken,
    )
    chosen = sample(len(dataset.test), count)
    pixels = dataset.test.images[chosen]
    raw = artifact.inputs[0].dtype == "uint8"
    floats = pixels.astype(np.float32) if raw else dataset.normalize(pixels)
    images = as_input(content, floats, artifact.name)
    return Sample(images, dataset.test.labels[chosen], len(dataset.test))


def as_input(content: bytes, images: np.ndarray, where: object) -> np.ndarray:
    """Returns images as a file's only input takes them, of its dtype and (n, 1, *shape).

    Args:
        content: The file.
        images: Images as its network takes them, float32 (n, height, width, channels).
        where: Name of the file, shown in error messages.

    Raises:
        ZooError: as `zoo.runtime.load`.
    """
    net = runtime.load(content, "litert", "none", 1, where)
    return np.stack([net.quantized(image)[np.newaxis] for image in images])


@lru_cache(maxsize=1)  # consecutive files are usually of one dataset
def _dataset(
    name: str, size: int, validation_images: int, data_dir: str, skip_broken: bool
) -> Dataset:
    return data.load(name, size, validation_images, data_dir, skip_broken)


def random_inputs(path: Path, count: int, seed: int = 1) -> list[np.ndarray]:
    """Returns random values for each input of a file.

    Quantized integers cover the whole range of their type, others 0 to 255 at most; floats are
    drawn from a standard normal distribution. Dimensions known only at run time are as stored.

    Args:
        path: Any `.tflite`.
        count: Number of inferences.
        seed: Seed of the values.

    Raises:
        ZooError: if the file is damaged, or an input is not of numbers.
    """
    graph = read(model_bytes(path), path.name).main
    draw = np.random.default_rng(seed)
    values = []
    for tensor in (graph.tensors[index] for index in graph.inputs):
        shape = (count, *tensor.shape)
        if tensor.type in ("FLOAT32", "FLOAT16", "FLOAT64"):
            values.append(draw.standard_normal(shape).astype(tensor.type.lower()))
        elif tensor.type in ("INT8", "UINT8", "INT16", "UINT16", "INT32", "INT64"):
            limits = np.iinfo(tensor.type.lower())
            low, high = int(limits.min), int(limits.max)
            if not tensor.quantization:
                low, high = 0, min(255, high)
            numbers = draw.integers(low, high, shape, dtype=np.int64, endpoint=True)
            values.append(numbers.astype(tensor.type.lower()))
        elif tensor.type == "BOOL":
            values.append(draw.integers(0, 2, shape).astype(bool))
        else:
            raise ZooError(
                "an input has no numbers", where=path, got=f"{tensor.name}: {tensor.type.lower()}"
            )
    return values
