"""The functions that make files, one for each row of `zoo.catalog.precisions`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from converters.conversion import quantize, weights_only
from converters.conversion.engine_forms import for_every_engine

if TYPE_CHECKING:
    from converters.conversion.from_keras import Conversions


def _float32(network: Conversions) -> bytes:
    return network.for_floats


def _float16(network: Conversions) -> bytes:
    return weights_only.float16(network.for_floats, network.name)


def _dynamic_int8(network: Conversions) -> bytes:
    return for_every_engine(weights_only.dynamic_int8(network.for_floats), integers=False)


def _int8(network: Conversions) -> bytes:
    return network.calibrated(quantize.int8)


def _int8_qat(network: Conversions) -> bytes:
    return network.quantized_in_training("int8_qat")


def _int16x8(network: Conversions) -> bytes:
    return network.calibrated(quantize.int16x8)


# Precision → function that returns a network's flatbuffer.
MAKERS: dict[str, Callable[[Conversions], bytes]] = {
    "float32": _float32,
    "float16": _float16,
    "dynamic_int8": _dynamic_int8,
    "int8": _int8,
    "int8_qat": _int8_qat,
    "int16x8": _int16x8,
}
