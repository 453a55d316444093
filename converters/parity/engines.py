"""Compares what an engine computes of a file with what the CPU does, and names the first operator
whose values depart. For any `.tflite`. No TensorFlow.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from converters.parity import signals
from converters.parity.first_wrong import first_wrong
from converters.parity.tensor_inputs import model_bytes
from converters.tflite.reader import read
from zoo.catalog.precisions import ENGINE_AGREEMENT
from zoo.errors import ZooError
from zoo.io.log import Log
from zoo.runtime.sandbox import Sandbox
from zoo.schema.engine_check import WrongOperator
from zoo.schema.measurement import Placement

HALF_MAX = 65504.0
_SEARCHED = 4  # inferences with which the first wrong operator is searched
_CHUNK = 100  # inferences whose tensors are passed at once


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
        top1: Accuracy of the engine on the test images; None for random values, as the next one.
        cpu_top1: Accuracy of LiteRT's XNNPACK on them.
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
    top1: float | None = None
    cpu_top1: float | None = None
    sqnr_db: float | None = None
    largest: float | None = None
    agreement: float | None = None
    first: WrongOperator | None = None
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Inputs:
    """Values to compare an engine with the CPU on.

    Attributes:
        values: For each input of the file an array of its dtype, (n, *shape).
        labels: Class indices (n,) if the values are test images, else None.
    """

    values: Sequence[np.ndarray]
    labels: np.ndarray | None = None

    def chunks(self) -> Iterator[list[np.ndarray]]:
        """Yields the values in parts that fit into memory twice."""
        for start in range(0, len(self.values[0]), _CHUNK):
            yield [array[start : start + _CHUNK] for array in self.values]

    def top1(self, outputs: np.ndarray) -> float | None:
        """Returns the accuracy of outputs (n, classes); None without labels."""
        if self.labels is None:
            return None
        return float(np.mean(signals.top_classes(outputs) == self.labels))


def compare(
    path: Path,
    inputs: Inputs,
    cpu: Sandbox,
    engines: Sequence[tuple[Sandbox, str]],
    log: Log,
) -> Iterator[EngineRow]:
    """Yields a row for each engine.

    Args:
        path: Any `.tflite`.
        inputs: Values for its inputs.
        cpu: Sandbox of LiteRT's interpreter.
        engines: Sandboxes and the delegate of each.
        log: Called with each progress message.

    Raises:
        ZooError: if the CPU can't run the file.
    """
    expected = _outputs(path, inputs, cpu, "xnnpack")
    for runner, delegate in engines:
        log(f"{path}: {runner.runtime}, {delegate}")
        yield _row(path, inputs, expected, cpu, runner, delegate, log)


def _outputs(path: Path, inputs: Inputs, runner: Sandbox, delegate: str) -> list[np.ndarray]:
    parts = [runner.run_tensors(path, values, delegate) for values in inputs.chunks()]
    return [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]


def _row(
    path: Path,
    inputs: Inputs,
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
        found = _outputs(path, inputs, runner, delegate)
    except ZooError as error:
        return EngineRow(*head, placement=placement, reasons=(str(error),))
    kind = signals.kind(placement, read(model_bytes(path), path.name).main)
    row = EngineRow(
        *head,
        placement=placement,
        inferences=len(expected[0]),
        real=inputs.labels is not None,
        top1=inputs.top1(found[0]),
        cpu_top1=inputs.top1(expected[0]),
        sqnr_db=signals.worst_db(expected, found),
        largest=max(signals.largest(a, b) for a, b in zip(expected, found, strict=True)),
        agreement=float(np.mean(signals.top_classes(expected[0]) == signals.top_classes(found[0]))),
    )
    reasons = _departures(row, kind)
    first = None
    if reasons:
        log(f"{path}: {runner.runtime}: searching the first operator that departs")
        some = [array[:_SEARCHED] for array in inputs.values]
        try:
            first = first_wrong(path, some, cpu, runner, delegate, kind)
        except ZooError as error:
            reasons.append(f"the operator was not found: {error}")
    return replace(row, first=first, reasons=tuple(reasons))


def _departures(row: EngineRow, kind: str) -> list[str]:
    """Returns a sentence for each limit that the values exceed."""
    reasons = []
    least = ENGINE_AGREEMENT["integers" if kind == "integers" else "float"]
    # With random values two classes are often as likely, so that only real images can disagree.
    if row.real and row.agreement is not None and row.agreement < least:
        reasons.append(
            f"the largest value agrees in {100 * row.agreement:.1f} % of {row.inferences} "
            f"inferences, limit {100 * least:g} %"
        )
    if row.sqnr_db is not None and signals.departs(row.sqnr_db, kind):
        reasons.append(
            f"the outputs depart: {row.sqnr_db:.1f} dB, limit {signals.DEPARTS_DB[kind]:g} dB"
        )
    return reasons


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
