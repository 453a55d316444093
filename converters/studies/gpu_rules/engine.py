"""What the GPU engine does with each file: which operators it takes, and what it computes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np

from converters.parity.signals import worst_db
from converters.parity.tensor_inputs import random_inputs
from converters.studies.gpu_rules.files import Case
from zoo.errors import ZooError
from zoo.io.log import Log
from zoo.runtime.sandbox import Sandbox
from zoo.schema.base import Sha256, Strict

INFERENCES = 3
_MOST_DB = 999.0
# Operators of positive values; of others they are NaN.
_POSITIVE = frozenset(("LOG", "POW", "RSQRT", "SQRT"))


class EngineAnswer(Strict):
    """What the engine did with a file.

    Attributes:
        name: Name of the file or case.
        sha256: Hash of the file.
        version: Version of LiteRT.
        device: The Vulkan device.
        nodes: Number of operators; None if the engine could not load the file.
        taken: Number of operators that it took.
        refused: What it says about the others.
        db: Signal-to-noise ratio of its outputs in dB, relative to XNNPACK's: ±999 for infinite
            ones, −999 for values that are not finite; None if it was not run.
        cpu_db: The same of XNNPACK's outputs, relative to those of LiteRT's built-in kernels.
        problem: Why it did not load or run the file.
    """

    name: str
    sha256: Sha256
    version: str
    device: str | None = None
    nodes: int | None = None
    taken: int | None = None
    refused: tuple[str, ...] = ()
    db: float | None = None
    cpu_db: float | None = None
    problem: str | None = None


@dataclass(frozen=True)
class Engines:
    """Sandboxes of the engines: LiteRT on the CPU and on the GPU."""

    cpu: Sandbox
    gpu: Sandbox


def ask(
    cases: Sequence[Case], known: set[tuple[str, str]], engines: Engines, log: Log
) -> Iterator[EngineAnswer]:
    """Yields what the engine does with each case that is not known.

    Args:
        cases: Cases or other files.
        known: (SHA-256, version of LiteRT) of the files whose answers are known.
        engines: The sandboxes.
        log: Called with each progress message.

    Raises:
        ZooError: if the CPU cannot run a case, which is then not valid.
    """
    path = engines.gpu.child.folder() / "case.tflite"
    for number, case in enumerate(cases, start=1):
        digest = sha256(case.content).hexdigest()
        if (digest, engines.gpu.version) in known:
            continue
        log(f"[{number}/{len(cases)}] {case.name}")
        path.write_bytes(case.content)
        head = EngineAnswer(name=case.name, sha256=digest, version=engines.gpu.version)
        yield _answer(case, path, head, engines)


def _answer(case: Case, path: Path, head: EngineAnswer, engines: Engines) -> EngineAnswer:
    inputs = random_inputs(path, INFERENCES)
    if case.operator in _POSITIVE:
        inputs = [np.abs(x) + np.float32(0.1) if x.dtype.kind == "f" else x for x in inputs]
    expected = engines.cpu.run_tensors(path, inputs, "xnnpack")
    plain = engines.cpu.run_tensors(path, inputs, "none")
    fields: dict[str, object] = {"cpu_db": _bounded(worst_db(plain, expected))}
    try:
        placement = engines.gpu.placement(path, "gpu")
        fields["nodes"], fields["taken"] = placement.nodes, placement.delegated
        if placement.accelerator is not None:
            fields["device"] = placement.accelerator.name
        fields["refused"] = placement.refused or ()
        if placement.delegated:
            found = engines.gpu.run_tensors(path, inputs, "gpu")
            fields["db"] = _bounded(worst_db(expected, found))
    except ZooError as error:
        fields["problem"] = error.problem
    return head.model_copy(update=fields)


def _bounded(db: float) -> float:
    return -_MOST_DB if math.isnan(db) else max(-_MOST_DB, min(_MOST_DB, db))
