"""Runs a float32 `.tflite` with TensorFlow operators: in batches, with gradients or other weights.

LiteRT runs one image at a time and has no gradients, but compressing a finished file needs both, to
measure the inputs of each layer and the importance of its outputs. The arithmetic is that of
TFLite's float kernels; `tests/converters/rate_distortion/test_replay.py` compares it with LiteRT
for every model family.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from converters.tflite.model import Graph, Model, Operator, Tensor
from converters.tflite.options import ACTIVATIONS, SAME
from converters.tflite.reader import read
from zoo.errors import ZooError

TensorValues = dict[int, tf.Tensor]
_DTYPES = {"FLOAT32": np.float32, "INT32": np.int32, "INT64": np.int64, "BOOL": np.bool_}
_ACTIVATE: dict[str, Callable[[tf.Tensor], tf.Tensor]] = {
    "NONE": tf.identity,
    "RELU": tf.nn.relu,
    "RELU_N1_TO_1": lambda x: tf.clip_by_value(x, -1.0, 1.0),
    "RELU6": tf.nn.relu6,
    "TANH": tf.tanh,
}
_SIMPLE: dict[str, Callable[..., tf.Tensor]] = {
    "ADD": tf.add,
    "SUB": tf.subtract,
    "MUL": tf.multiply,
    "DIV": tf.divide,
    "MAXIMUM": tf.maximum,
    "MINIMUM": tf.minimum,
    "RELU": tf.nn.relu,
    "RELU6": tf.nn.relu6,
    "RELU_0_TO_1": lambda x: tf.clip_by_value(x, 0.0, 1.0),
    "LOGISTIC": tf.sigmoid,
    "TANH": tf.tanh,
    "SQRT": tf.sqrt,
    "RSQRT": tf.math.rsqrt,
    "SQUARE": tf.square,
    "EXP": tf.exp,
    "NEG": tf.negative,
    "ABS": tf.abs,
    "HARD_SWISH": lambda x: x * tf.nn.relu6(x + 3) / 6,
    "PRELU": lambda x, slope: tf.where(x > 0, x, slope * x),
    "PAD": tf.pad,
    "PADV2": lambda x, pads, value: tf.pad(x, pads, constant_values=value),
    "TRANSPOSE": tf.transpose,
    "POW": tf.pow,
}


@dataclass(frozen=True)
class WeightedLayer:
    """An operator with trained weights: a convolution or a dense layer.

    Attributes:
        name: Name of the weight tensor.
        kind: CONV_2D, DEPTHWISE_CONV_2D or FULLY_CONNECTED.
        weight: Index of the weight tensor. Its shape is (filters, height, width, in), (1, height,
            width, channels) or (filters, in), in the order of the kinds.
        bias: Index of the bias tensor, -1 if there is none.
        input: Index of the input tensor.
        output: Index of the output tensor, after the fused activation.
        operator: Index of the operator in the graph.
    """

    name: str
    kind: str
    weight: int
    bias: int
    input: int
    output: int
    operator: int


class Replay:
    """A float32 network with one subgraph, one input and one output.

    Args:
        content: Flatbuffer.
        where: File name shown in error messages.

    Raises:
        ZooError: if the file is damaged, has several inputs or outputs, or contains types or
            operators that float networks of this catalog do not use.
    """

    def __init__(self, content: bytes, where: object):
        self.model: Model = read(content, where)
        self.graph: Graph = self.model.main
        self._where = where
        if len(self.graph.inputs) != 1 or len(self.graph.outputs) != 1:
            raise self._unsupported("several inputs or outputs", self.graph.outputs)
        if (kind := self.graph.tensors[self.graph.inputs[0]].type) != "FLOAT32":
            raise self._unsupported("its input is not float32", kind)
        self.constants: dict[int, np.ndarray] = {
            tensor.index: self._constant(tensor) for tensor in self.graph.tensors if tensor.constant
        }
        self.layers = tuple(
            WeightedLayer(
                name=self.graph.tensors[op.inputs[1]].name,
                kind=op.name,
                weight=op.inputs[1],
                bias=op.inputs[2] if len(op.inputs) > 2 else -1,
                input=op.inputs[0],
                output=op.outputs[0],
                operator=op.index,
            )
            for op in self.graph.operators
            if op.name in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
            and op.inputs[1] in self.constants
        )
        for op in self.graph.operators:
            if op.name not in _SIMPLE and not hasattr(self, f"_{op.name.lower()}"):
                raise self._unsupported(f"operator {op.index} is not supported", op.name)

    def run(
        self,
        images: tf.Tensor,
        weights: Mapping[int, Any] | None = None,
        keep: Collection[int] = (),
        before: Mapping[int, Callable[[tf.Tensor], tf.Tensor]] | None = None,
    ) -> tuple[tf.Tensor, TensorValues]:
        """Runs the network on a batch.

        Args:
            images: Normalized images, float32 (n, height, width, channels).
            weights: Values that replace constants, by tensor index.
            keep: Indices of further tensors to return.
            before: Functions applied to an operator's output before its fused activation, by
                tensor index of the output.

        Returns:
            The outputs, float32 (n, outputs), and the tensors of `keep` by index.
        """
        overrides = weights or {}
        values: TensorValues = {self.graph.inputs[0]: images}
        kept: TensorValues = {}
        last_use = self._last_uses()
        for op in self.graph.operators:
            inputs = [self._value(values, overrides, index) for index in op.inputs]
            results = self._compute(op, inputs, (before or {}).get(op.outputs[0], tf.identity))
            for index, value in zip(op.outputs, results, strict=True):
                shape = self.graph.tensors[index].shape
                value = tf.reshape(value, (-1, *shape[1:]) if shape else ())
                values[index] = value
                if index in keep:
                    kept[index] = value
            for index in {i for i in op.inputs if i >= 0 and last_use[i] == op.index}:
                if index in keep and index in values:
                    kept[index] = values[index]
                values.pop(index, None)
        return values[self.graph.outputs[0]], kept

    def patches(self, layer: WeightedLayer, inputs: tf.Tensor) -> tf.Tensor:
        """Returns the inputs that each output position of a layer is computed from.

        Args:
            layer: One of `layers`.
            inputs: Input of the layer, (n, height, width, channels) or (n, k).

        Returns:
            (n, positions, groups, k), with k in the order of `matrix`.
        """
        shape = self.constants[layer.weight].shape
        if layer.kind == "FULLY_CONNECTED":
            return tf.reshape(inputs, (-1, 1, 1, shape[1]))
        options = self.graph.operators[layer.operator].options
        _, height, width, _ = shape
        result = tf.image.extract_patches(
            inputs,
            (1, height, width, 1),
            (1, options["stride_h"], options["stride_w"], 1),
            (1, options["dilation_h"], options["dilation_w"], 1),
            "SAME" if options["padding"] == SAME else "VALID",
        )
        positions = result.shape[1] * result.shape[2]
        groups = self.groups(layer)
        # A group consists of adjacent channels; each depthwise channel is its own group.
        result = tf.reshape(
            result, (-1, positions, height * width, groups, inputs.shape[-1] // groups)
        )
        result = tf.transpose(result, (0, 1, 3, 2, 4))
        return tf.reshape(result, (-1, positions, groups, result.shape[3] * result.shape[4]))

    def groups(self, layer: WeightedLayer) -> int:
        """Returns the number of groups of a layer, whose filters see disjoint channels."""
        channels = self.graph.tensors[layer.input].shape[-1]
        if layer.kind == "DEPTHWISE_CONV_2D":
            return channels
        return (
            1
            if layer.kind == "FULLY_CONNECTED"
            else (channels // self.graph.tensors[layer.weight].shape[-1])
        )

    def matrix(self, layer: WeightedLayer) -> np.ndarray:
        """Returns a layer's weights as (groups, filters, k); each depthwise channel is a group."""
        weights, groups = self.constants[layer.weight], self.groups(layer)
        if layer.kind != "DEPTHWISE_CONV_2D":
            return weights.reshape(groups, weights.shape[0] // groups, -1)
        _, height, width, filters = weights.shape
        split = weights.reshape(height * width, groups, filters // groups)
        return split.transpose(1, 2, 0)

    def stored(self, layer: WeightedLayer, matrix: np.ndarray) -> np.ndarray:
        """Inverse of `matrix`: reshapes (groups, filters, k) to the shape stored in the file."""
        shape = self.constants[layer.weight].shape
        if layer.kind == "DEPTHWISE_CONV_2D":
            matrix = matrix.transpose(2, 0, 1)
        return np.ascontiguousarray(matrix).reshape(shape)

    def _last_uses(self) -> dict[int, int]:
        uses = {i: op.index for op in self.graph.operators for i in op.inputs if i >= 0}
        return uses | {self.graph.outputs[0]: len(self.graph.operators)}

    def _value(self, values: TensorValues, overrides: Mapping[int, Any], index: int) -> Any:
        if index < 0:
            return None
        if index in values:
            return values[index]
        return overrides[index] if index in overrides else self.constants[index]

    def _compute(
        self, op: Operator, inputs: list[Any], before: Callable[[tf.Tensor], tf.Tensor]
    ) -> list[tf.Tensor]:
        if op.name in _SIMPLE:
            result = _SIMPLE[op.name](*inputs)
        else:
            result = getattr(self, f"_{op.name.lower()}")(op, *inputs)
        if isinstance(result, list):
            return result
        activation = ACTIVATIONS[int(op.options.get("activation", 0))]
        if activation not in _ACTIVATE:
            raise self._unsupported(f"the activation of operator {op.index}", activation)
        return [_ACTIVATE[activation](before(result))]

    def _conv_2d(self, op: Operator, x: Any, kernel: Any, bias: Any = None) -> tf.Tensor:
        o = op.options
        groups = x.shape[-1] // kernel.shape[-1]
        # One group at a time: TensorFlow has no gradient for grouped convolutions on the CPU.
        parts = [
            _convolution(
                part,
                tf.transpose(group_kernel, (1, 2, 3, 0)),
                (int(o["stride_h"]), int(o["stride_w"])),
                _padding(op),
                (int(o["dilation_h"]), int(o["dilation_w"])),
            )
            for part, group_kernel in zip(
                tf.split(x, groups, -1), tf.split(kernel, groups), strict=True
            )
        ]
        y = tf.concat(parts, -1)
        return y if bias is None else y + bias

    def _depthwise_conv_2d(self, op: Operator, x: Any, kernel: Any, bias: Any = None) -> tf.Tensor:
        o = op.options
        channels = x.shape[-1]
        _, height, width, outputs = kernel.shape
        kernel = tf.reshape(kernel, (height, width, channels, outputs // channels))
        y = tf.nn.depthwise_conv2d(
            x,
            kernel,
            (1, o["stride_h"], o["stride_w"], 1),
            _padding(op),
            dilations=(o["dilation_h"], o["dilation_w"]),
        )
        return y if bias is None else y + bias

    def _fully_connected(self, op: Operator, x: Any, kernel: Any, bias: Any = None) -> tf.Tensor:
        y = tf.linalg.matmul(tf.reshape(x, (-1, kernel.shape[1])), kernel, transpose_b=True)
        return y if bias is None else y + bias

    def _max_pool_2d(self, op: Operator, x: Any) -> tf.Tensor:
        return tf.nn.max_pool2d(x, *_window(op))

    def _average_pool_2d(self, op: Operator, x: Any) -> tf.Tensor:
        return tf.nn.avg_pool2d(x, *_window(op))

    def _concatenation(self, op: Operator, *parts: Any) -> tf.Tensor:
        return tf.concat(parts, int(op.options["axis"]))

    def _reshape(self, op: Operator, x: Any, _: Any = None) -> tf.Tensor:
        return x  # `run` reshapes every output

    _squeeze = _expand_dims = _reshape

    def _mean(self, op: Operator, x: Any, axes: Any) -> tf.Tensor:
        return tf.reduce_mean(x, axes)

    def _sum(self, op: Operator, x: Any, axes: Any) -> tf.Tensor:
        return tf.reduce_sum(x, axes)

    def _softmax(self, op: Operator, x: Any) -> tf.Tensor:
        return tf.nn.softmax(x * float(op.options["beta"]))

    def _leaky_relu(self, op: Operator, x: Any) -> tf.Tensor:
        return tf.nn.leaky_relu(x, float(op.options["alpha"]))

    def _strided_slice(self, op: Operator, x: Any, begin: Any, end: Any, step: Any) -> tf.Tensor:
        masks = {
            name: int(op.options[name])
            for name in ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask")
        }
        masks["end_mask"] |= 1  # keep the whole batch, whose size differs from the file's
        masks["begin_mask"] |= 1
        return tf.strided_slice(
            x, begin, end, step, shrink_axis_mask=int(op.options["shrink_axis_mask"]), **masks
        )

    def _slice(self, op: Operator, x: Any, begin: Any, size: Any) -> tf.Tensor:
        return tf.slice(x, begin, [-1, *np.asarray(size)[1:]])

    def _split(self, op: Operator, axis: Any, x: Any) -> list[tf.Tensor]:
        return list(tf.split(x, len(op.outputs), int(np.asarray(axis).reshape(()))))

    def _split_v(self, op: Operator, x: Any, sizes: Any, axis: Any) -> list[tf.Tensor]:
        return list(tf.split(x, list(np.asarray(sizes)), int(np.asarray(axis).reshape(()))))

    def _mirror_pad(self, op: Operator, x: Any, pads: Any) -> tf.Tensor:
        return tf.pad(x, pads, "SYMMETRIC" if op.options["mode"] else "REFLECT")

    def _constant(self, tensor: Tensor) -> np.ndarray:
        if tensor.type not in _DTYPES or tensor.sparse or tensor.data is None:
            raise self._unsupported(
                f"tensor {tensor.name} is sparse or of an unsupported type", tensor.type
            )
        values = np.frombuffer(self.model.raw(tensor.data), _DTYPES[tensor.type])
        return values.reshape(tensor.shape)

    def _unsupported(self, what: str, got: object) -> ZooError:
        return ZooError(
            f"rate–distortion quantization does not support this file: {what}",
            where=self._where,
            expected="a float32 .tflite from zoo convert",
            got=got,
        )


def _padding(op: Operator) -> str:
    return "SAME" if op.options["padding"] == SAME else "VALID"


def _window(op: Operator) -> tuple[tuple[int, int], tuple[int, int], str]:
    o = op.options
    size = int(o["filter_h"]), int(o["filter_w"])
    return size, (int(o["stride_h"]), int(o["stride_w"])), _padding(op)


def _convolution(
    x: tf.Tensor,
    kernel: tf.Tensor,
    strides: tuple[int, int],
    padding: str,
    dilations: tuple[int, int],
) -> tf.Tensor:
    """Returns the convolution of x (n, h, w, c) with a kernel (h, w, c, filters).

    Without oneDNN, which TensorFlow uses only on some processors, a dilated convolution has no
    gradient; an ordinary one over every other pixel does.
    """
    if dilations == (1, 1):
        return tf.nn.conv2d(x, kernel, strides, padding)
    if strides != (1, 1):
        return tf.nn.conv2d(x, kernel, strides, padding, dilations=dilations)
    return tf.nn.with_space_to_batch(
        x,
        dilations,
        padding,
        lambda parts, _, padding: tf.nn.conv2d(parts, kernel, strides, padding),
        filter_shape=tf.shape(kernel)[:2],
    )
