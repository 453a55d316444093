"""Precisions and the names of artifacts.

An artifact is named MODEL-DATASET[-STEP…][-rate][-raw_input]-PRECISION, for example
`squeezenet_v1_1-fashion_mnist-pruned-int8`. MODEL-DATASET[-STEP…] is the name of the converted run
without a trailing `-qat`, which the precision already implies. `rate` marks weights that went
through rate–distortion quantization (`converters.rate_distortion`).

| precision      | weights                  | activations | input, output | needs              |
|----------------|--------------------------|-------------|---------------|--------------------|
| `float32`      | float32                  | float32     | float32       |                    |
| `float16`      | float16, dequantized     | float32 (1) | float32       |                    |
| `dynamic_int8` | int8, depthwise float32  | float32 (2) | float32       |                    |
| `int8`         | int8 per filter          | int8        | int8          | calibration images |
| `int8_qat`     | int8 per filter          | int8        | int8          | a QAT run          |
| `int16x8`      | int8 per filter          | int16 (3)   | int16         | calibration images |

(1) Delegates may compute in float16 where the hardware supports it. (2) Quantized on the fly inside
the kernels. (3) Not supported by any delegate; useful for accelerators and for measuring the
accuracy cost of int8 activations.

With `raw_input`, the input is uint8 pixels from 0 to 255, RGB or gray, and the graph normalizes
them.
"""

from __future__ import annotations

from zoo.errors import ZooError
from zoo.schema.run import Run

PRECISIONS = ("float32", "float16", "dynamic_int8", "int8", "int8_qat", "int16x8")
_AFTER_QAT = ("int8_qat",)
_BEFORE_QAT = tuple(p for p in PRECISIONS if p not in _AFTER_QAT)
_ON_REQUEST = ("int16x8",)


def possible(run: Run) -> tuple[str, ...]:
    """Returns the precisions that a run can be converted to."""
    return _AFTER_QAT if "qat" in run.scheme else _BEFORE_QAT


def usual(run: Run) -> tuple[str, ...]:
    """Returns the default precisions of a run: the possible ones that phones run well."""
    return tuple(p for p in possible(run) if p not in _ON_REQUEST)


def check(run: Run, precision: str, raw_input: bool = False) -> None:
    """Checks that a run can be converted to a precision.

    Args:
        run: Finished run.
        precision: One of `PRECISIONS`.
        raw_input: Whether the artifact is to take uint8 pixels.

    Raises:
        ZooError: if the run does not support the precision, or the precision does not support raw
            pixel input.
    """
    if precision not in possible(run):
        raise ZooError(
            f"{run.name} can't be converted to {precision}",
            expected=", ".join(possible(run)),
            remedy="use a run of zoo compress --scheme=qat for int8_qat, and a run without QAT"
            " for the other precisions",
        )
    if raw_input and precision in _AFTER_QAT:
        raise ZooError(
            f"{precision} does not support raw pixel input: QAT does not cover preprocessing",
            where=run.name,
            remedy=f"drop --raw_input, or convert {run.parent} to int8",
        )


def artifact_name(run: Run, precision: str, raw_input: bool = False, rate: bool = False) -> str:
    """Returns the name of an artifact, in the format given in the module docstring."""
    options = ("-rate" if rate else "") + ("-raw_input" if raw_input else "")
    return f"{run.name.removesuffix('-qat')}{options}-{precision}"
