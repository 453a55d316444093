"""What each form of a shift costs between two 1×1 convolutions, as ratios."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tf_keras

from converters.conversion.from_keras import Conversions
from converters.conversion.quantize import Calibration
from zoo import layers as own
from zoo import runtime

layers = tf_keras.layers
Tensor = Any

# At stride 1 a layer may cost what the depthwise convolution does, and as much as a busy machine
# makes one and the same block vary.
_TOLERANCE = 0.05
# Where the block takes more than this without the depthwise convolution, what a layer adds is lost
# in the noise.
_TELLS = 0.92

HEADER = (
    "| map | numbers | layer | form | block / depthwise block (middle half) | added / depthwise's |"
    " on XNNPACK | goal |\n|---|---|---|---|---|---|---|---|"
)


@dataclass(frozen=True)
class _Case:
    """A block: 1×1 convolution, ReLU, what `make` adds, 1×1 convolution."""

    layer: str
    form: str
    make: Callable[[Tensor], Tensor]
    table: str = ""  # the offsets of its shift layer, see `_offsets`
    strides: int = 1
    chosen: bool = True  # by `lower`; else a form that it does not choose


def _depthwise(kernel: Any, **arguments: Any) -> Callable[[Tensor], Tensor]:
    def make(x: Tensor) -> Tensor:
        arguments.setdefault("padding", "same")
        return layers.DepthwiseConv2D(kernel, use_bias=False, **arguments)(x)

    return make


def _in_turn(*makes: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    def make(x: Tensor) -> Tensor:
        for each in makes:
            x = each(x)
        return x

    return make


def _shift(**arguments: Any) -> Callable[[Tensor], Tensor]:
    return lambda x: own.Shift(**arguments)(x)


def _sparse(x: Tensor) -> Tensor:
    return own.SparseShift(radius=8)(x)


def _active(x: Tensor) -> Tensor:
    return own.ActiveShift(radius=8)(x)


def _quadrants(x: Tensor) -> Tensor:
    """Channels sorted by the signs of their shifts: four 2×2 kernels and a concatenation."""
    quarter = x.shape[-1] // 4
    parts = []
    for number in range(4):
        above, left = divmod(number, 2)
        part = layers.Conv2D(quarter, 1, activation="relu")(x)
        part = layers.ZeroPadding2D(((above, 1 - above), (left, 1 - left)))(part)
        parts.append(_depthwise(2, padding="valid")(part))
    return layers.Concatenate()(parts)


def _nine(x: Tensor) -> Tensor:
    """Channels sorted by direction: nine convolutions, cropped and padded, concatenated."""
    each, rows = x.shape[-1] // 9, []
    for dy in (-1, 0, 1):
        row = []
        for dx in (-1, 0, 1):
            filters = each if dy or dx else x.shape[-1] - 8 * each
            part = layers.Conv2D(filters, 1, activation="relu")(x)
            before, after = (max(dy, 0), max(dx, 0)), (max(-dy, 0), max(-dx, 0))
            part = layers.Cropping2D(tuple(zip(before, after, strict=True)))(part)
            row.append(layers.ZeroPadding2D(tuple(zip(after, before, strict=True)))(part))
        rows.append(layers.Concatenate()(row))
    return layers.Concatenate()(rows)


def _parted(share: float, add: bool) -> Callable[[Tensor], Tensor]:
    """The share of channels that moves gets a 3×3 kernel, in a convolution of its own."""

    def make(x: Tensor) -> Tensor:
        channels = x.shape[-1]
        count = max(1, round(channels * share))
        moved = _depthwise(3)(layers.Conv2D(count, 1, activation="relu")(x))
        still = layers.Conv2D(channels - count, 1, activation="relu")(x)
        if not add:
            return layers.Concatenate()([moved, still])
        ends = [layers.Conv2D(channels, 1)(part) for part in (moved, still)]
        return layers.Add()(ends)

    return make


# Cases whose form brings the convolutions around it.
_WHOLE = ("sorted", "apart")

_CASES = (
    _Case("none", "", lambda x: x),
    _Case("depthwise 3×3, trained", "", _depthwise(3)),
    _Case("Shift 3×3", "lower", _shift()),
    _Case("Shift 3×3", "one-hot 3×3", _depthwise(3), chosen=False),
    _Case(
        "Shift 3×3", "3×1, 1×3", _in_turn(_depthwise((3, 1)), _depthwise((1, 3))), chosen=False
    ),
    _Case("Shift 3×3", "sorted: 9 crops, concatenated", _nine, chosen=False),
    _Case("Shift 3×3, dilation 2", "lower", _shift(dilation=2)),
    _Case("Shift 5×5", "lower", _shift(kernel_size=5)),
    _Case("Shift 5×5", "one-hot 5×5", _depthwise(5), chosen=False),
    _Case("SparseShift, 90 % unmoved, reach 1", "lower", _sparse, "sparse"),
    _Case(
        "SparseShift, 90 % unmoved, reach 1", "apart: concatenated", _parted(0.1, False), "",
        chosen=False,
    ),
    _Case(
        "SparseShift, 90 % unmoved, reach 1", "apart: added", _parted(0.1, True), chosen=False
    ),
    _Case("SparseShift, all unmoved", "lower", _sparse, "still"),
    _Case("ActiveShift, 0 to 1 pixel", "lower", _active, "forward"),
    _Case("ActiveShift, reach 1", "lower", _active, "1"),
    _Case("ActiveShift, reach 1", "sorted: 4 of 2×2, concatenated", _quadrants, chosen=False),
    _Case("ActiveShift, reach 2", "lower", _active, "2"),
    _Case("ActiveShift, reach 8", "lower", _active, "8"),
    _Case(
        "ActiveShift, reach 8", "17×1, 1×17", _in_turn(_depthwise((17, 1)), _depthwise((1, 17))),
        chosen=False,
    ),
    _Case("depthwise 3×3, trained", "", _depthwise(3, strides=2), strides=2),
    _Case("Shift 3×3", "lower", _shift(strides=2), strides=2),
    _Case("Shift 3×3", "one-hot 4×4, same padding", _depthwise(4, strides=2), "", 2, False),
    _Case("Shift 5×5", "lower", _shift(kernel_size=5, strides=2), strides=2),
    _Case(
        "Shift 5×5", "5×1, 1×5 strided",
        _in_turn(_depthwise((5, 1)), _depthwise((1, 5), strides=2)), "", 2, False,
    ),
)  # fmt: skip


def table(size: int, channels: int, integer: bool, turns: int, runs: int) -> str:
    """Lines of the table for maps of size×size×channels, float32 or int8."""
    nets = [
        runtime.load(
            _flatbuffer(_block(case, size, channels), integer), "litert", "xnnpack", 1,
            case.form,
        )
        for case in _CASES
    ]  # fmt: skip
    times = _interleaved(nets, turns, runs)
    lines = []
    for number, case in enumerate(_CASES):
        reference = next(
            i
            for i, other in enumerate(_CASES)
            if other.layer.startswith("depthwise") and other.strides == case.strides
        )
        low, whole, high = statistics.quantiles(_ratios(times, number, reference), n=4)
        without = statistics.median(_ratios(times, 0, reference))
        told = case.strides == 1 and without < _TELLS and number
        added = f"{(whole - without) / (1 - without):.2f}" if told else ""
        placed = nets[number].placement()
        lines.append(
            f"| {size}²×{channels} | {'int8' if integer else 'float32'} | {case.layer}"
            f"{', stride 2' if case.strides == 2 else ''} | {_form(case)} | {whole:.2f} "
            f"({low:.2f} – {high:.2f}) | {added} | {placed.delegated}/{placed.nodes} in "
            f"{placed.partitions} | {_goal(case, number, reference, whole)} |"
        )
    return "\n".join(lines)


def _ratios(times: list[list[float]], number: int, reference: int) -> list[float]:
    return [a / b for a, b in zip(times[number], times[reference], strict=True)]


def _form(case: _Case) -> str:
    return "**chosen**" if case.form == "lower" else case.form


def _goal(case: _Case, number: int, reference: int, whole: float) -> str:
    if not case.chosen or number in (0, reference):
        return ""
    return "met" if whole <= 1 + _TOLERANCE else "not met"


def _block(case: _Case, size: int, channels: int) -> tf_keras.Model:
    image = layers.Input((size, size, channels), name="image")
    x = image
    if not case.form.startswith(_WHOLE):
        x = layers.Conv2D(channels, 1)(x)
        x = layers.ReLU()(x)
    x = case.make(x)
    if not case.form.endswith("added"):
        x = layers.Conv2D(channels, 1)(x)
    model = tf_keras.Model(image, x, name="block")
    for layer in model.layers:
        if isinstance(layer, own.LearnedShift):
            layer.shift.assign(_offsets(case.table, channels))
    return model


def _offsets(kind: str, channels: int) -> np.ndarray:
    random_numbers = np.random.default_rng(1)
    if kind == "still":
        return np.zeros((channels, 2))
    if kind == "sparse":
        offsets = own.shifts(channels, 3)
        offsets[random_numbers.permutation(channels)[: round(0.9 * channels)]] = 0
        return offsets
    if kind == "forward":
        return random_numbers.uniform(0, 1, (channels, 2))
    return random_numbers.uniform(-float(kind), float(kind), (channels, 2))


def _flatbuffer(model: tf_keras.Model, integer: bool) -> bytes:
    noise = np.random.default_rng(2).standard_normal((4, *model.input_shape[1:]), np.float32)
    calibration = Calibration(noise, float(noise.min()), float(noise.max()))
    return Conversions(model, calibration).flatbuffer("int8" if integer else "float32")


def _interleaved(nets: list[runtime.Net], turns: int, runs: int) -> list[list[float]]:
    """Seconds of `runs` runs of each, in each turn; the order of a turn is random."""
    for net in nets:
        image = np.random.default_rng(3).standard_normal(net.input["shape"][1:], np.float32)
        net.set_input(net.quantized(image))
    times: list[list[float]] = [[] for _ in nets]
    order, shuffle = list(range(len(nets))), random.Random(4).shuffle  # noqa: S311
    for turn in range(turns + 1):
        shuffle(order)
        for number in order:
            invoke = nets[number].interpreter.invoke
            invoke()  # fills the caches with this network
            began = time.perf_counter()
            for _ in range(runs):
                invoke()
            if turn:
                times[number].append(time.perf_counter() - began)
    return times
