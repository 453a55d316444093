"""Convolutions, dense layers and pooling: types of weights and activations, kernels, strides."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from converters.studies.gpu_rules.files import (
    F32,
    I4,
    I8,
    I16,
    I32,
    I64,
    U8,
    Case,
    Options,
    T,
    case,
    constant,
)
from converters.tflite.options import ACTIVATIONS

SAME, VALID = 0, 1


@dataclass(frozen=True)
class Precision:
    """Types of an operator with weights.

    Attributes:
        name: As precisions of artifacts, where there is such a one.
        activations: Type of input and output.
        weights: Type of the kernel.
        bias: Type of the bias.
        per_channel: Whether the kernel has a scale per filter.
        versions: Versions of CONV_2D, DEPTHWISE_CONV_2D, FULLY_CONNECTED and TRANSPOSE_CONV.
    """

    name: str
    activations: str
    weights: str
    bias: str
    per_channel: bool = True
    versions: tuple[int, int, int, int] = (1, 1, 1, 3)


PRECISIONS = (
    Precision("float32", F32, F32, F32),
    Precision("dynamic_int8", F32, I8, F32, True, (5, 6, 9, 3)),
    Precision("dynamic_int4", F32, I4, F32, True, (6, 7, 9, 5)),
    Precision("int8", I8, I8, I32, True, (3, 3, 4, 3)),
    Precision("uint8", U8, U8, I32, False, (1, 1, 1, 1)),
    Precision("int8 with int4 weights", I8, I4, I32, True, (7, 7, 10, 5)),
    Precision("int16x8", I16, I8, I64, True, (4, 5, 7, 4)),
)
_FLOAT, _DYNAMIC, _INT4, _INT8 = PRECISIONS[:4]
_BIAS = 0.05 * 0.01


def all_cases() -> Iterator[Case]:
    """Yields all cases of this file."""
    yield from _convolutions()
    yield from _depthwise()
    yield from _dense()
    yield from _transposed()
    yield from _pools()


def _weights(shape: tuple[int, ...], precision: Precision, axis: int) -> T:
    if precision.weights == F32:
        return constant(shape)
    filters = shape[axis] if precision.per_channel else 1
    point = 128 if precision.weights == U8 else 0
    scales = tuple(0.01 * (1 + 0.1 * (i % 3)) for i in range(filters))
    return constant(shape, precision.weights, scales=scales, axis=axis, zero_point=point)


def _bias(filters: int, precision: Precision) -> T:
    if precision.bias == F32:
        return constant((filters,))
    count = filters if precision.per_channel else 1
    scales = tuple(_BIAS * (1 + 0.1 * (i % 3)) for i in range(count))
    return constant((filters,), precision.bias, scales=scales)


def _side(side: int, stride: int) -> int:
    return -(-side // stride)


def _conv(
    precision: Precision,
    what: str,
    size: int = 3,
    stride: int = 1,
    dilation: int = 1,
    activation: str = "NONE",
    channels: int = 8,
    groups: int = 1,
    batch: int = 1,
    version: int | None = None,
) -> Case:
    filters = 16
    image = T((batch, 8, 8, channels), precision.activations)
    kernel = _weights((filters, size, size, channels // groups), precision, 0)
    given = [image, kernel, _bias(filters, precision)]
    side = _side(8, stride)
    out = T((batch, side, side, filters), precision.activations, scales=_out(precision, 0.02))
    options = {
        "padding": SAME, "strideH": stride, "strideW": stride, "dilationHFactor": dilation,
        "dilationWFactor": dilation, "fusedActivationFunction": ACTIVATIONS.index(activation),
    }  # fmt: skip
    number = precision.versions[0] if version is None else version
    named = "Conv2DOptions", options
    return case("CONV_2D", f"{precision.name}, {what}", given, [out], named, number)


def _out(precision: Precision, scale: float) -> tuple[float, ...] | None:
    if precision.activations == F32:
        return None
    return (scale * (1 if precision.activations == I16 else 20),)


def _convolutions() -> Iterator[Case]:
    for precision in PRECISIONS:
        for size in (1, 2, 3):
            for stride in (1, 2):
                yield _conv(precision, f"{size}×{size}, stride {stride}", size, stride)
    for precision in (_FLOAT, _DYNAMIC, _INT8):
        yield _conv(precision, "1×1, stride 3", 1, 3)
        yield _conv(precision, "3×3, dilation 2", 3, dilation=2)
        yield _conv(precision, "3×3, two groups", 3, groups=2)
        yield _conv(precision, "3×3, batch of 2", 3, batch=2)
        yield _conv(precision, "1×1, 3 channels", 1, channels=3)
        yield _conv(precision, "3×3, RELU6", 3, activation="RELU6")
    for activation in ("RELU", "RELU_N1_TO_1", "TANH"):
        yield _conv(_FLOAT, f"3×3, {activation}", 3, activation=activation)
    yield _conv(_INT4, "1×1, version 7", 1, version=7)
    for version in (2, 5, 6, 7, 8):
        yield _conv(_FLOAT, f"3×3, version {version}", 3, version=version)
    image, kernel = T((1, 8, 8, 8)), T((16, 3, 3, 8))
    options = {"padding": SAME, "strideH": 1, "strideW": 1}
    named = "Conv2DOptions", options | {"dilationHFactor": 1, "dilationWFactor": 1}
    out = T((1, 8, 8, 16))
    yield case(
        "CONV_2D", "float32, computed kernel", [image, kernel, constant((16,))], [out], named
    )
    image, out = T((-1, 8, 8, 8)), T((-1, 8, 8, 16))
    given = [image, constant((16, 3, 3, 8)), constant((16,))]
    yield case("CONV_2D", "float32, unknown batch size", given, [out], named)


def _depthwise_case(
    precision: Precision,
    what: str,
    size: int = 3,
    stride: int = 1,
    multiplier: int = 1,
    channels: int = 8,
    dilation: int = 1,
    activation: str = "NONE",
    version: int | None = None,
) -> Case:
    filters = channels * multiplier
    given = [
        T((1, 8, 8, channels), precision.activations),
        _weights((1, size, size, filters), precision, 3),
        _bias(filters, precision),
    ]
    side = _side(8, stride)
    out = T((1, side, side, filters), precision.activations, scales=_out(precision, 0.01))
    options = {
        "padding": SAME, "strideH": stride, "strideW": stride, "depthMultiplier": multiplier,
        "dilationHFactor": dilation, "dilationWFactor": dilation,
        "fusedActivationFunction": ACTIVATIONS.index(activation),
    }  # fmt: skip
    named = "DepthwiseConv2DOptions", options
    number = precision.versions[1] if version is None else version
    return case("DEPTHWISE_CONV_2D", f"{precision.name}, {what}", given, [out], named, number)


def _depthwise() -> Iterator[Case]:
    for precision in PRECISIONS:
        for size in (1, 3) if precision is not _INT4 else ():  # the CPU has no kernel
            for stride in (1, 2):
                yield _depthwise_case(precision, f"{size}×{size}, stride {stride}", size, stride)
    for precision in (_FLOAT, _DYNAMIC, _INT8):
        for size in (1, 2, 3):
            what = f"{size}×{size}, multiplier"
            yield _depthwise_case(precision, f"{what} 4", size, multiplier=4)
            yield _depthwise_case(precision, f"{what} 2, stride 2", size, 2, 2)
            yield _depthwise_case(precision, f"{what} 8 of one channel", size, 1, 8, 1)
        yield _depthwise_case(precision, "3×3, dilation 2", dilation=2)
        yield _depthwise_case(precision, "3×3, 3 channels", channels=3)
    for activation in ("RELU", "RELU6", "TANH"):
        yield _depthwise_case(_FLOAT, f"3×3, {activation}", activation=activation)
    for version in (2, 6, 7):
        yield _depthwise_case(_FLOAT, f"3×3, version {version}", version=version)


def _dense_case(
    precision: Precision,
    what: str,
    shape: tuple[int, ...],
    out: tuple[int, ...],
    depth: int,
    keep: bool = False,
    bias: bool = True,
    activation: str = "NONE",
    version: int | None = None,
) -> Case:
    given = [T(shape, precision.activations), _weights((12, depth), precision, 0)]
    given += [_bias(12, precision)] if bias else []
    made = T(out, precision.activations, scales=_out(precision, 0.01))
    fields = {"keepNumDims": keep, "fusedActivationFunction": ACTIVATIONS.index(activation)}
    named = "FullyConnectedOptions", fields
    number = precision.versions[2] if version is None else version
    return case("FULLY_CONNECTED", f"{precision.name}, {what}", given, [made], named, number)


def _dense() -> Iterator[Case]:
    for precision in PRECISIONS:
        yield _dense_case(precision, "a vector", (1, 32), (1, 12), 32)
        yield _dense_case(precision, "maps, not flattened", (1, 4, 4, 8), (1, 12), 128)
    for precision in (_FLOAT, _DYNAMIC, _INT8):
        yield _dense_case(precision, "1×1 maps, not flattened", (1, 1, 1, 32), (1, 12), 32)
        yield _dense_case(precision, "each place of maps", (1, 4, 4, 8), (1, 4, 4, 12), 8, True)
        yield _dense_case(precision, "each row of rank 3", (1, 4, 8), (1, 4, 12), 8, True)
        yield _dense_case(precision, "four rows", (4, 32), (4, 12), 32)
        yield _dense_case(precision, "one input", (1, 1), (1, 12), 1)
        yield _dense_case(precision, "without bias", (1, 32), (1, 12), 32, bias=False)
    for activation in ("RELU", "RELU6"):  # the CPU refuses TANH
        what, sides = f"a vector, {activation}", ((1, 32), (1, 12))
        yield _dense_case(_FLOAT, what, *sides, 32, activation=activation)
    yield _dense_case(_FLOAT, "rank 3 to rank 2", (1, 4, 8), (4, 12), 8)
    for version in (2, 9, 10, 12):
        yield _dense_case(_FLOAT, f"version {version}", (1, 32), (1, 12), 32, version=version)
    given = [T((1, 32)), T((12, 32)), constant((12,))]
    named: Options = ("FullyConnectedOptions", {})
    what = "float32, computed weights"
    yield case("FULLY_CONNECTED", what, given, [T((1, 12))], named)
    what += ", without bias"
    yield case("FULLY_CONNECTED", what, given[:2], [T((1, 12))], named)


def _transposed() -> Iterator[Case]:
    for precision in (_FLOAT, _DYNAMIC, _INT8):
        for stride in (1, 2):
            side = 4 * stride
            shape = constant((4,), I32, values=(1, side, side, 6))
            kernel = _weights((6, 3, 3, 8), precision, 0)
            out = T((1, side, side, 6), precision.activations, scales=_out(precision, 0.02))
            given = [shape, kernel, T((1, 4, 4, 8), precision.activations), _bias(6, precision)]
            named = "TransposeConvOptions", {"padding": SAME, "strideH": stride, "strideW": stride}
            what = f"{precision.name}, stride {stride}"
            yield case("TRANSPOSE_CONV", what, given, [out], named, precision.versions[3])
            if precision in (_FLOAT, _INT8):
                number = 1 if precision is _FLOAT else 2
                what += ", without bias"
                yield case("TRANSPOSE_CONV", what, given[:3], [out], named, number)
    for activation in ("RELU", "RELU6"):
        given = [constant((4,), I32, values=(1, 8, 8, 6)), constant((6, 3, 3, 8)), T((1, 4, 4, 8))]
        fields = {"padding": SAME, "strideH": 2, "strideW": 2}
        fields["fusedActivationFunction"] = ACTIVATIONS.index(activation)
        named, out = ("TransposeConvOptions", fields), T((1, 8, 8, 6))
        yield case("TRANSPOSE_CONV", f"float32, {activation}", given, [out], named, 4)


def _pools() -> Iterator[Case]:
    for operator in ("AVERAGE_POOL_2D", "MAX_POOL_2D"):
        for kind, number in ((F32, 1), (I8, 2), (U8, 1), (I16, 3)):
            for size, stride in ((2, 2), (3, 1), (8, 8)):
                side = _side(8, stride)
                fields = {"padding": SAME, "filterHeight": size, "filterWidth": size}
                named = "Pool2DOptions", fields | {"strideH": stride, "strideW": stride}
                image, out = T((1, 8, 8, 8), kind), T((1, side, side, 8), kind)
                what = f"{kind.lower()}, {size}×{size}, stride {stride}"
                yield case(operator, what, [image], [out], named, number)
        for activation in ("RELU", "RELU6", "TANH"):
            fields = {"padding": VALID, "filterHeight": 2, "filterWidth": 2, "strideH": 2}
            fields |= {"strideW": 2, "fusedActivationFunction": ACTIVATIONS.index(activation)}
            image, out = T((1, 8, 8, 8)), T((1, 4, 4, 8))
            named = "Pool2DOptions", fields
            yield case(operator, f"float32, {activation}", [image], [out], named)
    fields = {"padding": SAME, "filterHeight": 2, "filterWidth": 2, "strideH": 2, "strideW": 2}
    given, out = [T((1, 8, 8, 8))], T((1, 4, 4, 8))
    yield case("L2_POOL_2D", "float32", given, [out], ("Pool2DOptions", fields))
