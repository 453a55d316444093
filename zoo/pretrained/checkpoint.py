"""A network's weights as one file to start from: `NAME-checkpoint.safetensors`.

What a `.tflite` no longer has: layers as the catalog builds them, batch normalization apart from
its convolution. safetensors holds arrays and text, no code, and checks its own sizes. Kernels are
float16, which is exact enough to start from at half the size; the small arrays, among them
statistics and learned shifts, stay float32.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np
import pydantic

from zoo.errors import ZooError, one_line
from zoo.io.files import read_bytes
from zoo.pretrained import transfer
from zoo.schema.model import Preprocessing
from zoo.schema.run import ModelConfig

SUFFIX = ".safetensors"
MAX_BYTES = 2**30
_MAX_HEADER = 2**20
_HALVED = 1024  # entries from which on an array is stored as float16
_LABELS = pydantic.TypeAdapter(tuple[str, ...])
_REMEDY = "fetch or publish the checkpoint again"


def encode(name: str, config: ModelConfig, initial: transfer.Initial) -> bytes:
    """The file's content, the same for the same weights.

    Args:
        name: of the run.
        config: what rebuilds the network.
        initial: its weights.
    """
    from safetensors.numpy import save  # of the extra `train`

    arrays = {
        f"{layer}/{number}": np.ascontiguousarray(_stored(array))
        for layer, weights in initial.weights.items()
        for number, array in enumerate(weights)
    }
    told = {
        "name": name,
        "config": config.model_dump_json(),
        "preprocessing": json.dumps(vars(initial.preprocessing)),
    }
    if initial.labels:
        told["labels"] = json.dumps(initial.labels)
    # safetensors writes its metadata in an order that changes from run to run.
    return _rewritten(save(arrays), told)


def read(path: Path) -> transfer.Initial:
    """Weights to start from. See `decode`.

    Raises:
        ZooError: the file is missing, damaged, or no checkpoint of ours.
    """
    return decode(read_bytes(path, "the checkpoint", MAX_BYTES, _REMEDY), path.name)


def decode(content: bytes, where: str) -> transfer.Initial:
    """Weights to start from, float32.

    Raises:
        ZooError: damaged, or no checkpoint of ours.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        header = json.loads(content[8 : 8 + _header_length(content)])
        told = header["__metadata__"]
        config = ModelConfig.model_validate_json(told["config"])
        preprocessing = pydantic.TypeAdapter(Preprocessing).validate_json(told["preprocessing"])
        labels = _LABELS.validate_json(told.get("labels", "[]"))
        if len(labels) not in (0, config.classes):
            raise ValueError(f"{len(labels)} labels of {config.classes} classes")
        arrays = load(content)
        weights = _by_layer(arrays)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise ZooError(
            "no checkpoint that can be read", where=where, got=one_line(error), remedy=_REMEDY
        ) from error
    return transfer.Initial(
        source=where,
        sha256=sha256(content).hexdigest(),
        model=config.model,
        weights=weights,
        preprocessing=preprocessing,
        config=config,
        labels=labels,
    )


def _stored(array: np.ndarray) -> np.ndarray:
    small = array.size < _HALVED or array.ndim < 2
    if small or np.abs(array).max() > np.finfo(np.float16).max:
        return array.astype(np.float32)
    return array.astype(np.float16)


def _header_length(content: bytes) -> int:
    length = int.from_bytes(content[:8], "little")
    if not 0 < length <= min(_MAX_HEADER, len(content) - 8):
        raise ValueError(f"a header of {length} bytes")
    return length


def _rewritten(content: bytes, told: Mapping[str, str]) -> bytes:
    length = _header_length(content)
    header = {"__metadata__": dict(told), **json.loads(content[8 : 8 + length])}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # as the format asks for
    return len(text).to_bytes(8, "little") + text + content[8 + length :]


def _by_layer(arrays: Mapping[str, np.ndarray]) -> dict[str, Sequence[np.ndarray]]:
    found: dict[str, dict[int, np.ndarray]] = {}
    for key, array in arrays.items():
        layer, _, number = key.rpartition("/")
        if array.dtype not in (np.float16, np.float32):
            raise ValueError(f"{key} is {array.dtype}")
        if not np.isfinite(array).all():
            raise ValueError(f"{key} has values that are not finite")
        found.setdefault(layer, {})[int(number)] = array.astype(np.float32)
    return {layer: [each[n] for n in range(len(each))] for layer, each in found.items()}
