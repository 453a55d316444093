"""Precisions, one row each, and the names of artifacts. Imports no TensorFlow.

A row has every fact about a precision; `converters.conversion.makers` has the function that makes
its files. Whatever else needs a fact (flags, limits, gates, colors, tables) takes it from here.

An artifact is named MODEL-DATASET[-STEP…][-rate][-raw_input]-PRECISION, for example
`squeezenet_v1_1-fashion_mnist-pruned-int8`. MODEL-DATASET[-STEP…] is the name of the converted run
without a trailing `-qat`, which the precision already implies. `rate` marks weights that went
through rate–distortion quantization (`converters.rate_distortion`). With `raw_input`, the input is
uint8 pixels from 0 to 255, RGB or gray, and the graph normalizes them.
"""

from __future__ import annotations

from dataclasses import dataclass

from zoo.errors import UnknownNameError, ZooError
from zoo.schema.run import Run

# Least share of inferences in which another engine has the largest value where the CPU has it, by
# what a file's kernels compute in: floats that differ in the last bits, or integers that differ by
# steps.
ENGINE_AGREEMENT = {"float": 0.995, "integers": 0.99}


@dataclass(frozen=True, kw_only=True)
class Precision:
    """A precision.

    Attributes:
        name: Its name in flags, in manifests and at the end of artifact names.
        weights: Dtype that weights are stored as.
        activations: Dtype of activations, input and output.
        note: What the dtypes do not tell.
        needs_calibration: Whether real images set the ranges of the activations.
        after_qat: Whether it is for runs with fake quantization, and the only one for them.
        on_request: Whether files are made only if it is asked for.
        delegated: Whether XNNPACK runs its files whole, in one partition.
        engines: Accelerators that it is for, of `zoo.runtime.RUNTIMES`.
        labeled: Whether charts that compare networks label its points; those of the other
            precisions lie close to labeled ones.
        largest_drop: Largest loss of test top-1 against `BASE` that publishing allows, in
            percentage points; None for no limit.
        max_relative: Largest relative error of the logits against Keras (`Difference.relative`).
        min_agreement: Least share of images with the same top-1 class as in Keras, 0 to 1.
        sound_db: SQNR in dB that a correct layer reaches from exact inputs.
    """

    name: str
    weights: str
    activations: str
    note: str = ""
    needs_calibration: bool = False
    after_qat: bool = False
    on_request: bool = False
    delegated: bool = True
    engines: tuple[str, ...] = ("litert_gpu", "litert_npu")
    labeled: bool = False
    largest_drop: float | None = None
    max_relative: float
    min_agreement: float
    sound_db: float

    @property
    def integers(self) -> bool:
        """Whether its files compute in integers throughout."""
        return self.activations.startswith("int")

    @property
    def stores_codes(self) -> bool:
        """Whether its files can store the integers of rate–distortion quantization."""
        return self.weights.startswith("int") and not self.after_qat

    @property
    def engine_agreement(self) -> float:
        """Least share of inferences in which another engine agrees with the CPU, 0 to 1."""
        kernels_in_integers = self.weights.startswith("int")
        return ENGINE_AGREEMENT["integers" if kernels_in_integers else "float"]


# The limits against Keras are loose enough for a correct network with tens of layers, yet far below
# the effect of a broken layer, whose error is as large as the signal. Quantizing a tensor's whole
# range to 8 bits leaves about 30 to 40 dB per layer, half-precision weights about 70 dB, and
# float32 about 130 dB. Tables, and colors and shapes of charts, follow the order of the rows.
ROWS = (
    Precision(
        name="float32", weights="float32", activations="float32",
        max_relative=1e-4, min_agreement=0.995, sound_db=90,
    ),
    Precision(
        name="float16", weights="float16", activations="float32",
        note="weights are dequantized; accelerators may compute in float16",
        labeled=True, largest_drop=0.3, max_relative=1e-2, min_agreement=0.98, sound_db=50,
    ),
    Precision(
        name="dynamic_int8", weights="int8", activations="float32",
        note="depthwise weights stay float32; kernels quantize activations on the fly",
        engines=("litert_gpu",),
        largest_drop=1.0, max_relative=0.2, min_agreement=0.9, sound_db=30,
    ),
    Precision(
        name="int8", weights="int8", activations="int8",
        note="one scale per filter", needs_calibration=True,
        labeled=True, largest_drop=1.5, max_relative=0.3, min_agreement=0.85, sound_db=30,
    ),
    Precision(
        name="int8_qat", weights="int8", activations="int8",
        note="one scale per filter", after_qat=True,
        largest_drop=1.5, max_relative=0.2, min_agreement=0.9, sound_db=30,
    ),
    Precision(
        name="int16x8", weights="int8", activations="int16",
        note="one scale per filter; measures the accuracy that int8 activations cost",
        needs_calibration=True, on_request=True, delegated=False, engines=(),
        largest_drop=0.5, max_relative=0.2, min_agreement=0.9, sound_db=30,
    ),
)  # fmt: skip

PRECISIONS = tuple(row.name for row in ROWS)
BASE = PRECISIONS[0]  # what the other precisions are compared with: the network as it is
AFTER_QAT = tuple(row.name for row in ROWS if row.after_qat)
BEFORE_QAT = tuple(row.name for row in ROWS if not row.after_qat)
ON_REQUEST = tuple(row.name for row in ROWS if row.on_request)
USUAL = tuple(name for name in BEFORE_QAT if name not in ON_REQUEST)
CALIBRATED = tuple(row.name for row in ROWS if row.needs_calibration)


def precision(name: str) -> Precision:
    """Returns the row of a precision.

    Raises:
        UnknownNameError: if there is no such precision.
    """
    for row in ROWS:
        if row.name == name:
            return row
    raise UnknownNameError("precision", name, PRECISIONS)


def possible(run: Run) -> tuple[str, ...]:
    """Returns the precisions that a run can be converted to."""
    return AFTER_QAT if "qat" in run.scheme else BEFORE_QAT


def usual(run: Run) -> tuple[str, ...]:
    """Returns the default precisions of a run: the possible ones that phones run well."""
    return tuple(name for name in possible(run) if name not in ON_REQUEST)


def check(run: Run, name: str, raw_input: bool = False) -> None:
    """Checks that a run can be converted to a precision.

    Args:
        run: Finished run.
        name: One of `PRECISIONS`.
        raw_input: Whether the artifact is to take uint8 pixels.

    Raises:
        ZooError: if the run does not support the precision, or the precision does not support raw
            pixel input.
    """
    if name not in possible(run):
        raise ZooError(
            f"{run.name} can't be converted to {name}",
            expected=", ".join(possible(run)),
            remedy=f"use a run of zoo compress --scheme=qat for {', '.join(AFTER_QAT)}, and a run "
            "without QAT for the other precisions",
        )
    if raw_input and name in AFTER_QAT:
        raise ZooError(
            f"{name} does not support raw pixel input: QAT does not cover preprocessing",
            where=run.name,
            remedy=f"drop --raw_input, or convert {run.parent} to {_without_qat(name)}",
        )


def artifact_name(run: Run, name: str, raw_input: bool = False, rate: bool = False) -> str:
    """Returns the name of an artifact, in the format given in the module docstring."""
    options = ("-rate" if rate else "") + ("-raw_input" if raw_input else "")
    return f"{run.name.removesuffix('-qat')}{options}-{name}"


def _without_qat(name: str) -> str:
    row = precision(name)
    dtypes = (row.weights, row.activations)
    return next(
        other.name
        for other in ROWS
        if not other.after_qat and (other.weights, other.activations) == dtypes
    )
