"""Checks whether XNNPACK can run a file with its sparse kernels, which skip zeros.

The conditions follow the public guide tflite/delegates/xnnpack/README.md, section "Sparse
Inference". On x86 processors with AVX, XNNPACK never uses sparse kernels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from converters.tflite.model import Graph, Model, Operator, Tensor
from converters.tflite.options import SAME

LEAST_ZEROS = 2 / 3
_UNARY = (
    *("ABS", "CEIL", "ELU", "FLOOR", "HARD_SWISH", "LEAKY_RELU", "LOGISTIC", "NEG", "RELU"),
    *("RELU6", "RELU_N1_TO_1", "ROUND", "SQUARE"),
)
_MAX_REASONS = 5

Padding = tuple[int, int, int, int]  # top, bottom, left, right


@dataclass(frozen=True)
class Sparse:
    """Eligibility of a file for sparse inference.

    Attributes:
        eligible: Whether all conditions are met.
        reasons: Unmet conditions, at most `_MAX_REASONS`.
        zeros: Share of zeros in the weights of the 1×1 convolutions that would run sparse, 0 to 1;
            None if there are no such convolutions or no weights are stored in sparse form.
    """

    eligible: bool
    reasons: tuple[str, ...]
    zeros: float | None


def check(model: Model) -> Sparse:
    """Checks the main graph against the conditions."""
    graph = model.main
    if not any(tensor.sparse for tensor in graph.tensors):
        return Sparse(False, ("no weights stored in sparse form (with DENSIFY)",), None)
    walk = _Walk(model)
    for operator in graph.operators:
        walk.step(operator)
    reasons = walk.verdict()
    return Sparse(not reasons, tuple(reasons[:_MAX_REASONS]), walk.zeros())


class _Walk:
    """State of a walk through the sparse part of a graph, from its first convolution to its end."""

    def __init__(self, model: Model):
        self.model = model
        self.graph: Graph = model.main
        self.constants = {t.index for t in self.graph.tensors if t.constant}
        self.dense: dict[int, Tensor] = {}  # unpacked weights → stored tensor
        self.pads: dict[int, Padding] = {}  # output of a PAD → its padding
        self.inside: set[int] = set()
        self.started = self.ended = False
        self.weights = self.filled = 0
        self.reasons: list[str] = []

    def step(self, op: Operator) -> None:
        """Processes the next operator in execution order."""
        if op.name in ("DENSIFY", "DEQUANTIZE") and set(op.inputs) <= self.constants:
            self.constants.update(op.outputs)
            source = self.graph.tensors[op.inputs[0]] if op.inputs else None
            for index in op.outputs:
                if source is not None:
                    self.dense[index] = self.dense.get(source.index, source)
            return
        if op.name == "PAD" and len(op.outputs) == 1:
            self.pads[op.outputs[0]] = self._padding(op)
            if op.inputs and op.inputs[0] in self.inside:
                self.inside.add(op.outputs[0])
            return
        if not self.started and self._first(op):
            self.started = True
            self.inside.update(op.outputs)
            return
        entering = [i for i in op.inputs if i >= 0 and i not in self.constants]
        if not self.inside.intersection(entering):
            return
        if self._last(op):
            self.ended = True
            return
        reason = self._misfit(op)
        if reason is None and not self.inside.issuperset(entering):
            reason = "reads tensors from outside the sparse part"
        if reason is not None:
            self.reasons.append(f"{op.name} (operator {op.index}): {reason}")
        self.inside.update(op.outputs)

    def verdict(self) -> list[str]:
        """Returns the unmet conditions; empty if the graph is eligible."""
        reasons = list(dict.fromkeys(self.reasons))
        if not self.started:
            return ["no initial 3×3 CONV_2D on 3 channels with stride 2 and 1 pixel of padding"]
        if not self.ended:
            reasons.append("no final DEPTH_TO_SPACE or MEAN over height and width")
        zeros = self.zeros()
        if zeros is None:
            reasons.append("no sparse 1×1 CONV_2D")
        elif zeros < LEAST_ZEROS:
            reasons.append(f"only {100 * zeros:.1f} % zeros in the 1×1 CONV_2D, below two thirds")
        return reasons

    def zeros(self) -> float | None:
        """Returns the share of zeros in the 1×1 convolutions of the sparse part, or None."""
        return 1 - self.filled / self.weights if self.weights else None

    def _first(self, op: Operator) -> bool:
        kernel, image = self.graph.input(op, 1), self.graph.input(op, 0)
        return (
            op.name == "CONV_2D"
            and kernel is not None
            and image is not None
            and image.type == "FLOAT32"
            and kernel.shape[1:] == (3, 3, 3)
            and _window(op) == (2, 2, 1, 1)
            and self._around(op, image, 3) == (1, 1, 1, 1)
        )

    def _last(self, op: Operator) -> bool:
        if op.name == "DEPTH_TO_SPACE":
            return True
        return op.name == "MEAN" and self._axes(op) in ([1, 2], [2, 1])

    def _misfit(self, op: Operator) -> str | None:
        outputs = self.graph.output_tensors(op)
        if any(tensor.type != "FLOAT32" for tensor in outputs):
            return "output that is not float32"
        if op.name == "CONV_2D":
            return self._pointwise(op)
        if op.name == "DEPTHWISE_CONV_2D":
            return self._depthwise(op)
        if op.name in ("ADD", "MUL"):
            return self._elementwise(op)
        if op.name == "RESIZE_BILINEAR":
            small = any(n <= 1 for tensor in outputs for n in tensor.shape[1:3])
            return "output with a height or width of 1" if small else None
        return None if op.name in _UNARY else "not among the operators with sparse support"

    def _pointwise(self, op: Operator) -> str | None:
        kernel = self.graph.input(op, 1)
        if kernel is None or kernel.shape[1:3] != (1, 1) or _window(op) != (1, 1, 1, 1):
            return "not 1×1 with stride 1"
        stored = self.dense.get(kernel.index, kernel)
        self.weights += kernel.elements
        self.filled += self._stored(stored) if stored.data else kernel.elements
        return None

    def _depthwise(self, op: Operator) -> str | None:
        kernel, image = self.graph.input(op, 1), self.graph.input(op, 0)
        if kernel is None or image is None or len(kernel.shape) != 4:
            return "missing weights"
        size = kernel.shape[1]
        if kernel.shape[1:3] not in ((3, 3), (5, 5)) or _window(op) not in (
            (1, 1, 1, 1),
            (2, 2, 1, 1),
        ):
            return "not 3×3 or 5×5 with stride 1 or 2"
        around = self._around(op, image, size)
        return (
            None
            if around == (size // 2,) * 4
            else f"padding {around} instead of {size // 2} on all sides"
        )

    def _elementwise(self, op: Operator) -> str | None:
        for tensor in self.graph.input_tensors(op):
            if tensor.index in self.constants:
                if max(tensor.shape, default=1) != tensor.elements:
                    return "constant input that is neither a scalar nor a vector"
            elif len(tensor.shape) != 4:
                return "input of rank other than 4"
        return None

    def _stored(self, tensor: Tensor) -> int:
        width = {"FLOAT32": "<f4", "FLOAT16": "<f2"}.get(tensor.type)
        if width is None or tensor.data is None:
            return tensor.elements
        return int(np.count_nonzero(np.frombuffer(self.model.raw(tensor.data), width)))

    def _axes(self, op: Operator) -> list[int]:
        axes = self.graph.input(op, 1)
        if axes is None or axes.data is None or axes.type != "INT32":
            return []
        values: list[int] = np.frombuffer(self.model.raw(axes.data), "<i4").tolist()
        return values

    def _padding(self, op: Operator) -> Padding:
        amounts = self.graph.input(op, 1)
        if (
            amounts is None
            or amounts.data is None
            or (amounts.type, amounts.shape)
            != (
                "INT32",
                (4, 2),
            )
        ):
            return (-1, -1, -1, -1)
        flat = np.frombuffer(self.model.raw(amounts.data), "<i4").tolist()
        return (flat[2], flat[3], flat[4], flat[5])

    def _around(self, op: Operator, image: Tensor, size: int) -> Padding:
        """Returns the padding of a convolution, including that of a preceding PAD."""
        top, bottom, left, right = self.pads.get(image.index, (0, 0, 0, 0))
        if op.options.get("padding") == SAME and len(image.shape) == 4:
            strides = int(op.options.get("stride_h", 1)), int(op.options.get("stride_w", 1))
            for axis, stride in enumerate(strides):
                extent = image.shape[1 + axis]
                total = max(0, (-(-extent // stride) - 1) * stride + size - extent)
                if axis == 0:
                    top, bottom = top + total // 2, bottom + total - total // 2
                else:
                    left, right = left + total // 2, right + total - total // 2
        return top, bottom, left, right


def _window(op: Operator) -> tuple[int, int, int, int]:
    """Returns stride height and width, then dilation height and width."""
    names = ("stride_h", "stride_w", "dilation_h", "dilation_w")
    stride_h, stride_w, dilation_h, dilation_w = (int(op.options.get(name, 1)) for name in names)
    return stride_h, stride_w, dilation_h, dilation_w
