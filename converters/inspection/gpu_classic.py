"""What TFLite's classic GPU delegate takes: OpenCL and OpenGL ES on phones, Metal on iPhones.

From the public source: tflite/tools/versioning/gpu_compatibility.cc, and model_builder.cc in
tflite/delegates/gpu/common for types, ranks, versions and what fails only when the delegate is
initialized. Where versions of the source differ, the stricter one counts: LiteRT's copy also takes
a depth multiplier of several channels, and a row times a column. The delegate does not run on this
computer, so that no test compares these rules with it.
"""

from __future__ import annotations

from converters.inspection.gpu_node import Node, Rule, joined, named
from converters.inspection.gpu_rules import (
    COMPARISONS,
    SHARED,
    anything,
    by_table,
    depthwise,
    masks,
    paddings_int32,
    reversed_slice,
    slopes,
    twice,
)

NAME = "TFLite's classic delegate"
_MAX_RANK = 4
_TYPES = ("FLOAT32", "FLOAT16", "INT8", "UINT8")
# Further types of inputs and of outputs.
_INPUTS_TOO = {
    "CAST": ("BOOL", "INT32"),
    "GATHER": ("INT32",),
    "LOGICAL_AND": ("BOOL",),
    "ONE_HOT": ("INT32",),
    "SELECT": ("BOOL",),
    "SELECT_V2": ("BOOL",),
}
_OUTPUTS_TOO = {
    "CAST": ("BOOL", "INT32"),
    "LOGICAL_AND": ("BOOL",),
    **dict.fromkeys(COMPARISONS, ("BOOL",)),
}
_NEWEST = {
    1: "CUMSUM DENSIFY GATHER ONE_HOT PRELU RESHAPE SELECT SELECT_V2",
    2: "ABS ADD ADD_N AVERAGE_POOL_2D CONCATENATION COS DIV ELU EXP FLOOR FLOOR_DIV FLOOR_MOD GELU"
    " LEAKY_RELU LOG LOGICAL_AND LOGISTIC MAXIMUM MAX_POOL_2D MINIMUM MIRROR_PAD NEG PAD PADV2 POW"
    " QUANTIZE RELU RELU6 RELU_0_TO_1 RELU_N1_TO_1 RSQRT SIGN SIN SLICE SOFTMAX SPACE_TO_DEPTH SQRT"
    " SQUARE SQUARED_DIFFERENCE SUB TANH " + " ".join(COMPARISONS),
    3: "DEQUANTIZE MUL RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR TRANSPOSE_CONV",
    4: "LSTM STRIDED_SLICE TRANSPOSE",
    6: "CONV_2D DEPTHWISE_CONV_2D",
    9: "FULLY_CONNECTED",
}
_VERSIONS = {name: version for version, names in _NEWEST.items() for name in names.split()}
_PACKED = ("INT2", "INT4", "UINT4")


def refusal(node: Node) -> str | None:
    """Returns why the delegate leaves the operator to the CPU; None if it takes it."""
    return by_table(node, _TABLE, _VERSIONS) or _types(node)


def failure(node: Node) -> str | None:
    """Returns why the delegate, which has taken the operator, fails to initialize; else None.

    Nothing then runs on the GPU, not even the other operators.
    """
    if any(tensor.type in _PACKED for tensor in node.inputs if node.is_constant(tensor)):
        return "weights of less than 8 bits"
    rule = _FAILURES.get(node.name) if node.operator.kind == "builtin" else None
    return None if rule is None else rule(node)


def _types(node: Node) -> str | None:
    for tensors, too in ((node.inputs, _INPUTS_TOO), (node.outputs, _OUTPUTS_TOO)):
        allowed = _TYPES + too.get(node.name, ())
        for tensor in tensors:
            if len(tensor.shape) > _MAX_RANK:
                return f"a tensor of rank {len(tensor.shape)}, above {_MAX_RANK}"
            if not node.is_constant(tensor) and tensor.type not in allowed:
                return f"{tensor.type.lower()} activations"
    return None


def _comparison(node: Node) -> str | None:
    if node.operator.version > _VERSIONS[node.name]:  # checked first, even of these
        return None
    users = node.facts.users.get(node.operator.outputs[0], []) if node.operator.outputs else []
    if len(users) == 1 and users[0].name in ("CAST", "SELECT", "SELECT_V2"):
        target = node.facts.graph.tensors[users[0].outputs[0]].type if users[0].outputs else ""
        if target in ("FLOAT32", "FLOAT16"):
            return None
    return "a result that is not read by just one CAST or SELECT to floats"


def _cast(node: Node) -> str | None:
    outputs = node.operator.outputs
    if node.type(0) == "BOOL" and outputs:
        facts, source = node.facts, node.operator.inputs[0]
        alone = source in facts.producers and len(facts.users[source]) == 1
        if not alone or len(facts.users.get(outputs[0], [])) != 1:
            return "from bool, unless between just two operators"
    return SHARED["CAST"](node)


def _one_channel(node: Node) -> str | None:
    several = node.option("depth_multiplier") != 1 and node.shape(0)[-1:] != (1,)
    return "a depth multiplier for several channels" if several else None


def _slice(node: Node) -> str | None:
    return None if len(node.shape(0)) in (3, 4) else "an input of rank other than 3 or 4"


def _product(node: Node) -> str | None:
    left, right = node.shape(0), node.shape(1)
    if len(left) != len(right):
        return SHARED["MUL"](node)
    smaller = any(a < b for a, b in zip(left, right, strict=True))
    larger = any(a > b for a, b in zip(left, right, strict=True))
    return "a row times a column" if smaller and larger else None


def _columns(node: Node) -> str | None:
    weights = node.input(1)
    if weights is None or not node.is_constant(weights) or len(weights.shape) != 2:
        return None
    return "maps that are not flattened" if node.shape(0)[-1:] != weights.shape[-1:] else None


def _matrix(node: Node) -> str | None:
    second = node.input(1)
    constant = second is not None and node.is_constant(second)
    return "a constant of rank other than 2" if constant and len(node.shape(1)) != 2 else None


def _unpacked(node: Node) -> str | None:
    sparse = bool(node.inputs) and all(tensor.constant for tensor in node.inputs)
    return None if sparse else "an input that is not a constant"


_TABLE: dict[str, Rule] = {
    **SHARED,
    **named(" ".join(COMPARISONS), _comparison),
    "CAST": _cast,
    "DENSIFY": _unpacked,
    "DEPTHWISE_CONV_2D": joined(depthwise, _one_channel),
    "MUL": _product,
    "RELU_0_TO_1": anything,
    "SLICE": _slice,
    "STRIDED_SLICE": joined(masks, _slice),
}
_FAILURES: dict[str, Rule] = {
    **named("DIV FLOOR_DIV FLOOR_MOD MAXIMUM MINIMUM POW SQUARED_DIFFERENCE SUB", twice),
    "BATCH_MATMUL": _matrix,
    "FULLY_CONNECTED": _columns,
    "PAD": paddings_int32,
    "PRELU": slopes,
    "STRIDED_SLICE": reversed_slice,
}
