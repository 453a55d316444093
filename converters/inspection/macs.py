"""Multiply-accumulate operations (MACs) of a graph, computed from the shapes in the file."""

from __future__ import annotations

from math import prod

from converters.tflite.model import Graph, Model, Operator, Tensor

# These multiply too, but their MACs depend on more than the shapes.
UNCOUNTED = (
    "BIDIRECTIONAL_SEQUENCE_LSTM",
    "BIDIRECTIONAL_SEQUENCE_RNN",
    "LSTM",
    "RFFT2D",
    "RNN",
    "STABLEHLO_CONVOLUTION",
    "STABLEHLO_DOT_GENERAL",
    "SVDF",
    "UNIDIRECTIONAL_SEQUENCE_LSTM",
    "UNIDIRECTIONAL_SEQUENCE_RNN",
)


def total(model: Model) -> int:
    """Returns the MACs of all subgraphs, each run once."""
    return sum(of_operator(graph, operator) for graph, operator in model.operators())


def uncounted(model: Model) -> tuple[str, ...]:
    """Returns the names of operators in the model that may multiply but are not counted."""
    return tuple(
        sorted(
            {op.name for _, op in model.operators() if op.name in UNCOUNTED or op.kind != "builtin"}
        )
    )


def of_operator(graph: Graph, operator: Operator) -> int:
    """Returns the MACs of an operator; 0 if it only adds, compares or moves data.

    Convolutions count the full kernel at every output position, including positions where it
    overlaps the border, as is customary in papers. Weight layouts: CONV_2D (out, height, width,
    in / groups), DEPTHWISE_CONV_2D (1, height, width, out), FULLY_CONNECTED (out, in),
    TRANSPOSE_CONV (out, height, width, in), CONV_3D (depth, height, width, in / groups, out).
    """
    outputs = graph.output_tensors(operator)
    if operator.kind != "builtin" or not outputs:
        return 0
    out, weights = outputs[0], graph.input(operator, 1)
    if weights is None:
        return 0
    kernel = weights.shape
    if operator.name == "CONV_2D" and len(kernel) == 4:
        return out.elements * prod(kernel[1:])
    if operator.name == "DEPTHWISE_CONV_2D" and len(kernel) == 4:
        return out.elements * kernel[1] * kernel[2]
    if operator.name == "CONV_3D" and len(kernel) == 5:
        return out.elements * prod(kernel[:4])
    if operator.name == "FULLY_CONNECTED" and len(kernel) == 2:
        return out.elements * kernel[1]
    if operator.name == "BATCH_MATMUL":
        return _batch_matmul(graph.input(operator, 0), out, bool(operator.options.get("adj_x")))
    source = graph.input(operator, 2)
    if operator.name == "TRANSPOSE_CONV" and len(kernel) == 4 and source is not None:
        return source.elements * kernel[0] * kernel[1] * kernel[2]
    return 0


def _batch_matmul(left: Tensor | None, out: Tensor, transposed: bool) -> int:
    if left is None or len(left.shape) < 2:
        return 0
    return out.elements * left.shape[-2 if transposed else -1]
