"""Compares what an engine computes of a file with what the CPU does, and names the first operator
whose values depart. For any `.tflite`. No TensorFlow.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from converters.parity.cut import Graph
from converters.parity.difference import sqnr_db
from converters.parity.graph import label
from converters.tflite import model
from converters.tflite.reader import read
from zoo.errors import ZooError
from zoo.io.files import MAX_MODEL_BYTES, read_bytes
from zoo.io.log import Log
from zoo.runtime.sandbox import Sandbox
from zoo.schema.measurement import Placement

# Signal-to-noise ratio in dB below which values depart, by what the engine computes in. The same
# arithmetic in another order leaves 100 dB and more in float32; float16 leaves about 60 dB per
# operator; in integers, each rounding differs by a step of 256 at most, and roundings add up.
DEPARTS_DB = {"float32": 70.0, "float16": 25.0, "integers": 15.0}
MIN_AGREEMENT = {"float": 0.995, "integers": 0.99}
HALF_MAX = 65504.0
_SEARCHED = 4  # inferences with which the first wrong operator is searched


@dataclass(frozen=True)
class WrongOperator:
    """The first operator whose output departs, while its inputs do not.

    Attributes:
        index: Position in the graph.
        operator: Its name, for example `CONV_2D`.
        layer: Layers that it computes, for display.
        options: Its options, and the type and shape of each tensor.
        sqnr_db: Signal-to-noise ratio of its output in dB; −∞ for a signal of zeros, NaN for values
            that are not finite.
    """

    index: int
    operator: str
    layer: str
    options: str
    sqnr_db: float


@dataclass(frozen=True)
class EngineRow:
    """Comparison of one file on an engine with LiteRT's XNNPACK.

    Values that could not be determined are None. `reasons` lists the failure or what departs.

    Attributes:
        file: Path of the file.
        runtime: Name of the engine.
        version: Its version.
        delegate: Its delegate.
        placement: Where the operators run.
        inferences: Number of inferences.
        real: Whether the inputs were test images, not random values.
        sqnr_db: Lowest signal-to-noise ratio of the outputs in dB.
        largest: Largest difference of an output.
        agreement: Share of inferences with the same index of the largest value in the first output;
            with random inputs no reason to fail.
        first: First operator whose values depart.
        reasons: Empty if the engine computes what the CPU does.
    """

    file: str
    runtime: str
    version: str
    delegate: str
    placement: Placement | None = None
    inferences: int = 0
    real: bool = False
    sqnr_db: float | None = None
    largest: float | None = None
    agreement: float | None = None
    first: WrongOperator | None = None
    reasons: tuple[str, ...] = ()


def compare(
    path: Path,
    inputs: Sequence[np.ndarray],
    real: bool,
    cpu: Sandbox,
    engines: Sequence[tuple[Sandbox, str]],
    log: Log,
) -> Iterator[EngineRow]:
    """Yields a row for each engine.

    Args:
        path: Any `.tflite`.
        inputs: For each input an array of its dtype, (n, *shape).
        real: Whether they are real images.
        cpu: Sandbox of LiteRT's interpreter.
        engines: Sandboxes and the delegate of each.
        log: Called with each progress message.

    Raises:
        ZooError: if the CPU can't run the file.
    """
    expected = cpu.run_tensors(path, inputs, "xnnpack")
    for runner, delegate in engines:
        log(f"{path}: {runner.runtime}, {delegate}")
        yield _row(path, inputs, real, expected, cpu, runner, delegate, log)


def _row(
    path: Path,
    inputs: Sequence[np.ndarray],
    real: bool,
    expected: Sequence[np.ndarray],
    cpu: Sandbox,
    runner: Sandbox,
    delegate: str,
    log: Log,
) -> EngineRow:
    head = (str(path), runner.runtime, runner.version, delegate)
    placement = None
    try:
        placement = runner.placement(path, delegate)
        found = runner.run_tensors(path, inputs, delegate)
    except ZooError as error:
        return EngineRow(*head, placement=placement, reasons=(str(error),))
    worst = min((_sqnr(a, b) for a, b in zip(expected, found, strict=True)), key=_rank)
    largest = max(_largest(a, b) for a, b in zip(expected, found, strict=True))
    agreement = _agreement(expected[0], found[0])
    reasons = []
    kind = _kind(placement, read(_content(path), path.name).main)
    # With random values two classes are often as likely, so that only real images can disagree.
    if real and agreement < (least := MIN_AGREEMENT["integers" if kind == "integers" else "float"]):
        reasons.append(
            f"the largest value agrees in {100 * agreement:.1f} % of {len(expected[0])} "
            f"inferences, limit {100 * least:g} %"
        )
    if _departs(worst, kind):
        reasons.append(f"the outputs depart: {worst:.1f} dB, limit {DEPARTS_DB[kind]:g} dB")
    first = None
    if reasons:
        log(f"{path}: {runner.runtime}: searching the first operator that departs")
        some = [values[:_SEARCHED] for values in inputs]
        try:
            first = first_wrong(path, some, cpu, runner, delegate, kind)
        except ZooError as error:
            reasons.append(f"the operator was not found: {error}")
    return EngineRow(
        *head, placement, len(expected[0]), real, worst, largest, agreement, first, tuple(reasons)
    )


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
    content = _content(path)
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
                theirs = runner.run_tensors(part, given, delegate)
                pairs = zip(ours, theirs, strict=True)
                seen[index] = min((_sqnr(a, b) for a, b in pairs), key=_rank)
            return _departs(seen[index], kind)

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
        sqnr_db=seen[index],
    )


def beyond_float16(path: Path, inputs: Sequence[np.ndarray], cpu: Sandbox) -> dict[str, float]:
    """Returns the tensors that leave the range of float16, ±65504, which accelerators compute in.

    Args:
        path: Any `.tflite`.
        inputs: For each input an array of its dtype, (n, *shape).
        cpu: Sandbox of LiteRT's interpreter.

    Returns:
        Name of the tensor → its largest absolute value.
    """
    largest: dict[str, float] = {}
    for values in zip(*(values[:_SEARCHED] for values in inputs), strict=True):
        for name, tensor in cpu.all_tensors(path, values).items():
            if tensor.dtype.kind == "f" and tensor.size:
                largest[name] = max(largest.get(name, 0.0), float(np.abs(tensor).max()))
    return {name: value for name, value in largest.items() if not value <= HALF_MAX}


def random_inputs(path: Path, count: int, seed: int = 1) -> list[np.ndarray]:
    """Returns random values for each input of a file.

    Quantized integers cover the whole range of their type, others 0 to 255 at most; floats are
    drawn from a standard normal distribution. Dimensions known only at run time are as stored.

    Args:
        path: Any `.tflite`.
        count: Number of inferences.
        seed: Seed of the values.

    Raises:
        ZooError: if the file is damaged, or an input is not of numbers.
    """
    graph = read(_content(path), path.name).main
    draw = np.random.default_rng(seed)
    values = []
    for tensor in (graph.tensors[index] for index in graph.inputs):
        shape = (count, *tensor.shape)
        if tensor.type in ("FLOAT32", "FLOAT16", "FLOAT64"):
            values.append(draw.standard_normal(shape).astype(tensor.type.lower()))
        elif tensor.type in ("INT8", "UINT8", "INT16", "UINT16", "INT32", "INT64"):
            limits = np.iinfo(tensor.type.lower())
            low, high = int(limits.min), int(limits.max)
            if not tensor.quantization:
                low, high = 0, min(255, high)
            numbers = draw.integers(low, high, shape, dtype=np.int64, endpoint=True)
            values.append(numbers.astype(tensor.type.lower()))
        elif tensor.type == "BOOL":
            values.append(draw.integers(0, 2, shape).astype(bool))
        else:
            raise ZooError(
                "an input has no numbers", where=path, got=f"{tensor.name}: {tensor.type.lower()}"
            )
    return values


def _content(path: Path) -> bytes:
    return read_bytes(path, "the model", MAX_MODEL_BYTES, "pass an existing .tflite file")


def _kind(placement: Placement, graph: model.Graph) -> str:
    """Returns what the values may be compared as, a key of `DEPARTS_DB`."""
    computed = (tensor for op in graph.operators for tensor in graph.output_tensors(op))
    if any(tensor.quantization and tensor.type.startswith(("INT", "UINT")) for tensor in computed):
        return "integers"
    return "float32" if placement.accelerator is None else placement.accelerator.computes_in


def _departs(db: float, kind: str) -> bool:
    return not db >= DEPARTS_DB[kind]


def _rank(db: float) -> float:
    return -math.inf if math.isnan(db) else db


def _sqnr(reference: np.ndarray, values: np.ndarray) -> float:
    if reference.dtype.kind not in "f":
        same = float(np.mean(reference == values))
        return math.inf if same == 1 else -math.inf
    if not np.isfinite(reference).all():
        return math.inf if np.array_equal(reference, values, equal_nan=True) else math.nan
    return sqnr_db(reference, values)


def _largest(reference: np.ndarray, values: np.ndarray) -> float:
    if reference.dtype.kind == "b":
        return float((reference != values).any())
    return float(np.abs(values.astype(np.float64) - reference.astype(np.float64)).max())


def _agreement(reference: np.ndarray, values: np.ndarray) -> float:
    flat = (array.reshape(len(array), -1).argmax(axis=1) for array in (reference, values))
    first, second = flat
    return float(np.mean(first == second))


def _described(graph: model.Graph, operator: model.Operator) -> str:
    def told(index: int) -> str:
        if index < 0:
            return "none"
        tensor = graph.tensors[index]
        return f"{tensor.type.lower()} {list(tensor.shape)}"

    options = ", ".join(f"{name}={value:g}" for name, value in operator.options.items())
    sides = f"{', '.join(map(told, operator.inputs))} → {', '.join(map(told, operator.outputs))}"
    return f"{options}; {sides}" if options else sides
