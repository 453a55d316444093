"""Operators of indices, normalizations, products of matrices, and changes of types."""

from __future__ import annotations

from collections.abc import Iterator

from converters.studies.gpu_rules.files import (
    F32,
    I8,
    I16,
    I32,
    U8,
    Case,
    T,
    case,
    constant,
    numbers,
)

MAP = (1, 4, 4, 8)


def all_cases() -> Iterator[Case]:
    """Yields all cases of this file."""
    yield from _indices()
    yield from _normalizations()
    yield from _matrices()
    yield from _others()


def _indices() -> Iterator[Case]:
    for axis in (0, 1, 3):
        out = tuple(2 if i == axis else side for i, side in enumerate(MAP))
        named = "GatherOptions", {"axis": axis}
        given = [T(MAP), constant((2,), I32, values=(0, 0))]
        yield case("GATHER", f"float32, axis {axis}", given, [T(out)], named)
    named = "GatherOptions", {"axis": 1}
    given = [T(MAP, I8), numbers(0, 3)]
    yield case("GATHER", "int8, axis 1", given, [T((1, 2, 4, 8), I8)], named, 2)
    given = [T(MAP), constant((2, 1), I32, values=((0,), (3,)))]
    yield case("GATHER", "float32, indices of rank 2", given, [T((1, 2, 1, 4, 8))], named)
    given = [T(MAP), constant((), I32, values=(1,))]
    yield case("GATHER", "float32, one index", given, [T((1, 4, 8))], named)
    given = [T((300, 8)), T((2,), I32)]
    yield case("GATHER", "float32, computed indices", given, [T((2, 8))], ("GatherOptions", {}))
    given = [T(MAP), constant((2, 2), I32, values=((0, 1), (0, 3)))]
    yield case("GATHER_ND", "float32", given, [T((2, 4, 8))], ("GatherNdOptions", {}))
    given = [T((2,), I32), constant((300, 8))]
    yield case("EMBEDDING_LOOKUP", "float32", given, [T((2, 8))])
    given = [T((2,), I32), constant((300, 8), I8)]
    yield case("EMBEDDING_LOOKUP", "int8 table", given, [T((2, 8))], None, 3)
    on, off = T((), F32, True, (1.0,)), T((), F32, True, (0.0,))
    given = [T((1,), I32), numbers(10, shape=()), on, off]
    yield case("ONE_HOT", "float32", given, [T((1, 10))], ("OneHotOptions", {"axis": -1}))
    given = [T((2, 8)), numbers(3, shape=())]
    yield case("TOPK_V2", "float32", given, [T((2, 3)), T((2, 3), I32)], ("TopKV2Options", {}))
    for name, table in (("ARG_MAX", "ArgMaxOptions"), ("ARG_MIN", "ArgMinOptions")):
        given, named = [T(MAP), numbers(3, shape=())], (table, {"outputType": 2})
        yield case(name, "float32", given, [T((1, 4, 4), I32)], named)
    given = [T(MAP), numbers(2, shape=())]
    yield case("CUMSUM", "float32", given, [T(MAP)], ("CumsumOptions", {}))
    start = T((4,), I32, True, (0, 1, 0, 0))
    given, named = [T(MAP), T((1, 2, 4, 8)), start], ("DynamicUpdateSliceOptions", {})
    yield case("DYNAMIC_UPDATE_SLICE", "float32, constant start", given, [T(MAP)], named)


def _normalizations() -> Iterator[Case]:
    for beta in (1.0, 2.0):
        named = "SoftmaxOptions", {"beta": beta}
        yield case("SOFTMAX", f"float32, beta {beta:g}", [T((1, 8))], [T((1, 8))], named)
    for shape in ((2, 8), (1, 4, 8), MAP):
        named = "SoftmaxOptions", {"beta": 1.0}
        yield case("SOFTMAX", f"float32, {len(shape)} axes", [T(shape)], [T(shape)], named)
    out = T((1, 8), I8, scales=(1 / 256,), zero_point=-128)
    yield case("SOFTMAX", "int8", [T((1, 8), I8)], [out], named, 2)
    yield case("LOG_SOFTMAX", "float32", [T((1, 8))], [T((1, 8))], ("LogSoftmaxOptions", {}))
    named = "L2NormOptions", {}
    yield case("L2_NORMALIZATION", "float32", [T(MAP)], [T(MAP)], named)
    fields = {"radius": 2, "bias": 1.0, "alpha": 1e-2, "beta": 0.5}
    named = "LocalResponseNormalizationOptions", fields
    yield case("LOCAL_RESPONSE_NORMALIZATION", "float32", [T(MAP)], [T(MAP)], named)


def _matrices() -> Iterator[Case]:
    for transposed in (False, True):
        named = "BatchMatMulOptions", {"adjY": transposed}
        shape = (1, 6, 8) if transposed else (1, 8, 6)
        what = ", transposed" if transposed else ""
        pair, out = [T((1, 4, 8)), T(shape)], T((1, 4, 6))
        yield case("BATCH_MATMUL", f"float32, rank 3{what}", pair, [out], named)
        pair = [T((1, 4, 8)), constant(shape)]
        yield case("BATCH_MATMUL", f"float32, constant of rank 3{what}", pair, [out], named)
        pair = [T((1, 4, 8)), constant(shape[1:])]
        yield case("BATCH_MATMUL", f"float32, constant of rank 2{what}", pair, [out], named)
    named = "BatchMatMulOptions", {"adjX": True}
    pair, out = [T((1, 8, 4)), T((1, 8, 6))], T((1, 4, 6))
    yield case("BATCH_MATMUL", "float32, first transposed", pair, [out], named)
    pair = [T((1, 8, 4)), constant((8, 6))]
    what = "float32, first transposed, constant of rank 2"
    yield case("BATCH_MATMUL", what, pair, [out], named)
    pair = [constant((8, 4)), T((4, 6))]
    named = "BatchMatMulOptions", {}
    yield case("BATCH_MATMUL", "float32, constant first", pair, [T((8, 6))], named)
    pair, out = [T((1, 2, 4, 8)), T((1, 2, 8, 6))], T((1, 2, 4, 6))
    yield case("BATCH_MATMUL", "float32, rank 4", pair, [out], named)


def _others() -> Iterator[Case]:
    for kind, number in ((I8, 1), (U8, 1), (I16, 2)):
        what, given, out = f"float32 to {kind.lower()}", [T(MAP)], [T(MAP, kind)]
        yield case("QUANTIZE", what, given, out, ("QuantizeOptions", {}), number)
        what, number = f"{kind.lower()} to float32", {I8: 2, U8: 1, I16: 3}[kind]
        yield case("DEQUANTIZE", what, out, given, ("DequantizeOptions", {}), number)
    out = [T(MAP, I8, scales=(0.1,), zero_point=0)]
    yield case("QUANTIZE", "int8 to int8", [T(MAP, I8)], out, ("QuantizeOptions", {}), 2)
    yield case("SHAPE", "float32", [T(MAP)], [T((4,), I32)], ("ShapeOptions", {"outType": 2}))
    fields = {"strideD": 1, "strideH": 1, "strideW": 1, "padding": 0}
    fields |= {"dilationDFactor": 1, "dilationHFactor": 1, "dilationWFactor": 1}
    given = [T((1, 4, 4, 4, 2)), constant((1, 3, 3, 2, 4))]
    yield case("CONV_3D", "float32", given, [T((1, 4, 4, 4, 4))], ("Conv3DOptions", fields))
