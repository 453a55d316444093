"""A phone's outputs against this computer's. Pure functions; the phone's bytes may be any."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from zoo.errors import ZooError
from zoo.schema.artifact import TensorInfo


@dataclass(frozen=True)
class Comparison:
    """How far two lists of outputs, of the same pictures, are apart.

    Attributes:
        top1_agreement: share of the pictures with the same class on top; None where an output is
            no list of classes.
        largest_difference: of all values, in what the output is in once dequantized.
        relative_difference: the same, as a share of the range of the host's values; None where
            they are all equal.
    """

    top1_agreement: float | None
    largest_difference: float
    relative_difference: float | None


def byte_size(tensor: TensorInfo) -> int:
    """Bytes of a tensor's values.

    Raises:
        ZooError: they are no numbers.
    """
    return _dtype(tensor).itemsize * math.prod(tensor.shape)


def values(raw: bytes, tensor: TensorInfo) -> np.ndarray:
    """Raw bytes → dequantized values, float64, flat.

    Raises:
        ZooError: as many bytes as the tensor can't have, or values that are NaN or infinite.
    """
    if len(raw) != byte_size(tensor):
        raise ZooError(
            "an output of a wrong size",
            expected=f"{byte_size(tensor)} bytes",
            got=f"{len(raw)} bytes",
        )
    found = np.frombuffer(raw, _dtype(tensor).newbyteorder("<")).astype(np.float64)
    if wild := int((~np.isfinite(found)).sum()):
        raise ZooError("an output holds NaN or infinity", got=f"{wild} of {found.size} values")
    if tensor.scale is None:
        return found
    return (found - (tensor.zero_point or 0)) * tensor.scale


def compare(
    host: Sequence[np.ndarray], phone: Sequence[np.ndarray], tensor: TensorInfo
) -> Comparison:
    """Compares the outputs of the same pictures, as `values` gives them; at least one."""
    expected, got = np.stack(host), np.stack(phone)
    largest = float(np.abs(expected - got).max())
    span = float(expected.max() - expected.min())
    agreement = None
    if is_list_of_classes(tensor):
        agreement = float((expected.argmax(axis=1) == got.argmax(axis=1)).mean())
    return Comparison(agreement, largest, largest / span if span > 0 else None)


def is_list_of_classes(tensor: TensorInfo) -> bool:
    """Whether an output is one vector, of which the largest value is the answer."""
    return max(tensor.shape, default=0) == math.prod(tensor.shape) > 1


def _dtype(tensor: TensorInfo) -> np.dtype:
    try:
        dtype = np.dtype(tensor.dtype)
    except TypeError:
        dtype = np.dtype(object)
    if dtype.kind not in "fiu":
        raise ZooError("an output that is no numbers", where=tensor.name, got=tensor.dtype)
    return dtype
