"""Schema positions of the operator options that the inspection uses.

Taken from the public schema (tflite/converter/schema/schema.fbs): each options table by its number
in the BuiltinOptions union, and each field as (slot, type, default).
`tests/converters/inspection/test_inspect.py` checks them against LiteRT's generated reader.
"""

from __future__ import annotations

from types import MappingProxyType

from converters.tflite.model import Options
from converters.tflite.tables import Kind, Table

Field = tuple[int, Kind, int]

_ACTIVATION_FIRST: dict[str, Field] = {"activation": (0, "i1", 0)}
_CONVOLUTION: dict[str, Field] = {
    "padding": (0, "i1", 0),
    "stride_w": (1, "i4", 0),
    "stride_h": (2, "i4", 0),
}

# Number in the BuiltinOptions union → (table name in the schema, fields).
TABLES: dict[int, tuple[str, dict[str, Field]]] = {
    1: (
        "Conv2DOptions",
        {
            **_CONVOLUTION,
            "activation": (3, "i1", 0),
            "dilation_w": (4, "i4", 1),
            "dilation_h": (5, "i4", 1),
        },
    ),
    2: (
        "DepthwiseConv2DOptions",
        {
            **_CONVOLUTION,
            "depth_multiplier": (3, "i4", 0),
            "activation": (4, "i1", 0),
            "dilation_w": (5, "i4", 1),
            "dilation_h": (6, "i4", 1),
        },
    ),
    5: (
        "Pool2DOptions",
        {
            **_CONVOLUTION,
            "filter_w": (3, "i4", 0),
            "filter_h": (4, "i4", 0),
            "activation": (5, "i1", 0),
        },
    ),
    8: (
        "FullyConnectedOptions",
        {
            "activation": (0, "i1", 0),
            "weights_format": (1, "i1", 0),
            "keep_num_dims": (2, "u1", 0),
        },
    ),
    9: ("SoftmaxOptions", {"beta": (0, "f4", 0)}),
    10: ("ConcatenationOptions", {"axis": (0, "i4", 0), "activation": (1, "i1", 0)}),
    11: ("AddOptions", _ACTIVATION_FIRST),
    15: (
        "ResizeBilinearOptions",
        {"align_corners": (2, "u1", 0), "half_pixel_centers": (3, "u1", 0)},
    ),
    19: ("SpaceToDepthOptions", {"block_size": (0, "i4", 0)}),
    21: ("MulOptions", _ACTIVATION_FIRST),
    28: ("SubOptions", _ACTIVATION_FIRST),
    29: ("DivOptions", _ACTIVATION_FIRST),
    32: (
        "StridedSliceOptions",
        {
            "begin_mask": (0, "i4", 0),
            "end_mask": (1, "i4", 0),
            "ellipsis_mask": (2, "i4", 0),
            "new_axis_mask": (3, "i4", 0),
            "shrink_axis_mask": (4, "i4", 0),
        },
    ),
    49: ("TransposeConvOptions", {**_CONVOLUTION, "activation": (3, "i1", 0)}),
    75: ("LeakyReluOptions", {"alpha": (0, "f4", 0)}),
    77: ("MirrorPadOptions", {"mode": (0, "i1", 0)}),
    94: ("DepthToSpaceOptions", {"block_size": (0, "i4", 0)}),
    101: ("BatchMatMulOptions", {"adj_x": (0, "u1", 0), "adj_y": (1, "u1", 0)}),
}

SAME, VALID = 0, 1
ACTIVATIONS = ("NONE", "RELU", "RELU_N1_TO_1", "RELU6", "TANH", "SIGN_BIT")
NO_OPTIONS: Options = MappingProxyType({})


def read(kind: int, table: Table | None) -> Options:
    """Reads an operator's options; empty if it has none or `kind` is not in `TABLES`."""
    if table is None or kind not in TABLES:
        return NO_OPTIONS
    values: dict[str, int | float] = {}
    for name, (slot, form, default) in TABLES[kind][1].items():
        if form == "f4":
            values[name] = table.real(slot, default)
        else:
            values[name] = table.integer(slot, form, default)
    return MappingProxyType(values)
