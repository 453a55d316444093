"""Precisions and the names of artifacts.

Grammar of an artifact's name: MODEL-DATASET[-STEP…][-rate][-raw_input]-PRECISION,
`squeezenet_v1_1-fashion_mnist-pruned-int8` say; MODEL-DATASET[-STEP…] is the name of the run that
it was converted from, without a final `-qat`, which the precision tells. `rate` was quantized for
rate and distortion before (`converters.rate_distortion`).

| precision      | weights                  | activations | input, output | needs              |
|----------------|--------------------------|-------------|---------------|--------------------|
| `float32`      | float32                  | float32     | float32       |                    |
| `float16`      | float16, widened         | float32 (1) | float32       |                    |
| `dynamic_int8` | int8, depthwise float32  | float32 (2) | float32       |                    |
| `int8`         | int8 a filter            | int8        | int8          | calibration images |
| `int8_qat`     | int8 a filter            | int8        | int8          | a QAT run          |
| `int16x8`      | int8 a filter            | int16 (3)   | int16         | calibration images |

(1) delegates may compute in float16 where the hardware does. (2) quantized on the fly inside the
kernels. (3) no delegate takes it: for checking what int8 activations cost, and for accelerators.

With `raw_input` the input is uint8 pixels, 0 to 255, RGB or gray, and the graph normalizes them.
"""

from __future__ import annotations

from zoo.errors import ZooError
from zoo.schema.run import Run

PRECISIONS = ("float32", "float16", "dynamic_int8", "int8", "int8_qat", "int16x8")
_AFTER_QAT = ("int8_qat",)
_BEFORE_QAT = tuple(p for p in PRECISIONS if p not in _AFTER_QAT)
_ON_REQUEST = ("int16x8",)


def possible(run: Run) -> tuple[str, ...]:
    """The precisions that a run can be converted to."""
    return _AFTER_QAT if "qat" in run.scheme else _BEFORE_QAT


def usual(run: Run) -> tuple[str, ...]:
    """Those of them that phones run well."""
    return tuple(p for p in possible(run) if p not in _ON_REQUEST)


def check(run: Run, precision: str, raw_input: bool = False) -> None:
    """Raises ZooError where the run can't have that precision, or not with pixels as input."""
    if precision not in possible(run):
        raise ZooError(
            f"{run.name} can't be converted to {precision}",
            expected=", ".join(possible(run)),
            remedy="int8_qat needs a run of scripts.compress --scheme=qat; a QAT run gives nothing"
            " else",
        )
    if raw_input and precision in _AFTER_QAT:
        raise ZooError(
            f"{precision} can't take pixels: what was trained includes no preprocessing",
            where=run.name,
            remedy=f"leave --raw_input out, or convert {run.parent} to int8",
        )


def artifact_name(run: Run, precision: str, raw_input: bool = False, rate: bool = False) -> str:
    """The artifact's name by the grammar above."""
    taking = ("-rate" if rate else "") + ("-raw_input" if raw_input else "")
    return f"{run.name.removesuffix('-qat')}{taking}-{precision}"
