"""Compares a phone's outputs with the host's. The phone's bytes are untrusted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from zoo.errors import ZooError
from zoo.schema.artifact import TensorInfo


@dataclass(frozen=True)
class Comparison:
    """The difference between the host's and the phone's outputs for the same images.

    Attributes:
        top1_agreement: Share of images with the same top-1 class, 0 to 1; None if the output is
            not a vector of class scores.
        largest_difference: Largest absolute difference of any dequantized output value.
        relative_difference: `largest_difference` divided by the range of the host's values; None
            if these are all equal.
    """

    top1_agreement: float | None
    largest_difference: float
    relative_difference: float | None


def byte_size(tensor: TensorInfo) -> int:
    """Returns the size of a tensor in bytes.

    Raises:
        ZooError: if its dtype is not numeric.
    """
    return _dtype(tensor).itemsize * math.prod(tensor.shape)


def values(raw: bytes, tensor: TensorInfo) -> np.ndarray:
    """Converts little-endian bytes to dequantized values, float64 (n,).

    Raises:
        ZooError: if the size does not match the tensor, or a value is NaN or infinite.
    """
    if len(raw) != byte_size(tensor):
        raise ZooError(
            "unexpected output size",
            expected=f"{byte_size(tensor)} bytes",
            got=f"{len(raw)} bytes",
        )
    numbers = np.frombuffer(raw, _dtype(tensor).newbyteorder("<")).astype(np.float64)
    if invalid := int((~np.isfinite(numbers)).sum()):
        raise ZooError(
            "the output contains NaN or infinity", got=f"{invalid} of {numbers.size} values"
        )
    if tensor.scale is None:
        return numbers
    return (numbers - (tensor.zero_point or 0)) * tensor.scale


def compare(
    host: Sequence[np.ndarray], phone: Sequence[np.ndarray], tensor: TensorInfo
) -> Comparison:
    """Compares the outputs of the same images.

    Args:
        host, phone: Dequantized outputs from `values`, one per image, at least one.
        tensor: The output tensor.
    """
    expected, got = np.stack(host), np.stack(phone)
    largest = float(np.abs(expected - got).max())
    span = float(expected.max() - expected.min())
    agreement = None
    if is_list_of_classes(tensor):
        agreement = float((expected.argmax(axis=1) == got.argmax(axis=1)).mean())
    return Comparison(agreement, largest, largest / span if span > 0 else None)


def is_list_of_classes(tensor: TensorInfo) -> bool:
    """Whether an output is a single vector of class scores."""
    return max(tensor.shape, default=0) == math.prod(tensor.shape) > 1


def _dtype(tensor: TensorInfo) -> np.dtype:
    try:
        dtype = np.dtype(tensor.dtype)
    except TypeError:
        dtype = np.dtype(object)
    if dtype.kind not in "fiu":
        raise ZooError("the output is not numeric", where=tensor.name, got=tensor.dtype)
    return dtype
