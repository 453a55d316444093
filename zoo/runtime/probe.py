"""A network of one operator, to see whether an engine runs anything at all."""

from __future__ import annotations

import numpy as np

from zoo.errors import ZooError
from zoo.runtime.sandbox import Sandbox
from zoo.schema.measurement import Placement

_SHAPE = (1, 4, 4, 1)


def network() -> bytes:
    """Returns a `.tflite` of one RELU on float32 (1, 4, 4, 1)."""
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.tools import flatbuffer_utils

    model, graph, code = schema.ModelT(), schema.SubGraphT(), schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.RELU
    code.version = 1
    graph.tensors = [schema.TensorT(), schema.TensorT()]
    for tensor, name in zip(graph.tensors, ("image", "relu"), strict=True):
        tensor.name, tensor.shape, tensor.type = name, list(_SHAPE), schema.TensorType.FLOAT32
    operator = schema.OperatorT()
    operator.inputs, operator.outputs = [0], [1]
    graph.inputs, graph.outputs, graph.operators = [0], [1], [operator]
    model.version, model.subgraphs, model.operatorCodes = 3, [graph], [code]
    model.buffers = [schema.BufferT()]  # buffer 0 is empty by definition
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def run(sandbox: Sandbox, delegate: str) -> Placement:
    """Runs the network on an engine, and returns where it ran.

    Args:
        sandbox: The engine.
        delegate: One of its delegates.

    Raises:
        ZooError: if the engine does not work here, or computes something else.
    """
    sandbox.check()
    path = sandbox.child.folder() / "probe.tflite"
    path.write_bytes(network())
    placed = sandbox.placement(path, delegate)
    values = np.linspace(-4, 4, num=np.prod(_SHAPE), dtype=np.float32).reshape(_SHAPE)
    expected = np.maximum(values, 0)
    found = sandbox.outputs(path, values, delegate)
    if not np.allclose(found, expected, atol=0.01):  # the NPU computes in float16
        raise ZooError(
            f"{sandbox.runtime} computes something else than RELU",
            expected=expected.ravel().tolist(),
            got=found.ravel().tolist(),
        )
    return placed
