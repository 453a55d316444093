"""What LiteRT's GPU engine, ML Drift, takes.

It checks an operator with its own version of tflite/tools/versioning/gpu_compatibility.cc. Types
and versions are what the engine of LiteRT 2.3 was seen to take: `scripts.studies.gpu_rules`
compares these rules with it, see docs/gpu_rules.md.
"""

from __future__ import annotations

from converters.inspection.gpu_node import Node, Rule, joined, named
from converters.inspection.gpu_rules import (
    COMPARISONS,
    SHARED,
    anything,
    axes,
    by_table,
    computed,
    paddings_int32,
    pair,
    reversed_slice,
    slopes,
    twice,
    unary,
)

NAME = "LiteRT's ML Drift"
_MAX_RANK = 4
_TYPES = ("FLOAT32", "FLOAT16", "INT8", "UINT8", "INT16", "INT32", "BOOL")
# Others of int16 are taken, or refused by their versions.
_NO_INT16 = (
    "CONV_2D", "DEPTHWISE_CONV_2D", "EXP", "FULLY_CONNECTED", "LEAKY_RELU", "MEAN", "QUANTIZE",
    "RSQRT", "SPLIT",
)  # fmt: skip
_NEWEST = {
    1: "SELECT SELECT_V2 TOPK_V2",
    2: "AVERAGE_POOL_2D LOGISTIC MAX_POOL_2D QUANTIZE RELU RELU6 RSQRT STRIDED_SLICE SUB TANH "
    + " ".join(COMPARISONS),
    3: "DEQUANTIZE RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR TRANSPOSE_CONV",
    6: "CONV_2D DEPTHWISE_CONV_2D",
}
_VERSIONS = {name: version for version, names in _NEWEST.items() for name in names.split()}


def refusal(node: Node) -> str | None:
    """Returns why the engine leaves the operator to the CPU; None if it takes it."""
    return by_table(node, _TABLE, _VERSIONS) or _types(node)


def _types(node: Node) -> str | None:
    for tensor in (*node.inputs, *node.outputs):
        if len(tensor.shape) > _MAX_RANK:
            return f"a tensor of rank {len(tensor.shape)}, above {_MAX_RANK}"
        if node.is_constant(tensor):
            continue
        if tensor.type not in _TYPES or (tensor.type == "INT16" and node.name in _NO_INT16):
            return f"{tensor.type.lower()} activations"
    return None


def _weights(node: Node) -> str | None:
    return "uint8 weights" if node.type(1) == "UINT8" else None


def _not_sparse(node: Node) -> str | None:
    source = node.facts.producers.get(node.operator.inputs[0]) if node.inputs else None
    return "of sparse weights" if source is not None and source.name == "DENSIFY" else None


def _first_computed(node: Node) -> str | None:
    constant = bool(node.inputs) and node.is_constant(node.inputs[0])
    return "a constant first matrix" if constant else None


def _start(node: Node) -> str | None:
    start = node.input(2)
    return "a constant start" if start is None or node.is_constant(start) else None


_TABLE: dict[str, Rule] = {
    **SHARED,
    **named("CEIL LOGICAL_NOT ROUND BITCAST", unary),
    **named("LOGICAL_OR RIGHT_SHIFT", pair),
    **named("ATAN2 DIV FLOOR_DIV FLOOR_MOD MAXIMUM MINIMUM POW", joined(pair, twice)),
    **named("SQUARED_DIFFERENCE SUB", joined(pair, twice)),
    **named("REDUCE_ALL REDUCE_ANY REVERSE_V2", axes),
    "ARG_MAX": anything,
    "BATCH_MATMUL": joined(SHARED["BATCH_MATMUL"], _first_computed),
    "CAST": computed(1),
    "DEQUANTIZE": joined(SHARED["DEQUANTIZE"], _not_sparse),
    "DYNAMIC_UPDATE_SLICE": _start,
    "EMBEDDING_LOOKUP": anything,
    "FULLY_CONNECTED": joined(SHARED["FULLY_CONNECTED"], _weights),
    "PAD": joined(SHARED["PAD"], paddings_int32),
    "PRELU": slopes,
    "STRIDED_SLICE": joined(SHARED["STRIDED_SLICE"], reversed_slice),
    "TOPK_V2": computed(1, 2),
}
