"""The input files and the output file of the tool, and the errors of a broken delegate."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .flags import Flags
from .text import fail, warn

if TYPE_CHECKING:
    import numpy as np


def resize_inputs(interpreter: Any, flags: Flags) -> None:
    """Resizes the inputs, which are assigned by their order; a wrong name only causes a warning."""
    layers, sizes = flags.get("input_layer"), flags.get("input_layer_shape")
    names, shapes = _split(layers, ","), _split(sizes, ":")
    if len(names) != len(shapes):
        fail(
            f"The number of items in --input_layer_shape ({sizes}, with "
            f"{len(shapes)} items) must match the number of items in --input_layer "
            f"({layers}, with {len(names)} items).",
            "Benchmarking failed.",
        )
    inputs = interpreter.get_input_details()
    if names and len(names) != len(inputs):
        abort(f"Inputs mismatch: Model inputs #:{len(names)} expected: {len(inputs)}")
    for number, (name, one) in enumerate(zip(names, inputs, strict=False)):
        if name != one["name"]:
            index = one["index"]
            warn(f"Tensor # {index} is named {one['name']} but flags call it {name}")
        shape = [int(n) for n in shapes[number].split(",")]
        if len(shape) != len(one["shape"]):
            wanted = len(one["shape"])
            fail(f"Input tensor #{number} should have {wanted} dimensions!", "Benchmarking failed.")
        interpreter.resize_tensor_input(one["index"], shape)


def from_files(interpreter: Any, flags: Flags) -> dict[int, np.ndarray]:
    """Reads the inputs in `--input_layer_value_files`, by tensor index.

    The flag is `name:path,name:path`, where `::` stands for a colon. A missing file or one of the
    wrong size aborts the tool.
    """
    import numpy as np

    names = _split(flags.get("input_layer"), ",")
    given = {}
    for item in _split(flags.get("input_layer_value_files"), ","):
        parts = [part.replace("::", ":") for part in re.split(r"(?<!:):(?!:)", item)]
        if len(parts) != 2:
            fail(f"Wrong input value file item specified: {item}", "Benchmarking failed.")
        name, path = parts
        if name not in names:
            abort(
                f"Cannot find the corresponding input_layer name({name}) in --input_layer as "
                f"{flags.get('input_layer')}"
            )
        one = interpreter.get_input_details()[names.index(name)]
        try:
            content = Path(path).read_bytes()
        except OSError:
            abort(f"Failed to read the input_layer_value_file:{path}")
        wanted = int(np.prod(one["shape"])) * np.dtype(one["dtype"]).itemsize
        if len(content) != wanted:
            abort(f"The size of {path} is {len(content)} bytes. It should be {wanted} bytes.")
        given[one["index"]] = np.frombuffer(content, one["dtype"]).reshape(one["shape"])
    return given


def save_outputs(interpreter: Any, flags: Flags, error: str | None) -> None:
    """Writes the concatenated raw outputs; a file that cannot be opened is silently ignored.

    Args:
        interpreter: Interpreter after its last inference.
        flags: Flags of the tool; nothing is written without `--output_filepath`.
        error: Error of the GPU delegate, which applies if it is used; None for none.
    """
    path = flags.get("output_filepath")
    if not path:
        return
    error = error if flags["use_gpu"] else None
    details = interpreter.get_output_details()
    raw = b"".join(_spoilt(interpreter.get_tensor(one["index"]), error) for one in details)
    try:
        if error != "unwritten":
            Path(path).write_bytes(raw[: len(raw) // 2] if error == "short" else raw)
    except OSError:
        pass


def _spoilt(values: np.ndarray, error: str | None) -> bytes:
    import numpy as np

    if error == "noise":
        draw = np.random.default_rng(1)
        spread = 0.05 * float(np.ptp(values.astype(np.float64)))
        noisy = values + draw.uniform(-spread, spread, values.shape)
        limits = np.iinfo(values.dtype) if values.dtype.kind in "iu" else None
        values = (np.clip(noisy.round(), limits.min, limits.max) if limits else noisy).astype(
            values.dtype
        )
    elif error == "swap":
        values = np.roll(values, 1, axis=-1)
    elif error == "nan":
        values = np.full_like(values, np.nan)
    return values.tobytes()


def abort(text: str) -> Any:
    """Prints a FATAL line and aborts, like the native tool."""
    from .run import crash

    print(f"FATAL: {text}", file=sys.stderr, flush=True)
    crash(134)


def _split(text: str, separator: str) -> list[str]:
    return text.split(separator) if text else []
