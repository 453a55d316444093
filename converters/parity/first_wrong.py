"""Finds the first operator that an engine computes otherwise than the CPU. No TensorFlow."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from converters.parity import signals
from converters.parity.cut import Graph
from converters.parity.graph import label
from converters.parity.tensor_inputs import model_bytes
from converters.tflite import model
from converters.tflite.reader import read
from zoo.runtime.sandbox import Sandbox
from zoo.schema.engine_check import WrongOperator


def first_wrong(
    path: Path,
    inputs: Sequence[np.ndarray],
    cpu: Sandbox,
    runner: Sandbox,
    delegate: str,
    kind: str,
) -> WrongOperator | None:
    """Returns the first operator whose output departs, while its inputs do not.

    The graph is cut after an operator and both run the rest. In execution order the operators are
    halved, then those before the found one are looked at, as another branch may have hidden it.

    Args:
        path: Any `.tflite` with one subgraph.
        inputs: For each input an array of its dtype, (n, *shape).
        cpu: Sandbox of LiteRT's interpreter.
        runner: Sandbox of the engine.
        delegate: Its delegate.
        kind: A key of `DEPARTS_DB`.

    Returns:
        The operator; None if no operator's output departs when the graph ends with it.

    Raises:
        ZooError: if the graph can't be cut, or a part of it can't be run.
    """
    content = model_bytes(path)
    main, graph = read(content, path.name).main, Graph(content, path.name)
    seen: dict[int, float] = {}
    with tempfile.TemporaryDirectory(prefix="zoo-cut-") as folder:
        part = Path(folder, path.name)

        def wrong(index: int) -> bool:
            if index not in seen:
                cut = graph.after(index)
                part.write_bytes(cut.content)
                given = [inputs[place] for place in cut.inputs]
                ours = cpu.run_tensors(part, given, "xnnpack")
                seen[index] = signals.worst_db(ours, runner.run_tensors(part, given, delegate))
            return signals.departs(seen[index], kind)

        order = graph.computing()
        if not order or not wrong(order[-1]):
            return None
        low, high = -1, len(order) - 1  # `low` is right, `high` is wrong
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if wrong(order[middle]) else (middle, high)
        index = order[high]
        while earlier := [i for i in graph.before[index] if i in order and wrong(i)]:
            index = earlier[0]
    operator = main.operators[index]
    return WrongOperator(
        index=index,
        operator=operator.name,
        layer=label(main.tensors[operator.outputs[0]].name),
        options=_described(main, operator),
        sqnr_db=seen[index] if math.isfinite(seen[index]) else None,
    )


def _described(graph: model.Graph, operator: model.Operator) -> str:
    def told(index: int) -> str:
        if index < 0:
            return "none"
        tensor = graph.tensors[index]
        return f"{tensor.type.lower()} {list(tensor.shape)}"

    options = ", ".join(f"{name}={value:g}" for name, value in operator.options.items())
    sides = f"{', '.join(map(told, operator.inputs))} → {', '.join(map(told, operator.outputs))}"
    return f"{options}; {sides}" if options else sides
