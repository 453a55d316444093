"""Operators of one and of two values: types, shapes that broadcast, constants."""

from __future__ import annotations

from collections.abc import Iterator

from converters.inspection.gpu_rules import COMPARISONS
from converters.studies.gpu_rules.files import (
    BOOL,
    F16,
    F32,
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
)  # fmt: skip
from converters.tflite.options import ACTIVATIONS

MAP = (1, 4, 4, 8)
_OPTIONS = {
    "ABS": "AbsOptions", "COS": "CosOptions", "EXP": "ExpOptions", "GELU": "GeluOptions",
    "HARD_SWISH": "HardSwishOptions", "LOGICAL_AND": "LogicalAndOptions", "NEG": "NegOptions",
    "LOGICAL_NOT": "LogicalNotOptions", "LOGICAL_OR": "LogicalOrOptions", "SIGN": "SignOptions",
    "SQUARE": "SquareOptions", "ADD": "AddOptions", "SUB": "SubOptions", "MUL": "MulOptions",
    "DIV": "DivOptions", "MAXIMUM": "MaximumMinimumOptions", "MINIMUM": "MaximumMinimumOptions",
    "SQUARED_DIFFERENCE": "SquaredDifferenceOptions", "POW": "PowOptions",
    "FLOOR_DIV": "FloorDivOptions", "FLOOR_MOD": "FloorModOptions", "ATAN2": "ATan2Options",
    "EQUAL": "EqualOptions", "NOT_EQUAL": "NotEqualOptions", "GREATER": "GreaterOptions",
    "GREATER_EQUAL": "GreaterEqualOptions", "LESS": "LessOptions", "LESS_EQUAL": "LessEqualOptions",
    "RIGHT_SHIFT": "RightShiftOptions", "SELECT": "SelectOptions", "SELECT_V2": "SelectV2Options",
}  # fmt: skip
_ONE = (
    "ABS CEIL COS ELU EXP FLOOR GELU HARD_SWISH LOG LOGISTIC NEG RELU RELU6 RELU_0_TO_1"
    " RELU_N1_TO_1 ROUND RSQRT SIGN SIN SQRT SQUARE TANH"
)
# With quantized values: the scale and zero point of the output that the kernels ask for.
_ONE_QUANTIZED = {
    "ABS": (0.05, 3), "EXP": (0.5, -128), "HARD_SWISH": (0.05, 3),
    "LOGISTIC": (1 / 256, -128), "RELU": (0.05, 3), "RELU6": (0.05, 3), "TANH": (1 / 128, 0),
    "RSQRT": (0.05, 3), "GELU": (0.05, 3), "LOG": (0.05, 3),
}  # fmt: skip
_TWO = "ADD SUB MUL DIV MAXIMUM MINIMUM SQUARED_DIFFERENCE POW FLOOR_DIV FLOOR_MOD ATAN2"
_CAST: Options = ("CastOptions", {})


def all_cases() -> Iterator[Case]:
    """Yields all cases of this file."""
    yield from _unary()
    yield from _slopes()
    yield from _binary()
    yield from _integers()
    yield from _logic()
    yield from _casts()


def options(operator: str, **fields: object) -> Options | None:
    """Returns the options of an elementwise operator, if its type has any."""
    return (_OPTIONS[operator], fields) if operator in _OPTIONS else None


def _unary() -> Iterator[Case]:
    for name in _ONE.split():
        yield case(name, "float32", [T(MAP)], [T(MAP)], options(name))
    for name, (scale, point) in _ONE_QUANTIZED.items():
        given = T(MAP, I8)
        if name in ("RSQRT", "LOG"):  # of positive values only
            given = T(MAP, I8, zero_point=-128)
        out = T(MAP, I8, scales=(scale,), zero_point=point)
        number = 1 if name == "HARD_SWISH" else 2
        yield case(name, "int8", [given], [out], options(name), number)
    for name, number in (("RELU", 3), ("ABS", 3), ("EXP", 2), ("LEAKY_RELU", 2)):
        named = ("LeakyReluOptions", {"alpha": 0.1}) if name == "LEAKY_RELU" else options(name)
        yield case(name, "int16", [T(MAP, I16)], [T(MAP, I16)], named, number)
    for name, number in (("SUB", 5), ("MAXIMUM", 3)):
        pair = [T(MAP, I16), T(MAP, I16)]
        yield case(name, "int16, two maps", pair, [T(MAP, I16)], options(name), number)
    yield case("RELU", "float32, rank 5", [T((1, 2, 2, 2, 2))], [T((1, 2, 2, 2, 2))])
    yield case("RELU", "float32, rank 2", [T((2, 8))], [T((2, 8))])
    yield case("RELU", "float32, rank 1", [T((8,))], [T((8,))])
    yield case("RELU", "float32, unknown batch size", [T((-1, 8))], [T((-1, 8))])
    yield case("ABS", "int32", [T(MAP, I32)], [T(MAP, I32)], options("ABS"), 5)
    yield case("NEG", "int32", [T(MAP, I32)], [T(MAP, I32)], options("NEG"))
    yield case("SIGN", "int32", [T(MAP, I32)], [T(MAP, I32)], options("SIGN"), 2)
    for name in ("LOGISTIC", "TANH"):
        out = T(MAP, I16, scales=(1 / 32768,))
        given = T(MAP, I16, scales=(1 / 4096,))
        yield case(name, "int16", [given], [out], options(name), 3)


def _slopes() -> Iterator[Case]:
    for alpha in (0.1, -0.25, 1.5):
        named = "LeakyReluOptions", {"alpha": alpha}
        yield case("LEAKY_RELU", f"float32, slope {alpha}", [T(MAP)], [T(MAP)], named)
        given, out = [T(MAP, I8)], [T(MAP, I8)]
        yield case("LEAKY_RELU", f"int8, slope {alpha}", given, out, named, 2)
    for shape, what in (
        ((8,), "a slope per channel"),
        ((1, 1, 8), "a slope per channel, rank 3"),
        ((1, 1, 1), "one slope"),
        ((4, 4, 8), "a slope per value"),
    ):
        yield case("PRELU", f"float32, {what}", [T(MAP), constant(shape)], [T(MAP)])
        given = [T(MAP, I8), constant(shape, I8, scales=(0.01,))]
        yield case("PRELU", f"int8, {what}", given, [T(MAP, I8)])


def _binary() -> Iterator[Case]:
    for name in _TWO.split():
        yield case(name, "float32, two maps", [T(MAP), T(MAP)], [T(MAP)], options(name))
        if name != "ATAN2":
            pair = [T(MAP), constant(())]
            yield case(name, "float32, a constant", pair, [T(MAP)], options(name))
    for name in ("ADD", "SUB", "MUL", "DIV", "MAXIMUM"):
        for shape, what in _OTHERS:
            pair = [T(MAP), T(shape)]
            yield case(name, f"float32, maps and {what}", pair, [T(MAP)], options(name))
            pair = [T(MAP), constant(shape)]
            yield case(name, f"float32, maps and constant {what}", pair, [T(MAP)], options(name))
        pair, out = [T((1, 1, 4, 8)), T((1, 4, 1, 8))], T(MAP)
        yield case(name, "float32, a row and a column", pair, [out], options(name))
        pair = [T((1, 1, 1, 8)), T(MAP)]
        yield case(name, "float32, a vector of rank 4 and maps", pair, [out], options(name))
        pair = [constant(MAP), T(MAP)]
        yield case(name, "float32, constant first", pair, [out], options(name))
        both = T(MAP)
        yield case(name, "float32, the same twice", [both, both], [out], options(name))
        fields = {"fusedActivationFunction": ACTIVATIONS.index("RELU6")}
        if name != "MAXIMUM":
            yield case(name, "float32, RELU6", [T(MAP), T(MAP)], [out], options(name, **fields))
            fields = {"fusedActivationFunction": ACTIVATIONS.index("TANH")}
            yield case(name, "float32, TANH", [T(MAP), T(MAP)], [out], options(name, **fields))
    for count in (2, 3):
        given = [T(MAP) for _ in range(count)]
        yield case("ADD_N", f"float32, {count} maps", given, [T(MAP)], ("AddNOptions", {}))
    pair, out = [T((2, 4, 4, 8)), T((2, 1, 1, 8))], T((2, 4, 4, 8))
    yield case("MUL", "float32, two images and a vector each", pair, [out], options("MUL"))
    pair = [T((2, 4, 4, 8)), T((4, 4, 8))]
    yield case("MUL", "float32, two images and a map", pair, [out], options("MUL"))
    for number in (2, 3, 4, 5):
        pair, out = [T(MAP), T(MAP)], T(MAP)
        yield case("ADD", f"float32, version {number}", pair, [out], options("ADD"), number)
        yield case("MUL", f"float32, version {number}", pair, [out], options("MUL"), number)


_OTHERS = (
    ((8,), "a vector of rank 1"),
    ((1, 8), "a vector of rank 2"),
    ((1, 1, 8), "a vector of rank 3"),
    ((1, 1, 1, 8), "a vector of rank 4"),
    ((4, 8), "rows of rank 2"),
    ((4, 4, 8), "maps of rank 3"),
    ((1, 4, 4, 1), "one channel"),
)


def _integers() -> Iterator[Case]:
    for name in ("ADD", "SUB", "MUL", "MAXIMUM", "MINIMUM", "SQUARED_DIFFERENCE"):
        arithmetic = name in ("ADD", "SUB", "MUL")
        scale = {"MUL": 0.3, "SQUARED_DIFFERENCE": 0.6}.get(name, 0.1 if arithmetic else 0.05)
        for kind in (I8, U8) if arithmetic else (I8,):
            what, number = kind.lower(), 2 if kind == I8 else 1
            out = T(MAP, kind, scales=(scale,))
            pair = [T(MAP, kind), T(MAP, kind)]
            yield case(name, f"{what}, two maps", pair, [out], options(name), number)
            for shape, other in _OTHERS if kind == I8 and arithmetic else _OTHERS[:2]:
                pair = [T(MAP, kind), T(shape, kind)]
                told = f"{what}, maps and {other}"
                yield case(name, told, pair, [out], options(name), number)
                pair = [T(MAP, kind), constant(shape, kind)]
                told = f"{what}, maps and constant {other}"
                yield case(name, told, pair, [out], options(name), number)
    for name, number in (("ADD", 3), ("MUL", 4)):
        fields = {"potScaleInt16": False} if name == "ADD" else {}
        pair = [T(MAP, I16, scales=(1e-3,)), T(MAP, I16, scales=(1e-3,))]
        out = T(MAP, I16, scales=(2e-3,))
        yield case(name, "int16, two maps", pair, [out], options(name, **fields), number)
    for name in ("ADD", "SUB", "MUL", "MAXIMUM", "MINIMUM"):
        pair = [T(MAP, I32), T(MAP, I32)]
        yield case(name, "int32", pair, [T(MAP, I32)], options(name))
    for name in ("FLOOR_DIV", "FLOOR_MOD", "RIGHT_SHIFT"):
        pair = [T(MAP, I32), constant((), I32, values=(3,))]
        yield case(name, "int32", pair, [T(MAP, I32)], options(name))


def _logic() -> Iterator[Case]:
    for name in ("LOGICAL_AND", "LOGICAL_OR"):
        yield case(name, "bool", [T(MAP, BOOL), T(MAP, BOOL)], [T(MAP, BOOL)], options(name))
    yield case("LOGICAL_NOT", "bool", [T(MAP, BOOL)], [T(MAP, BOOL)], options("LOGICAL_NOT"))
    for name in COMPARISONS:
        out, cast = T(MAP, BOOL), ("CAST", T(MAP), _CAST)
        yield case(name, "float32, a result", [T(MAP), T(MAP)], [out], options(name))
        yield case(name, "float32, then CAST", [T(MAP), T(MAP)], [out], options(name), then=cast)
    given = [T(MAP), constant(())]
    what = "float32, a constant, then CAST"
    yield case("GREATER", what, given, [out], options("GREATER"), then=cast)
    given = [T(MAP, I32), T(MAP, I32)]
    yield case("GREATER", "int32, then CAST", given, [out], options("GREATER"), then=cast)
    given = [T(MAP, I8), T(MAP, I8)]
    yield case("GREATER", "int8, then CAST", given, [out], options("GREATER"), 2, then=cast)
    for name in ("SELECT", "SELECT_V2"):
        for kind in (F32, I8, I32):
            given = [T(MAP, BOOL), T(MAP, kind), T(MAP, kind)]
            yield case(name, f"{kind.lower()}, two maps", given, [T(MAP, kind)], options(name))
    yes = T(MAP, BOOL)
    for shape, what in (((), "a scalar"), ((8,), "a vector"), ((4, 8), "rows of rank 2")):
        given = [yes, T(MAP), constant(shape)]
        told = f"float32, maps and constant {what}"
        yield case("SELECT_V2", told, given, [T(MAP)], options("SELECT_V2"))


def _casts() -> Iterator[Case]:
    kinds = (F32, F16, I32, I64, BOOL, U8, I8, I16)
    for source in kinds:
        for target in kinds:
            if source == target or (F32 not in (source, target) and I32 not in (source, target)):
                continue
            given = T(MAP, source, scales=())
            number = 6 if F16 in (source, target) else 3 if I16 in (source, target) else 2
            what = f"{source.lower()} to {target.lower()}"
            yield case("CAST", what, [given], [T(MAP, target, scales=())], _CAST, number)
