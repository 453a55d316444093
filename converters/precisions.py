"""Precisions and the names of artifacts.

Grammar of an artifact's name: MODEL-DATASET[-STEP…]-PRECISION, `squeezenet_v1_1-fashion_mnist-
pruned-int8` say; MODEL-DATASET[-STEP…] is the name of the run that it was converted from, without
a final `-qat`, which the precision tells.

| precision      | weights               | activations | input, output | needs              |
|----------------|-----------------------|-------------|---------------|--------------------|
| `float32`      | float32               | float32     | float32       |                    |
| `float16`      | float16, widened      | float32     | float32       |                    |
| `dynamic_int8` | int8 a channel        | float32 (1) | float32       |                    |
| `int8`         | int8 a channel        | int8        | int8          | calibration images |
| `int8_qat`     | int8 a channel        | int8        | int8          | a QAT run          |

(1) quantised on the fly inside the kernels.
"""

from __future__ import annotations

from zoo.errors import ZooError
from zoo.types import Run

PRECISIONS = ("float32", "float16", "dynamic_int8", "int8", "int8_qat")


def possible(run: Run) -> tuple[str, ...]:
    """The precisions that a run can be converted to."""
    return ("int8_qat",) if "qat" in run.scheme else PRECISIONS[:-1]


def check(run: Run, precision: str) -> None:
    """Raises ZooError where the run can't have that precision."""
    if precision not in possible(run):
        raise ZooError(
            f"{run.name} can't be converted to {precision}",
            expected=", ".join(possible(run)),
            remedy="int8_qat needs a run of scripts.compress --scheme=qat; a QAT run gives nothing"
            " else",
        )


def artifact_name(run: Run, precision: str) -> str:
    """The artifact's name by the grammar above."""
    return f"{run.name.removesuffix('-qat')}-{precision}"
