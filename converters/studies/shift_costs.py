"""Times each lowering of a shift layer between two 1×1 convolutions, as ratios."""

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
from zoo import layers as zoo_layers
from zoo import runtime
from zoo.catalog.precisions import BASE

layers = tf_keras.layers
Tensor = Any

# A layer may cost as much as the depthwise convolution of the same stride, plus the variation of
# identical blocks on a busy machine.
_TOLERANCE = 0.05
# If the block without a layer takes a larger share of the depthwise block's time than this, the
# time that a layer adds is lost in the noise.
_MAX_BASE_SHARE = 0.92

HEADER = (
    "| map | type | layer | form | block / depthwise block (interquartile range) |"
    " added / added by depthwise | on XNNPACK | goal |\n|---|---|---|---|---|---|---|---|"
)


@dataclass(frozen=True)
class _Case:
    """A block: 1×1 convolution, ReLU, the layers of `make`, 1×1 convolution."""

    layer: str
    form: str
    make: Callable[[Tensor], Tensor]
    table: str = ""  # offsets of the shift layer, see `_offsets`
    strides: int = 1
    chosen: bool = True  # whether `lower` chooses this form


def _depthwise(kernel: Any, **arguments: Any) -> Callable[[Tensor], Tensor]:
    def make(x: Tensor) -> Tensor:
        arguments.setdefault("padding", "same")
        return layers.DepthwiseConv2D(kernel, use_bias=False, **arguments)(x)

    return make


def _chain(*makes: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    def make(x: Tensor) -> Tensor:
        for step in makes:
            x = step(x)
        return x

    return make


def _shift(**arguments: Any) -> Callable[[Tensor], Tensor]:
    return lambda x: zoo_layers.Shift(**arguments)(x)


def _sparse(x: Tensor) -> Tensor:
    return zoo_layers.SparseShift(radius=8)(x)


def _active(x: Tensor) -> Tensor:
    return zoo_layers.ActiveShift(radius=8)(x)


def _quadrants(x: Tensor) -> Tensor:
    """Sorts channels by the signs of their shifts: four 2×2 kernels and a concatenation."""
    quarter = x.shape[-1] // 4
    parts = []
    for quadrant in range(4):
        above, left = divmod(quadrant, 2)
        part = layers.Conv2D(quarter, 1, activation="relu")(x)
        part = layers.ZeroPadding2D(((above, 1 - above), (left, 1 - left)))(part)
        parts.append(_depthwise(2, padding="valid")(part))
    return layers.Concatenate()(parts)


def _nine(x: Tensor) -> Tensor:
    """Sorts channels by direction: nine convolutions, cropped, padded and concatenated."""
    ninth, rows = x.shape[-1] // 9, []
    for dy in (-1, 0, 1):
        row = []
        for dx in (-1, 0, 1):
            filters = ninth if dy or dx else x.shape[-1] - 8 * ninth
            part = layers.Conv2D(filters, 1, activation="relu")(x)
            before, after = (max(dy, 0), max(dx, 0)), (max(-dy, 0), max(-dx, 0))
            part = layers.Cropping2D(tuple(zip(before, after, strict=True)))(part)
            row.append(layers.ZeroPadding2D(tuple(zip(after, before, strict=True)))(part))
        rows.append(layers.Concatenate()(row))
    return layers.Concatenate()(rows)


def _parted(share: float, add: bool) -> Callable[[Tensor], Tensor]:
    """Splits off the channels that move and applies a 3×3 kernel only to them.

    Args:
        share: Share of channels that move, 0 to 1.
        add: Combine the parts with two convolutions and an addition instead of a concatenation.
    """

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


# Forms that include the first 1×1 convolution.
_WHOLE = ("sorted", "apart")

_CASES = (
    _Case("none", "", lambda x: x),
    _Case("depthwise 3×3, trained", "", _depthwise(3)),
    _Case("Shift 3×3", "lower", _shift()),
    _Case("Shift 3×3", "one-hot 3×3", _depthwise(3), chosen=False),
    _Case(
        "Shift 3×3", "3×1, 1×3", _chain(_depthwise((3, 1)), _depthwise((1, 3))), chosen=False
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
        "ActiveShift, reach 8", "17×1, 1×17", _chain(_depthwise((17, 1)), _depthwise((1, 17))),
        chosen=False,
    ),
    _Case("depthwise 3×3, trained", "", _depthwise(3, strides=2), strides=2),
    _Case("Shift 3×3", "lower", _shift(strides=2), strides=2),
    _Case("Shift 3×3", "one-hot 4×4, same padding", _depthwise(4, strides=2), "", 2, False),
    _Case("Shift 5×5", "lower", _shift(kernel_size=5, strides=2), strides=2),
    _Case(
        "Shift 5×5", "5×1, 1×5 strided",
        _chain(_depthwise((5, 1)), _depthwise((1, 5), strides=2)), "", 2, False,
    ),
)  # fmt: skip


def table(size: int, channels: int, integer: bool, turns: int, runs: int) -> str:
    """Returns the table rows for feature maps of size × size × channels.

    Args:
        size: Height and width of the feature map.
        channels: Number of channels.
        integer: Quantize to int8; otherwise float32.
        turns: Number of timed turns.
        runs: Inferences per turn.
    """
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
        measurable = case.strides == 1 and without < _MAX_BASE_SHARE and number
        added = f"{(whole - without) / (1 - without):.2f}" if measurable else ""
        placed = nets[number].placement()
        lines.append(
            f"| {size}²×{channels} | {'int8' if integer else BASE} | {case.layer}"
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
        if isinstance(layer, zoo_layers.LearnedShift):
            layer.shift.assign(_offsets(case.table, channels))
    return model


def _offsets(kind: str, channels: int) -> np.ndarray:
    random_numbers = np.random.default_rng(1)
    if kind == "still":
        return np.zeros((channels, 2))
    if kind == "sparse":
        offsets = zoo_layers.shifts(channels, 3)
        offsets[random_numbers.permutation(channels)[: round(0.9 * channels)]] = 0
        return offsets
    if kind == "forward":
        return random_numbers.uniform(0, 1, (channels, 2))
    return random_numbers.uniform(-float(kind), float(kind), (channels, 2))


def _flatbuffer(model: tf_keras.Model, integer: bool) -> bytes:
    noise = np.random.default_rng(2).standard_normal((4, *model.input_shape[1:]), np.float32)
    calibration = Calibration(noise, float(noise.min()), float(noise.max()))
    return Conversions(model, calibration).flatbuffer("int8" if integer else BASE)


def _interleaved(nets: list[runtime.Net], turns: int, runs: int) -> list[list[float]]:
    """Returns the seconds of `runs` inferences per network and turn, in random order per turn."""
    for net in nets:
        image = np.random.default_rng(3).standard_normal(net.input["shape"][1:], np.float32)
        net.set_input(net.quantized(image))
    times: list[list[float]] = [[] for _ in nets]
    order, shuffle = list(range(len(nets))), random.Random(4).shuffle  # noqa: S311
    for turn in range(turns + 1):
        shuffle(order)
        for number in order:
            invoke = nets[number].invoke
            invoke()  # warms the caches
            start = time.perf_counter()
            for _ in range(runs):
                invoke()
            if turn:
                times[number].append(time.perf_counter() - start)
    return times
