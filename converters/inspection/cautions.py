"""Operators that an engine takes and then computes something else of.

docs/gpu_rules.md compares the values of LiteRT's GPU engine with the CPU's; docs/conversion.md has
the forms that our own files use instead.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from converters.inspection import gpu_classic, gpu_ml_drift
from converters.inspection.gpu_node import Facts, Node
from converters.tflite.model import Model
from converters.tflite.options import ACTIVATIONS

_ML_DRIFT, _CLASSIC = gpu_ml_drift.NAME, gpu_classic.NAME
NPU = "Qualcomm's NPU"
CPU = "LiteRT's CPU kernels"
OLD = "tflite_runtime 2.14"
_TANH = ACTIVATIONS.index("TANH")


@dataclass(frozen=True)
class Caution:
    """Operators of one type whose values are not to be trusted on some engines.

    Attributes:
        engines: Engines that it is about.
        operator: Name of the operator, for example `CONV_2D`.
        what: What is special about these operators.
        effect: What the engines do.
        count: Number of operators.
    """

    engines: tuple[str, ...]
    operator: str
    what: str
    effect: str
    count: int = 1

    @property
    def text(self) -> str:
        """The caution in words, without the engines."""
        return f"{self.count} {self.operator} {self.what}: {self.effect}"


_WRONG = "wrong values"
Found = tuple[tuple[str, ...], str, str]  # engines, what, effect


def check(model: Model) -> tuple[Caution, ...]:
    """Returns the cautions about the main graph, most frequent first."""
    facts = Facts(model, model.main)
    counts: Counter[tuple[tuple[str, ...], str, str, str]] = Counter()
    for operator in model.main.operators:
        for engines, what, effect in of_operator(Node(facts, operator)):
            counts[engines, operator.name, what, effect] += 1
    return tuple(Caution(*key, count) for key, count in counts.most_common())


def of_operator(node: Node) -> list[Found]:
    """Returns engines, condition and effect of each caution about an operator."""
    if node.operator.kind != "builtin":
        return []
    found = [_tanh(node), _dynamic(node), *(rule(node) for rule in _RULES.get(node.name, ()))]
    return [each for each in found if each is not None]


def _slope(node: Node) -> Found | None:
    alpha = node.option("alpha")
    if 0 <= alpha <= 1:
        return None
    engines: tuple[str, ...] = (_ML_DRIFT, _CLASSIC)
    if alpha < 0 and node.type(0) == "INT8":
        engines += (NPU,)
    side = "below 0" if alpha < 0 else "above 1"
    return engines, f"with a slope {side}", "computed as max(x, min(slope · x, 0))"


def _strided_pointwise(node: Node) -> Found | None:
    strided = max(node.option("stride_h"), node.option("stride_w")) > 1
    if node.type(1) not in ("INT4", "INT8") or node.shape(1)[1:3] != (1, 1) or not strided:
        return None
    return (_ML_DRIFT,), "quantized, 1×1, with a stride", _WRONG


def _multiplied(node: Node) -> Found | None:
    several = node.option("depth_multiplier") > 1 and node.shape(0)[-1:] != (1,)
    if not several or node.shape(1)[1:3] != (1, 1):
        return None
    return (_ML_DRIFT,), "1×1, with a multiplier", _WRONG


def _lower_rank(node: Node) -> Found | None:
    ranks = [len(tensor.shape) for tensor in node.inputs]
    kinds = {tensor.type for tensor in node.inputs}
    if not kinds <= {"INT8", "UINT8"} or len(ranks) != 2:
        return None
    smaller = min(node.inputs, key=lambda tensor: len(tensor.shape))
    if ranks[0] == ranks[1] or node.is_constant(smaller) or not smaller.shape:
        return None
    return (_ML_DRIFT,), "quantized, of two computed tensors of different ranks", _WRONG


def _unflattened(node: Node) -> Found | None:
    depth = node.shape(1)[-1:]
    if node.option("keep_num_dims") or node.shape(0)[-1:] == depth or len(node.shape(0)) < 3:
        return None
    return (_ML_DRIFT,), "on maps that are not flattened", "uses their first place only"


def _computed_weights(node: Node) -> Found | None:
    weights, bias = node.input(1), node.input(2)
    if weights is None or bias is None or node.is_constant(weights):
        return None
    return (_ML_DRIFT,), "with computed weights and a bias", "leaves out the bias"


def _transposed(node: Node) -> Found | None:
    second = node.input(1)
    if second is None or not node.is_constant(second) or len(second.shape) != 2:
        return None
    if not node.option("adj_x") and not node.option("adj_y"):
        return None
    return (_ML_DRIFT, _CLASSIC), "transposed, with a constant of rank 2", "is not transposed"


def _three_pads(node: Node) -> Found | None:
    if node.shape(1) != (3, 2):
        return None
    return (_ML_DRIFT, _CLASSIC), "of a tensor of rank 3", "pads the batch, too"


def _dynamic(node: Node) -> Found | None:
    weights, image = node.input(1), node.type(2 if node.name == "TRANSPOSE_CONV" else 0)
    if node.name not in _WEIGHTED or weights is None or not node.is_constant(weights):
        return None
    if weights.type not in ("INT4", "INT8") or image not in ("FLOAT32", "FLOAT16"):
        return None
    return (NPU,), "with integer weights and float activations", "left to the CPU"


def _hybrid(node: Node) -> bool:
    weights = node.input(1)
    constant = weights is not None and node.is_constant(weights)
    return constant and node.type(1) in ("INT4", "INT8") and node.type(0) == "FLOAT32"


def _int4(node: Node) -> Found | None:
    if node.type(1) != "INT4" or not _hybrid(node):
        return None
    return (OLD,), "with int4 weights and float activations", _WRONG


def _scale_per_unit(node: Node) -> Found | None:
    weights = node.input(1)
    if weights is None or weights.quantization is None or not _hybrid(node):
        return None
    if not weights.quantization.per_channel:
        return None
    return (OLD,), "with a scale per unit and float activations", _WRONG


def _one_slope(node: Node) -> Found | None:
    slope = node.input(1)
    if slope is None or slope.elements != 1 or node.type(0) != "FLOAT32":
        return None
    return (OLD,), "with a single slope", "wrong values with XNNPACK"


def _table(node: Node) -> Found | None:
    return ((_ML_DRIFT,), "of an int8 table", "zeros") if node.type(1) == "INT8" else None


def _tanh(node: Node) -> Found | None:
    if node.option("activation") != _TANH:
        return None
    return (CPU,), "with TANH fused", "leaves out the activation"


_WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")
_RULES: dict[str, tuple[Callable[[Node], Found | None], ...]] = {
    "ADD": (_lower_rank,),
    "BATCH_MATMUL": (_transposed,),
    "CONV_2D": (_strided_pointwise, _int4),
    "DEPTHWISE_CONV_2D": (_multiplied,),
    "EMBEDDING_LOOKUP": (_table,),
    "FULLY_CONNECTED": (_unflattened, _computed_weights, _scale_per_unit),
    "LEAKY_RELU": (_slope,),
    "MAXIMUM": (_lower_rank,),
    "MINIMUM": (_lower_rank,),
    "MUL": (_lower_rank,),
    "PAD": (_three_pads,),
    "PADV2": (_three_pads,),
    "PRELU": (_one_slope,),
    "SQUARED_DIFFERENCE": (_lower_rank,),
    "SUB": (_lower_rank,),
}
