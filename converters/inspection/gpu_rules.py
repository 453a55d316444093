"""Rules of operators that TFLite's classic GPU delegate and LiteRT's ML Drift engine share.

Both check an operator with the same public source, tflite/tools/versioning/gpu_compatibility.cc, in
different versions. `gpu_classic` and `gpu_ml_drift` have what only one of them does.
"""

from __future__ import annotations

from math import prod

from converters.inspection.gpu_node import Node, Rule, named

_FLOATS = ("FLOAT32", "FLOAT16")
COMPARISONS = ("EQUAL", "NOT_EQUAL", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL")


def anything(_: Node) -> str | None:
    """Takes every operator."""
    return None


def computed(inputs: int, outputs: int = 1) -> Rule:
    """Returns a rule on the numbers of computed inputs and of outputs."""

    def rule(node: Node) -> str | None:
        if (node.computed_inputs, len(node.outputs)) != (inputs, outputs):
            return (
                f"{node.computed_inputs} computed inputs and {len(node.outputs)} outputs,"
                f" instead of {inputs} and {outputs}"
            )
        return None

    return rule


def unary(node: Node) -> str | None:
    """Takes operators with one input, which is computed, and one output."""
    return computed(1)(node) if len(node.inputs) == 1 else "requires a single input"


def _window(node: Node) -> str | None:
    if node.option("stride_h") <= 0 or node.option("stride_w") <= 0:
        return "a non-positive stride"
    if node.operator.options.get("activation") == 5:
        return "the fused activation SIGN_BIT"
    return None


def _convolution(node: Node) -> str | None:
    if not 1 <= node.computed_inputs <= 2 or len(node.outputs) != 1 or len(node.inputs) < 2:
        return "requires one or two computed inputs and one output"
    if min(node.operator.options.get(f"dilation_{side}", 1) for side in "hw") <= 0:
        return "a non-positive dilation"
    return _window(node)


def depthwise(node: Node) -> str | None:
    """Takes depthwise convolutions whose channels fit their multiplier."""
    image, kernel = node.shape(0), node.shape(1)
    out = node.outputs[0].shape if node.outputs else ()
    if {len(image), len(kernel), len(out)} != {4}:
        return "tensors of rank other than 4"
    multiplier = node.option("depth_multiplier")
    if kernel[3] != out[3] or out[3] != image[3] * multiplier:
        return "channels that do not match the depth multiplier"
    return _convolution(node)


def _pool(node: Node) -> str | None:
    if node.option("filter_h") <= 0 or node.option("filter_w") <= 0:
        return "a non-positive window size"
    return computed(1)(node) or _window(node)


def axes(node: Node) -> str | None:
    """Takes reductions over constant int32 axes."""
    if len(node.inputs) != 2 or not node.is_constant(node.inputs[1]):
        return "non-constant axes"
    if node.inputs[1].type != "INT32":
        return f"axes of type {node.inputs[1].type.lower()}"
    return computed(1)(node)


def pair(node: Node) -> str | None:
    """Takes operators of two inputs, at least one of them computed."""
    constants = len(node.inputs) - node.computed_inputs
    if (node.computed_inputs, constants) not in ((2, 0), (1, 1)) or len(node.outputs) != 1:
        return "requires two inputs, at least one of them computed, and one output"
    return None


def twice(node: Node) -> str | None:
    """Refuses operators that read one tensor twice."""
    same = len(node.inputs) == 2 and node.inputs[0].index == node.inputs[1].index
    return "the same tensor twice" if same else None


def broadcast(node: Node) -> str | None:
    """Takes two inputs that broadcast, if their ranks differ."""
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
    if node.computed_inputs > 2:
        return "more than two computed inputs"
    if node.inputs and node.is_constant(node.inputs[0]):
        return "a constant input"
    same = node.outputs and len(node.shape(0)) == len(node.outputs[0].shape)
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
    if node.shape(1) not in ((3, 2), (4, 2)):
        return "paddings of a shape other than 4×2 or 3×2"
    if node.name == "MIRROR_PAD" and node.option("mode") != 0:
        return "symmetric mirror padding"
    return computed(1)(node)


def masks(node: Node) -> str | None:
    """Takes strided slices whose masks leave out no axis and add none."""
    for mask in ("ellipsis_mask", "new_axis_mask", "shrink_axis_mask"):
        if node.option(mask):
            return mask
    if len(node.inputs) < 4:
        return "requires four inputs"
    return None


def reversed_slice(node: Node) -> str | None:
    """Refuses strided slices with a negative stride."""
    return "a negative stride" if any(n < 0 for n in node.numbers(3)) else None


def _softmax(node: Node) -> str | None:
    return None if node.option("beta") == 1 else "beta other than 1"


def _blocks(node: Node) -> str | None:
    return computed(1)(node) if node.option("block_size") > 1 else "a block size below 2"


def _bilinear(node: Node) -> str | None:
    both = node.option("align_corners") and node.option("half_pixel_centers")
    return "align_corners with half_pixel_centers" if both else computed(1)(node)


def _lstm(node: Node) -> str | None:
    full = len(node.operator.inputs) in (20, 24) and len(node.outputs) == 1
    return None if full or len(node.outputs) == 4 else "neither the full nor the basic LSTM kernel"


def _two_inputs(node: Node) -> str | None:
    return None if len(node.inputs) == 2 else "requires two inputs"


def _cumsum(node: Node) -> str | None:
    if len(node.inputs) != 2 or node.type(0) not in _FLOATS:
        return "requires two inputs, of which the first is float"
    fits = node.type(1) == "INT32" and node.is_constant(node.inputs[1])
    return None if fits else "axes that are not constant int32"


def _gather(node: Node) -> str | None:
    if len(node.shape(1)) != 1:
        return "indices of a rank other than 1"
    return None if node.type(1) == "INT32" else "indices of a type other than int32"


def _cast(node: Node) -> str | None:
    source, target = node.type(0), node.outputs[0].type if node.outputs else ""
    if "BOOL" in (source, target):
        other = target if source == "BOOL" else source
        fits = other in _FLOATS
    else:
        fits = {source, target} <= {"FLOAT32", "INT32"}
    return computed(1)(node) if fits else f"{source.lower()} to {target.lower()}"


def _chosen(node: Node) -> str | None:
    if len(node.inputs) != 3 or len(node.outputs) != 1:
        return "requires three inputs and one output"
    if node.type(0) not in ("BOOL", *_FLOATS):
        return f"conditions of type {node.type(0).lower()}"
    for place in (1, 2):
        shape = node.shape(place)
        if shape != node.outputs[0].shape and (len(shape) > 1 or prod(shape) > 1):
            return "values whose shape is not that of the output"
    return None


def _one_hot(node: Node) -> str | None:
    if node.type(0) != "INT32":
        return "indices of a type other than int32"
    if any(side != 1 for side in node.shape(0)[len(node.shape(0)) > 3 : -1]):
        return "indices of more than a batch and channels"
    for place in (2, 3):
        value = node.input(place)
        if value is None or value.type != "FLOAT32" or not value.constant or value.elements > 1:
            return "values that are not constant float32 scalars"
    return None


def slopes(node: Node) -> str | None:
    """Takes PRELU with a slope for each channel or each value."""
    image, slope = node.shape(0), node.shape(1)
    each = prod(slope[:-1]) == 1 and slope[-1:] == image[-1:]
    return None if each or slope == image[1:] else "slopes that are not per channel or per value"


def paddings_int32(node: Node) -> str | None:
    """Refuses paddings of another type than int32."""
    return f"{node.type(1).lower()} paddings" if node.type(1) != "INT32" else None


SHARED: dict[str, Rule] = {
    **named("CONCATENATION PACK PRELU RELU RELU6 RELU_N1_TO_1 LEAKY_RELU SPLIT SPLIT_V", anything),
    **named("HARD_SWISH QUANTIZE RESHAPE TILE TRANSPOSE RESIZE_NEAREST_NEIGHBOR", computed(1)),
    **named("ABS COS ELU EXP FLOOR GELU LOG LOGISTIC NEG RSQRT SIGN SIN SQRT SQUARE TANH", unary),
    **named("DIV FLOOR_DIV FLOOR_MOD LOGICAL_AND MAXIMUM MINIMUM POW", pair),
    **named("SQUARED_DIFFERENCE SUB", pair),
    **named(" ".join(COMPARISONS), pair),
    **named("MEAN SUM REDUCE_MAX REDUCE_MIN REDUCE_PROD", axes),
    **named("ADD MUL", broadcast),
    **named("ADD_N BATCH_MATMUL", _two_inputs),
    **named("AVERAGE_POOL_2D MAX_POOL_2D", _pool),
    **named("CONV_2D TRANSPOSE_CONV", _convolution),
    **named("DEPTH_TO_SPACE SPACE_TO_DEPTH", _blocks),
    **named("PAD PADV2 MIRROR_PAD", _padding),
    **named("SELECT SELECT_V2", _chosen),
    "CAST": _cast,
    "CUMSUM": _cumsum,
    "DEPTHWISE_CONV_2D": depthwise,
    "DEQUANTIZE": _dequantize,
    "FULLY_CONNECTED": _dense,
    "GATHER": _gather,
    "LSTM": _lstm,
    "ONE_HOT": _one_hot,
    "RESIZE_BILINEAR": _bilinear,
    "SLICE": anything,
    "SOFTMAX": _softmax,
    "STRIDED_SLICE": masks,
    "UNPACK": anything,
}
CUSTOM: dict[str, Rule] = {
    "Convolution2DTransposeBias": anything,
    "MaxPoolingWithArgmax2D": computed(1, 2),
    "MaxUnpooling2D": computed(2),
    "Resampler": computed(2),
}


def by_table(node: Node, table: dict[str, Rule], versions: dict[str, int]) -> str | None:
    """Returns why an engine refuses the operator by its rules; None if it takes it.

    Args:
        node: The operator.
        table: Rules by operator; one that is not in it is refused.
        versions: Newest version that the engine knows, by operator.
    """
    operator = node.operator
    if operator.kind == "flex":
        return "a TensorFlow kernel, which runs on the CPU"
    if operator.kind == "custom":
        rule = CUSTOM.get(operator.name)
        return "a custom operator" if rule is None else rule(node)
    rule = table.get(operator.name)
    if rule is None:
        return "not supported"
    if operator.version > versions.get(operator.name, operator.version):
        return f"version {operator.version}, above {versions[operator.name]}"
    return rule(node)
