"""Operator support rules of the GPU delegate.

Based on the public source tflite/tools/versioning/gpu_compatibility.cc and, for types and ranks, on
the delegate's model_builder.cc. Where the delegate of LiteRT 2.3 was observed to refuse more than
that source says (DENSIFY, GATHER, int16 activations, int4 weights, unknown batch size), the rules
follow the delegate.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from converters.tflite.model import Graph, Operator, Tensor

_MAX_RANK = 4
_FLOATS = ("FLOAT32", "FLOAT16")
_TYPES = (*_FLOATS, "INT8", "UINT8")
# Additional types of operators that work on indices, conditions and comparisons.
_TYPES_TOO: dict[str, tuple[str, ...]] = {
    "CAST": ("INT32", "BOOL"),
    "EMBEDDING_LOOKUP": ("INT32",),
    "EQUAL": ("BOOL",),
    "GREATER": ("BOOL",),
    "GREATER_EQUAL": ("BOOL",),
    "LESS": ("BOOL",),
    "LESS_EQUAL": ("BOOL",),
    "LOGICAL_AND": ("BOOL",),
    "LOGICAL_NOT": ("BOOL",),
    "LOGICAL_OR": ("BOOL",),
    "NOT_EQUAL": ("BOOL",),
    "ONE_HOT": ("INT32",),
    "SELECT": ("BOOL",),
    "SELECT_V2": ("BOOL",),
}
_SEEN_REFUSED = "refused by LiteRT's delegate"


@dataclass(frozen=True)
class Node:
    """An operator as seen by the delegate, to which weights unpacked at startup are constants.

    `folded` holds the indices of those unpacked tensors.
    """

    graph: Graph
    operator: Operator
    folded: set[int]

    @property
    def inputs(self) -> list[Tensor]:
        """Inputs, skipping omitted optional ones."""
        return self.graph.input_tensors(self.operator)

    @property
    def outputs(self) -> list[Tensor]:
        """Output tensors."""
        return self.graph.output_tensors(self.operator)

    def is_constant(self, tensor: Tensor) -> bool:
        """Returns whether the tensor's value is known before the first inference."""
        return tensor.constant or tensor.index in self.folded

    @property
    def runtime_inputs(self) -> int:
        """Number of inputs computed at run time."""
        return sum(not self.is_constant(tensor) for tensor in self.inputs)

    def option(self, name: str) -> int | float:
        """Returns an option of the operator; 0 if it is not known."""
        return self.operator.options.get(name, 0)


Rule = Callable[[Node], str | None]


def refusal(node: Node) -> str | None:
    """Returns why the delegate refuses the operator; None if it is supported."""
    operator = node.operator
    if operator.kind == "flex":
        return "a TensorFlow kernel, which runs on the CPU"
    if operator.kind == "custom" and operator.name not in _CUSTOM:
        return "a custom operator"
    rule = _CUSTOM.get(operator.name) if operator.kind == "custom" else _RULES.get(operator.name)
    if rule is None:
        return "not supported by the GPU delegate"
    return rule(node) or _types(node)


def _types(node: Node) -> str | None:
    allowed = _TYPES + _TYPES_TOO.get(node.operator.name, ())
    for tensor in (*node.inputs, *node.outputs):
        if node.is_constant(tensor):
            if tensor.type in ("INT4", "INT2", "UINT4"):
                return f"{tensor.type.lower()} weights"
            continue
        if tensor.type not in allowed:
            return f"{tensor.type.lower()} activations"
        if tensor.dynamic:
            return "a dimension, such as the batch size, known only at run time"
        if len(tensor.shape) > _MAX_RANK:
            return f"a tensor of rank {len(tensor.shape)}, above the maximum of {_MAX_RANK}"
    return None


def _any(_: Node) -> str | None:
    return None


def _seen_refused(_: Node) -> str | None:
    return _SEEN_REFUSED


def _computed(inputs: int, outputs: int = 1) -> Rule:
    def rule(node: Node) -> str | None:
        if (node.runtime_inputs, len(node.outputs)) != (inputs, outputs):
            return (
                f"{node.runtime_inputs} computed inputs and {len(node.outputs)} outputs,"
                f" instead of {inputs} and {outputs}"
            )
        return None

    return rule


def _window(node: Node) -> str | None:
    if node.option("stride_h") <= 0 or node.option("stride_w") <= 0:
        return "a non-positive stride"
    if node.operator.options.get("activation") == 5:
        return "the fused activation SIGN_BIT"
    return None


def _convolution(node: Node) -> str | None:
    if not 1 <= node.runtime_inputs <= 2 or len(node.outputs) != 1 or len(node.inputs) < 2:
        return "requires one or two computed inputs and one output"
    return _window(node)


def _depthwise(node: Node) -> str | None:
    image, kernel, out = (
        (*node.inputs[:2], *node.outputs[:1]) if len(node.inputs) > 1 else (None,) * 3
    )
    if image is None or kernel is None or out is None:
        return "missing weights"
    if {len(image.shape), len(kernel.shape), len(out.shape)} != {4}:
        return "tensors of rank other than 4"
    multiplier = node.option("depth_multiplier")
    if kernel.shape[3] != out.shape[3] or out.shape[3] != image.shape[3] * multiplier:
        return "channels that do not match the depth multiplier"
    return _convolution(node)


def _pool(node: Node) -> str | None:
    if node.option("filter_h") <= 0 or node.option("filter_w") <= 0:
        return "a non-positive window size"
    return _computed(1)(node) or _window(node)


def _axes(node: Node) -> str | None:
    if len(node.inputs) != 2 or not node.is_constant(node.inputs[1]):
        return "non-constant axes"
    if node.inputs[1].type != "INT32":
        return f"axes of type {node.inputs[1].type.lower()}"
    return _computed(1)(node)


def _pair(node: Node) -> str | None:
    constants = len(node.inputs) - node.runtime_inputs
    if (node.runtime_inputs, constants) not in ((2, 0), (1, 1)) or len(node.outputs) != 1:
        return "requires two inputs, at least one of them computed, and one output"
    return None


def _sum(node: Node) -> str | None:
    if len(node.inputs) != 2:
        return "requires two inputs"
    left, right = (tensor.shape for tensor in node.inputs)
    if 1 < len(left) != len(right) > 1:
        pairs = zip(reversed(left), reversed(right), strict=False)
        if any(a != b and 1 not in (a, b) for a, b in pairs):
            return f"shapes {list(left)} and {list(right)} that do not broadcast"
    return None


def _dense(node: Node) -> str | None:
    if node.option("weights_format"):
        return "shuffled weights"
    if node.runtime_inputs > 2:
        return "more than two computed inputs"
    same = node.inputs and node.outputs and len(node.inputs[0].shape) == len(node.outputs[0].shape)
    return (
        "keep_num_dims with a different output rank"
        if node.option("keep_num_dims") and not same
        else None
    )


def _dequantize(node: Node) -> str | None:
    if len(node.inputs) != 1 or len(node.outputs) != 1:
        return "requires one input and one output"
    return "int16 input" if node.inputs[0].type == "INT16" else None


def _padding(node: Node) -> str | None:
    if len(node.inputs) < 2 or node.inputs[1].shape not in ((3, 2), (4, 2)):
        return "paddings of a shape other than 4×2 or 3×2"
    if node.operator.name == "MIRROR_PAD" and node.option("mode") != 0:
        return "symmetric mirror padding"
    return _computed(1)(node)


def _slice(node: Node) -> str | None:
    if not node.inputs or len(node.inputs[0].shape) not in (3, 4):
        return "an input of rank other than 3 or 4"
    for mask in ("ellipsis_mask", "new_axis_mask", "shrink_axis_mask"):
        if node.option(mask):
            return mask
    return None


def _softmax(node: Node) -> str | None:
    return None if node.option("beta") == 1 else "beta other than 1"


def _blocks(node: Node) -> str | None:
    return _computed(1)(node) if node.option("block_size") > 1 else "a block size below 2"


def _bilinear(node: Node) -> str | None:
    both = node.option("align_corners") and node.option("half_pixel_centers")
    return "align_corners with half_pixel_centers" if both else _computed(1)(node)


def _lstm(node: Node) -> str | None:
    full = len(node.operator.inputs) in (20, 24) and len(node.outputs) == 1
    return None if full or len(node.outputs) == 4 else "neither the full nor the basic LSTM kernel"


def _two_inputs(node: Node) -> str | None:
    return None if len(node.inputs) == 2 else "requires two inputs"


def _rules(names: str, rule: Rule) -> dict[str, Rule]:
    return dict.fromkeys(names.split(), rule)


_RULES: dict[str, Rule] = {
    **_rules("CONCATENATION PACK PRELU RELU RELU6 RELU_N1_TO_1 LEAKY_RELU SPLIT SPLIT_V", _any),
    **_rules("HARD_SWISH QUANTIZE RESHAPE TILE TRANSPOSE RESIZE_NEAREST_NEIGHBOR", _computed(1)),
    **_rules("ABS CEIL COS ELU EXP FLOOR GELU LOG LOGICAL_NOT LOGISTIC NEG ROUND", _computed(1)),
    **_rules("RSQRT SIGN SIN SQRT SQUARE TANH CAST BITCAST", _computed(1)),
    **_rules("ATAN2 DIV EQUAL FLOOR_DIV FLOOR_MOD GREATER GREATER_EQUAL LOGICAL_AND", _pair),
    **_rules("LOGICAL_OR LESS LESS_EQUAL MAXIMUM MINIMUM NOT_EQUAL POW RIGHT_SHIFT", _pair),
    **_rules("SQUARED_DIFFERENCE SUB", _pair),
    **_rules("MEAN SUM REDUCE_ALL REDUCE_ANY REDUCE_MAX REDUCE_MIN REDUCE_PROD REVERSE_V2", _axes),
    **_rules("ADD MUL", _sum),
    **_rules("ADD_N BATCH_MATMUL CUMSUM EMBEDDING_LOOKUP", _two_inputs),
    **_rules("AVERAGE_POOL_2D MAX_POOL_2D", _pool),
    **_rules("CONV_2D TRANSPOSE_CONV", _convolution),
    **_rules("DEPTH_TO_SPACE SPACE_TO_DEPTH", _blocks),
    **_rules("PAD PADV2 MIRROR_PAD", _padding),
    **_rules("SLICE STRIDED_SLICE", _slice),
    **_rules("DENSIFY GATHER", _seen_refused),
    "DEPTHWISE_CONV_2D": _depthwise,
    "DEQUANTIZE": _dequantize,
    "FULLY_CONNECTED": _dense,
    "LSTM": _lstm,
    "ONE_HOT": _any,
    "RESIZE_BILINEAR": _bilinear,
    "SELECT": _any,
    "SELECT_V2": _any,
    "SOFTMAX": _softmax,
    "TOPK_V2": _computed(1, 2),
    "DYNAMIC_UPDATE_SLICE": _any,
}
_CUSTOM: dict[str, Rule] = {
    "Convolution2DTransposeBias": _any,
    "MaxPoolingWithArgmax2D": _computed(1, 2),
    "MaxUnpooling2D": _computed(2),
    "Resampler": _computed(2),
}
