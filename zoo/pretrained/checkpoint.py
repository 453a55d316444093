"""Checkpoint files: weights to continue training from, in `NAME-checkpoint.safetensors`.

Unlike a `.tflite`, a checkpoint has the layers as the catalog builds them, with batch normalization
separate from the convolutions. safetensors holds only arrays and text, no code, and validates its
own sizes. Kernels are stored as float16, which is precise enough for a starting point at half the
size. Small arrays, such as batch statistics and learned shifts, are stored as float32.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Annotated

import numpy as np
import pydantic

from zoo.errors import ZooError, one_line
from zoo.io.files import read_bytes
from zoo.pretrained import transfer
from zoo.schema.base import with_former_channels
from zoo.schema.model import Preprocessing
from zoo.schema.run import ModelConfig

SUFFIX = ".safetensors"
MAX_BYTES = 2**30
_MAX_HEADER = 2**20
_FLOAT16_FROM = 1024  # number of entries from which an array is stored as float16
_PREPROCESSING = pydantic.TypeAdapter(
    Annotated[Preprocessing, pydantic.BeforeValidator(with_former_channels)]
)
_LABELS = pydantic.TypeAdapter(tuple[str, ...])
_REMEDY = "fetch or publish the checkpoint again"


def encode(name: str, config: ModelConfig, initial: transfer.Initial) -> bytes:
    """Encodes weights as a checkpoint file, deterministically.

    Args:
        name: Name of the run.
        config: Configuration from which the network is rebuilt.
        initial: Weights of the network.

    Returns:
        Content of the file.
    """
    from safetensors.numpy import save  # installed with the extra `train`

    arrays = {
        f"{layer}/{number}": np.ascontiguousarray(_stored(array))
        for layer, weights in initial.weights.items()
        for number, array in enumerate(weights)
    }
    metadata = {
        "name": name,
        "config": config.model_dump_json(),
        "preprocessing": json.dumps(vars(initial.preprocessing)),
    }
    if initial.labels:
        metadata["labels"] = json.dumps(initial.labels)
    # safetensors writes its metadata in an order that changes from run to run.
    return _with_metadata(save(arrays), metadata)


def read(path: Path) -> transfer.Initial:
    """Reads a checkpoint file; see `decode`.

    Raises:
        ZooError: if the file is missing, damaged or not a checkpoint written by `encode`.
    """
    return decode(read_bytes(path, "the checkpoint", MAX_BYTES, _REMEDY), path.name)


def decode(content: bytes, where: str) -> transfer.Initial:
    """Decodes the content of a checkpoint file to float32 weights.

    Args:
        content: Content of the file.
        where: Name of the file, shown in error messages.

    Raises:
        ZooError: if the content is damaged or was not written by `encode`.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        header = json.loads(content[8 : 8 + _header_length(content)])
        metadata = header["__metadata__"]
        config = ModelConfig.model_validate_json(metadata["config"])
        preprocessing = _PREPROCESSING.validate_json(metadata["preprocessing"])
        labels = _LABELS.validate_json(metadata.get("labels", "[]"))
        if len(labels) not in (0, config.classes):
            raise ValueError(f"{len(labels)} labels for {config.classes} classes")
        arrays = load(content)
        weights = _by_layer(arrays)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise ZooError(
            "not a valid checkpoint", where=where, got=one_line(error), remedy=_REMEDY
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
    small = array.size < _FLOAT16_FROM or array.ndim < 2
    if small or np.abs(array).max() > np.finfo(np.float16).max:
        return array.astype(np.float32)
    return array.astype(np.float16)


def _header_length(content: bytes) -> int:
    length = int.from_bytes(content[:8], "little")
    if not 0 < length <= min(_MAX_HEADER, len(content) - 8):
        raise ValueError(f"invalid header length, {length} bytes")
    return length


def _with_metadata(content: bytes, metadata: Mapping[str, str]) -> bytes:
    length = _header_length(content)
    header = {"__metadata__": dict(metadata), **json.loads(content[8 : 8 + length])}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the format requires 8-byte alignment
    return len(text).to_bytes(8, "little") + text + content[8 + length :]


def _by_layer(arrays: Mapping[str, np.ndarray]) -> dict[str, Sequence[np.ndarray]]:
    layers: dict[str, dict[int, np.ndarray]] = {}
    for key, array in arrays.items():
        layer, _, number = key.rpartition("/")
        if array.dtype not in (np.float16, np.float32):
            raise ValueError(f"{key} is {array.dtype}")
        if not np.isfinite(array).all():
            raise ValueError(f"{key} has values that are not finite")
        layers.setdefault(layer, {})[int(number)] = array.astype(np.float32)
    return {layer: [weights[n] for n in range(len(weights))] for layer, weights in layers.items()}
