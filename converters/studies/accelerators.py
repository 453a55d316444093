"""What the engines of phones' accelerators do with a converted file. No TensorFlow.

Each engine runs in a child process with a time limit. A file that an engine refuses, or on which it
does not end, is a result as well.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from converters.compilation import compile_file
from converters.parity import engines
from converters.parity.engines import EngineRow, Inputs
from converters.parity.evidence import meant_for
from converters.parity.tensor_inputs import as_input, model_bytes
from converters.studies.accelerator_rows import AcceleratorRow, Key, OnImages
from converters.studies.coverage_table import CoverageRow
from zoo.errors import ZooError
from zoo.io.log import Log
from zoo.io.provenance import Provenance
from zoo.runtime.engines import ACCELERATORS, RUNTIMES, version
from zoo.runtime.npu_compiler import DEFAULT_SOC
from zoo.runtime.sandbox import Sandbox
from zoo.schema.compiled import CompiledModel

IMAGES = 3  # on a software GPU, an image takes seconds
SOCS = ("SM8450", DEFAULT_SOC, "SM8750")
EMULATED = DEFAULT_SOC  # the emulator's numbers of the others hardly differ
# On the NPU, float32 is computed in float16 as well, and other integers have the operators of int8.
NPU_PRECISIONS = ("float16", "int8")
_NPU = ACCELERATORS["npu"]
# By the names of the engines.
_DELEGATES = {
    ACCELERATORS["gpu"]: ("gpu",),
    _NPU: tuple(f"npu:{soc}" for soc in SOCS),
}


def cases(row: CoverageRow, runtimes: Sequence[str]) -> dict[Key, tuple[str, str]]:
    """Returns the engine and delegate of each result that a file should have, by its key.

    Args:
        row: Row of the file. Without a file, and in precisions that are not meant for an engine or
            not in `NPU_PRECISIONS`, there is nothing to run.
        runtimes: Engines.

    Raises:
        ZooError: if an engine is not installed.
    """
    if row.sha256 is None:
        return {}
    return {
        (row.sha256, delegate, _versions_key(runtime)): (runtime, delegate)
        for runtime in runtimes
        if meant_for(row.precision, runtime)
        and (runtime != _NPU or row.precision in NPU_PRECISIONS)
        for delegate in _DELEGATES[runtime]
    }


def examine(
    file: Path,
    row: CoverageRow,
    delegate: str,
    images: np.ndarray,
    cpu: Sandbox,
    runner: Sandbox,
    log: Log,
) -> AcceleratorRow:
    """Runs or compiles a file on an engine and compares the outputs with LiteRT's XNNPACK.

    For an NPU, the file is compiled for the SoC; outputs are computed for `EMULATED`, if its NPU
    runs the whole file.

    Args:
        file: The `.tflite`.
        row: Its row.
        delegate: Delegate of the engine, see `cases`.
        images: Images as the network takes them, float32 (n, height, width, channels).
        cpu: Sandbox of LiteRT's interpreter.
        runner: Sandbox of the engine, whose time limit is also that of the compiler.
        log: Called with each progress message.
    """
    result = AcceleratorRow(
        model=row.model,
        precision=row.precision,
        sha256=row.sha256 or "",
        delegate=delegate,
        versions=_versions(runner.runtime),
        limit_s=runner.child.timeout_s,
    )
    compiled = None
    try:
        if runner.runtime == _NPU:
            soc = delegate.partition(":")[2]
            compiled = _compile(file, soc, runner.child.timeout_s)
            if soc != EMULATED or not compiled.whole:
                return result.model_copy(update={"compiled": compiled})
        inputs = Inputs([as_input(model_bytes(file), images, file.name)])
        (found,) = engines.compare(file, inputs, cpu, [(runner, delegate)], log)
    except ZooError as error:
        return result.model_copy(update={"compiled": compiled, "reason": str(error)})
    ran = found.agreement is not None
    return result.model_copy(
        update={
            "compiled": compiled,
            "placement": found.placement,
            "on_images": _on_images(found) if ran else None,
            "reason": None if ran else "; ".join(found.reasons),
        }
    )


def _compile(file: Path, soc: str, limit_s: float) -> CompiledModel:
    with tempfile.TemporaryDirectory(prefix="zoo-study-") as folder:
        return compile_file(file, soc, Path(folder), Provenance.here(), limit_s)


def _on_images(found: EngineRow) -> OnImages:
    return OnImages(
        images=found.inferences,
        sqnr_db=_finite(found.sqnr_db),
        largest=_finite(found.largest),
        agreement=found.agreement or 0.0,
        first=found.first,
        reasons=found.reasons,
    )


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _versions(runtime: str) -> dict[str, str]:
    """Returns the versions of all that takes part: LiteRT compiles for the NPU and is the CPU."""
    return {RUNTIMES[name].package: version(name) for name in ("litert", runtime)}


def _versions_key(runtime: str) -> str:
    return AcceleratorRow.versions_key(_versions(runtime))
