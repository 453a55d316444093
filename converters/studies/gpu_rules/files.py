"""Files of a single operator, described by its tensors and options."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from converters.tflite.build import Builder

F32, F16, I8, U8, I16, I32 = "FLOAT32", "FLOAT16", "INT8", "UINT8", "INT16", "INT32"
I64, I4, BOOL = "INT64", "INT4", "BOOL"
NUMPY = {
    F32: np.float32, F16: np.float16, I8: np.int8, U8: np.uint8, I16: np.int16, I32: np.int32,
    I64: np.int64, I4: np.int8, BOOL: np.bool_,
}  # fmt: skip
_RANGE = {
    I8: (-127, 128),
    U8: (0, 256),
    I16: (-127, 128),
    I32: (-9, 10),
    I64: (-9, 10),
    I4: (-7, 8),
}
_ZERO_POINT = {I8: 3, U8: 125}
_QUANTIZED = (I8, U8, I16)
Options = tuple[str, Mapping[str, Any]]


@dataclass(frozen=True)
class T:
    """A tensor of a case.

    Attributes:
        shape: Shape; −1 for dimensions known only at run time.
        kind: Type, one of `NUMPY`.
        constant: Whether its values are in the file: `values`, or random ones.
        values: Values of a constant.
        scales: One scale or one per slice along `axis`; of a quantized type without any, 0.05.
        zero_point: Zero point; None for one that suits the type.
        axis: Quantized dimension.
    """

    shape: tuple[int, ...]
    kind: str = F32
    constant: bool = False
    values: tuple[Any, ...] | None = None
    scales: tuple[float, ...] | None = None
    zero_point: int | None = None
    axis: int = 0


@dataclass(frozen=True)
class Case:
    """A file with one operator that is of interest.

    Attributes:
        operator: Its name, for example `CONV_2D`.
        what: What tells it from other cases of the operator, for example `int8, 1×1, stride 2`.
        content: The `.tflite`.
    """

    operator: str
    what: str
    content: bytes

    @property
    def name(self) -> str:
        """The operator and what is special about it; unique."""
        return f"{self.operator} {self.what}".strip()


def constant(shape: tuple[int, ...], kind: str = F32, **fields: Any) -> T:
    """Returns a constant with random values."""
    return T(shape, kind, constant=True, **fields)


def numbers(*values: int, kind: str = I32, shape: tuple[int, ...] | None = None) -> T:
    """Returns a constant such as axes or a shape: a vector of its values, unless told otherwise."""
    return T((len(values),) if shape is None else shape, kind, True, values)


def case(
    operator: str,
    what: str,
    inputs: Sequence[T | None],
    outputs: Sequence[T],
    options: Options | None = None,
    version: int = 1,
    then: tuple[str, T, Options | None] | None = None,
) -> Case:
    """Returns a file of one operator, whose computed inputs are the inputs of the graph.

    Args:
        operator: Name in the schema.
        what: What tells it from other cases of the operator.
        inputs: Its inputs; None for an omitted one. The same object twice is one tensor.
        outputs: Its outputs.
        options: Name of the options' table and its fields.
        version: Version of the operator.
        then: An operator that computes the graph's output from the first output: its name, its
            output and its options.
    """
    build = Builder("a case of the study of GPU rules")
    draw = np.random.default_rng(zlib.crc32(f"{operator} {what}".encode()))
    indices: dict[int, int] = {}
    given = []
    for place, spec in enumerate(inputs):
        if spec is None:
            given.append(-1)
            continue
        if id(spec) not in indices:
            indices[id(spec)] = _add(build, f"input{place}", spec, draw)
        given.append(indices[id(spec)])
    made = [_add(build, f"output{place}", spec, draw) for place, spec in enumerate(outputs)]
    build.add_operator(operator, given, made, options, version)
    results = made
    if then is not None:
        results = [_add(build, "then", then[1], draw)]
        build.add_operator(then[0], made[:1], results, then[2])
    entering = [
        index
        for spec, index in zip(inputs, given, strict=True)
        if spec is not None and not spec.constant
    ]
    return Case(operator, what, build.file(list(dict.fromkeys(entering)), results))


def with_version(original: Case, version: int, what: str) -> Case:
    """Returns a case whose first operator has another version."""
    from converters.tflite import edit

    model = edit.unpacked(original.content)
    model.operatorCodes[0].version = version
    return replace(original, what=what, content=edit.packed(model))


def _add(build: Builder, name: str, spec: T, draw: np.random.Generator) -> int:
    values = None
    if spec.constant:
        values = _values(spec, draw)
    scales, zero_point = spec.scales, spec.zero_point
    if scales is None:
        scales = (0.05,) if spec.kind in _QUANTIZED else ()
    if zero_point is None:
        zero_point = 0 if spec.constant else _ZERO_POINT.get(spec.kind, 0)
    return build.add_tensor(name, spec.shape, spec.kind, values, scales, zero_point, spec.axis)


def _values(spec: T, draw: np.random.Generator) -> np.ndarray:
    if spec.values is not None:
        return np.array(spec.values, NUMPY[spec.kind])
    if spec.kind == BOOL:
        return draw.integers(0, 2, spec.shape).astype(np.bool_)
    if spec.kind in _RANGE:
        return draw.integers(*_RANGE[spec.kind], spec.shape).astype(NUMPY[spec.kind])
    return draw.normal(0, 0.5, spec.shape).astype(NUMPY[spec.kind])
