"""Operators that move, join and reduce values: axes, ranks, masks."""

from __future__ import annotations

from collections.abc import Iterator

from converters.studies.gpu_rules.files import (
    BOOL,
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
    numbers,
)  # fmt: skip

MAP = (1, 4, 4, 8)
Shape = tuple[int, ...]


def all_cases() -> Iterator[Case]:
    """Yields all cases of this file."""
    yield from _reductions()
    yield from _reshapes()
    yield from _joins()
    yield from _wide()
    yield from _slices()
    yield from _pads()
    yield from _blocks()
    yield from _resizes()


def _reductions() -> Iterator[Case]:
    def reduced(
        name: str,
        what: str,
        shape: Shape,
        axes: Shape,
        out: Shape,
        kind: str = F32,
        keep: bool = False,
        version: int = 1,
    ) -> Case:
        named = "ReducerOptions", {"keepDims": keep}
        given = [T(shape, kind), numbers(*axes)]
        return case(name, f"{kind.lower()}, {what}", given, [T(out, kind)], named, version)

    for name in ("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD"):
        yield reduced(name, "height and width", MAP, (1, 2), (1, 8))
        yield reduced(name, "height and width, kept", MAP, (1, 2), (1, 1, 1, 8), keep=True)
        yield reduced(name, "channels", MAP, (3,), (1, 4, 4))
        # Few values, whose product is not next to zero.
        yield reduced(name, "all axes", (1, 2, 2, 2), (0, 1, 2, 3), ())
        if name != "REDUCE_PROD":
            yield reduced(name, "height and width, kept", MAP, (1, 2), (1, 1, 1, 8), I8, True, 2)
    yield reduced("MEAN", "height and width", MAP, (1, 2), (1, 8), I8, version=2)
    yield reduced("MEAN", "channels", MAP, (3,), (1, 4, 4), I8, version=2)
    yield reduced("MEAN", "negative axes", MAP, (-3, -2), (1, 8))
    yield reduced("MEAN", "rank 2", (2, 8), (1,), (2,))
    yield reduced("MEAN", "rank 3", (1, 4, 8), (1,), (1, 8))
    yield reduced("MEAN", "height and width", MAP, (1, 2), (1, 8), I16, version=3)
    for name in ("REDUCE_ALL", "REDUCE_ANY"):
        yield reduced(name, "height and width", MAP, (1, 2), (1, 8), BOOL)


def _reshapes() -> Iterator[Case]:
    for kind in (F32, I8, U8, I16, I32, I64, BOOL):
        given = [T(MAP, kind), numbers(1, 128)]
        named = "ReshapeOptions", {"newShape": [1, 128]}
        yield case("RESHAPE", f"{kind.lower()}, rank 4 to 2", given, [T((1, 128), kind)], named)
    shapes: tuple[tuple[int, ...], ...] = ((1, 2, 2, 4, 8), (128,), (1, 16, 8))
    for sides in shapes:
        named = "ReshapeOptions", {"newShape": list(sides)}
        given = [T(MAP), numbers(*sides)]
        yield case("RESHAPE", f"float32, rank 4 to {len(sides)}", given, [T(sides)], named)
    named = "SqueezeOptions", {"squeezeDims": [0]}
    yield case("SQUEEZE", "float32", [T(MAP)], [T((4, 4, 8))], named)
    named = "ExpandDimsOptions", {}
    yield case("EXPAND_DIMS", "float32", [T((4, 4, 8)), numbers(0)], [T(MAP)], named)
    for order, kind, number in (
        ((0, 2, 1, 3), F32, 1),
        ((0, 3, 1, 2), F32, 1),
        ((0, 3, 1, 2), I8, 2),
        ((3, 0, 1, 2), F32, 1),
        ((0, 2, 1), F32, 1),
        ((1, 0), F32, 1),
        ((0, 2, 1, 3, 4), F32, 4),
    ):
        shape = {4: MAP, 3: (1, 4, 8), 2: (4, 8), 5: (1, 2, 3, 2, 4)}[len(order)]
        out = T(tuple(shape[i] for i in order), kind)
        what = f"{kind.lower()}, {' '.join(map(str, order))}"
        named = "TransposeOptions", {}
        yield case("TRANSPOSE", what, [T(shape, kind), numbers(*order)], [out], named, number)
    given, named = [T(MAP), numbers(1, 2, 1, 1)], ("TileOptions", {})
    yield case("TILE", "float32", given, [T((1, 8, 4, 8))], named)
    given = [T((1, 1, 1, 8)), numbers(*MAP)]
    yield case("BROADCAST_TO", "float32", given, [T(MAP)], ("BroadcastToOptions", {}), 2)
    for axis in (1, 2, 3):
        given, named = [T(MAP), numbers(axis)], ("ReverseV2Options", {})
        yield case("REVERSE_V2", f"float32, axis {axis}", given, [T(MAP)], named)


def _wide() -> Iterator[Case]:
    given, out = [T(MAP, I16), numbers(0, 2, 1, 3)], T(MAP, I16)
    yield case("TRANSPOSE", "int16", given, [out], ("TransposeOptions", {}), 3)
    pads = constant((4, 2), I32, values=((0, 0), (1, 1), (1, 1), (0, 0)))
    given, out = [T(MAP, I16), pads], T((1, 6, 6, 8), I16)
    yield case("PAD", "int16", given, [out], ("PadOptions", {}), 2)
    halves = [T((1, 4, 4, 4), I16), T((1, 4, 4, 4), I16)]
    given = [numbers(3, shape=()), T(MAP, I16)]
    yield case("SPLIT", "int16", given, halves, ("SplitOptions", {"numSplits": 2}), 4)
    given, named = [T(MAP, I16), numbers(0, 3)], ("GatherOptions", {"axis": 1})
    yield case("GATHER", "int16", given, [T((1, 2, 4, 8), I16)], named, 4)
    named = "PackOptions", {"valuesCount": 2, "axis": 0}
    pair = [T((4, 4, 8), I16), T((4, 4, 8), I16)]
    yield case("PACK", "int16", pair, [T((2, 4, 4, 8), I16)], named, 2)
    named = "StridedSliceOptions", {}
    given = [T(MAP, I16), numbers(0, 0, 0, 0), numbers(*MAP), numbers(1, 2, 2, 1)]
    yield case("STRIDED_SLICE", "int16", given, [T((1, 2, 2, 8), I16)], named, 4)


def _joins() -> Iterator[Case]:
    for axis in (0, 1, 2, 3):
        shape = tuple(2 * side if i == axis else side for i, side in enumerate(MAP))
        named = "ConcatenationOptions", {"axis": axis}
        pair = [T(MAP), T(MAP)]
        yield case("CONCATENATION", f"float32, axis {axis}", pair, [T(shape)], named)
    named, out = ("ConcatenationOptions", {"axis": 3}), (1, 4, 4, 16)
    for kind, number in ((I8, 2), (U8, 1), (I32, 1), (I16, 3)):
        pair = [T(MAP, kind), T(MAP, kind)]
        yield case("CONCATENATION", f"{kind.lower()}, axis 3", pair, [T(out, kind)], named, number)
    pair = [T(MAP), constant(MAP)]
    yield case("CONCATENATION", "float32, a constant", pair, [T(out)], named)
    pair = [T((1, 4, 4, 3)), T((1, 4, 4, 5))]
    yield case("CONCATENATION", "float32, 3 and 5 channels", pair, [T(MAP)], named)
    both = T(MAP)
    yield case("CONCATENATION", "float32, the same twice", [both, both], [T(out)], named)
    pair, rank2 = [T((2, 8)), T((2, 8))], ("ConcatenationOptions", {"axis": 1})
    yield case("CONCATENATION", "float32, rank 2", pair, [T((2, 16))], rank2)
    named = "PackOptions", {"valuesCount": 2, "axis": 0}
    pair = [T((4, 4, 8)), T((4, 4, 8))]
    yield case("PACK", "float32, to rank 4", pair, [T((2, 4, 4, 8))], named)
    pair = [T(MAP), T(MAP)]
    yield case("PACK", "float32, to rank 5", pair, [T((2, *MAP))], named)
    named = "UnpackOptions", {"num": 2, "axis": 0}
    yield case("UNPACK", "float32, rank 4", [T((2, 4, 4, 8))], [T((4, 4, 8)), T((4, 4, 8))], named)
    for kind, number in ((F32, 1), (I8, 2)):
        halves = [T((1, 4, 4, 4), kind), T((1, 4, 4, 4), kind)]
        given, named = [numbers(3, shape=()), T(MAP, kind)], ("SplitOptions", {"numSplits": 2})
        yield case("SPLIT", f"{kind.lower()}, channels", given, halves, named, number)
        given = [T(MAP, kind), numbers(3, 5), numbers(3, shape=())]
        parts = [T((1, 4, 4, 3), kind), T((1, 4, 4, 5), kind)]
        named = "SplitVOptions", {"numSplits": 2}
        yield case("SPLIT_V", f"{kind.lower()}, 3 and 5 channels", given, parts, named, number)
    halves, named = [T((1, 2, 4, 8)), T((1, 2, 4, 8))], ("SplitOptions", {"numSplits": 2})
    yield case("SPLIT", "float32, height", [numbers(1, shape=()), T(MAP)], halves, named)


def _slices() -> Iterator[Case]:
    for kind, number in ((F32, 1), (I8, 2), (I16, 4), (I32, 1), (I64, 1), (BOOL, 3)):
        given = [T(MAP, kind), numbers(0, 1, 1, 2), numbers(1, 2, 3, 4)]
        yield case("SLICE", f"{kind.lower()}, rank 4", given, [T((1, 2, 3, 4), kind)], None, number)
    given = [T((1, 4, 8)), numbers(0, 1, 2), numbers(1, 2, 4)]
    yield case("SLICE", "float32, rank 3", given, [T((1, 2, 4))])
    given = [T((4, 8)), numbers(1, 2), numbers(2, 4)]
    yield case("SLICE", "float32, rank 2", given, [T((2, 4))])

    def strided(
        what: str,
        shape: Shape,
        begin: Shape,
        end: Shape,
        strides: Shape,
        out: Shape,
        kind: str = F32,
        version: int = 1,
        **masks: int,
    ) -> Case:
        given = [T(shape, kind), numbers(*begin), numbers(*end), numbers(*strides)]
        named, what = ("StridedSliceOptions", masks), f"{kind.lower()}, {what}"
        return case("STRIDED_SLICE", what, given, [T(out, kind)], named, version)

    half = (MAP, (0, 0, 0, 0), (1, 4, 4, 8), (1, 2, 2, 1), (1, 2, 2, 8))
    yield strided("every other place", *half)
    yield strided("every other place", *half, kind=I8, version=2)
    yield strided("every other place, version 4", *half, version=4)
    yield strided("every other place, version 5", *half, version=5)
    yield strided("begin_mask and end_mask", MAP, (0, 1, 1, 0), (0, 3, 3, 0), (1, 1, 1, 1),
                  (1, 2, 2, 8), beginMask=9, endMask=9)  # fmt: skip
    yield strided("shrink_axis_mask", MAP, (0, 1, 0, 0), (1, 2, 4, 8), (1, 1, 1, 1), (1, 4, 8),
                  shrinkAxisMask=2)  # fmt: skip
    yield strided("new_axis_mask", (4, 4, 8), (0, 0, 0, 0), (0, 4, 4, 8), (1, 1, 1, 1), MAP,
                  newAxisMask=1)  # fmt: skip
    yield strided("ellipsis_mask", MAP, (0, 2), (0, 6), (1, 1), (1, 4, 4, 4), ellipsisMask=1)
    yield strided("reversed", MAP, (0, 3, 0, 0), (1, -5, 4, 8), (1, -1, 1, 1), MAP)
    yield strided("rank 2", (4, 8), (0, 0), (4, 8), (2, 2), (2, 4))
    yield strided("rank 3", (1, 4, 8), (0, 0, 0), (1, 4, 8), (1, 2, 2), (1, 2, 4))


def _pads() -> Iterator[Case]:
    around = constant((4, 2), I32, values=((0, 0), (1, 1), (2, 1), (0, 0)))
    wider = T((1, 6, 7, 8))
    for kind, number in ((F32, 1), (I8, 2), (U8, 1)):
        given, out = [T(MAP, kind), around], T(wider.shape, kind)
        named: Options = ("PadOptions", {})
        yield case("PAD", f"{kind.lower()}, 4×2", given, [out], named, number)
    channels = constant((4, 2), I32, values=((0, 0), (0, 0), (0, 0), (1, 2)))
    given, out = [T(MAP), channels], T((1, 4, 4, 11))
    yield case("PAD", "float32, channels", given, [out], ("PadOptions", {}))
    for rank in (1, 2, 3):
        pads = constant((rank, 2), I32, values=((1, 1),) * rank)
        given, out = [T((4,) * rank), pads], T((6,) * rank)
        yield case("PAD", f"float32, {rank}×2", given, [out], ("PadOptions", {}))
    wide = constant((4, 2), I64, values=around.values)
    yield case("PAD", "float32, int64 paddings", [T(MAP), wide], [wider], ("PadOptions", {}))
    for value in (0.0, -2.0):
        given = [T(MAP), around, T((), F32, True, (value,))]
        yield case("PADV2", f"float32, of {value:g}", given, [wider], ("PadV2Options", {}))
    for mode, what in ((0, "REFLECT"), (1, "SYMMETRIC")):
        pads = constant((4, 2), I32, values=((0, 0), (1, 1), (1, 1), (0, 0)))
        named, out = ("MirrorPadOptions", {"mode": mode}), T((1, 6, 6, 8))
        yield case("MIRROR_PAD", f"float32, {what}", [T(MAP), pads], [out], named)


def _blocks() -> Iterator[Case]:
    for kind in (F32, I8):
        fields = {"blockSize": 2}
        what, number = f"{kind.lower()}, block 2", 1
        out, named = T((1, 8, 8, 2), kind), ("DepthToSpaceOptions", fields)
        yield case("DEPTH_TO_SPACE", what, [T(MAP, kind)], [out], named, number)
        out, named = T((1, 2, 2, 32), kind), ("SpaceToDepthOptions", fields)
        yield case("SPACE_TO_DEPTH", what, [T(MAP, kind)], [out], named, number)
    for operator, table in (
        ("DEPTH_TO_SPACE", "DepthToSpaceOptions"),
        ("SPACE_TO_DEPTH", "SpaceToDepthOptions"),
    ):
        yield case(operator, "float32, block 1", [T(MAP)], [T(MAP)], (table, {"blockSize": 1}))
    zeros = constant((2, 2), I32, values=((0, 0), (0, 0)))
    given, out = [T(MAP), numbers(2, 2), zeros], T((4, 2, 2, 8))
    yield case("SPACE_TO_BATCH_ND", "float32", given, [out], ("SpaceToBatchNDOptions", {}))
    given, out = [T((4, 2, 2, 8)), numbers(2, 2), zeros], T(MAP)
    yield case("BATCH_TO_SPACE_ND", "float32", given, [out], ("BatchToSpaceNDOptions", {}))


def _resizes() -> Iterator[Case]:
    for name in ("Bilinear", "NearestNeighbor"):
        operator = "RESIZE_" + {"Bilinear": "BILINEAR"}.get(name, "NEAREST_NEIGHBOR")
        for corners, centers, what in (
            (False, False, "plain"),
            (True, False, "align_corners"),
            (False, True, "half_pixel_centers"),
        ):
            for kind in (F32, I8):
                fields = {"alignCorners": corners, "halfPixelCenters": centers}
                given, out = [T(MAP, kind), numbers(7, 9)], T((1, 7, 9, 8), kind)
                number = 3 if centers else 1 if kind == F32 else 2
                named = f"Resize{name}Options", fields
                yield case(operator, f"{kind.lower()}, {what}", given, [out], named, number)
