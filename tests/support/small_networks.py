"""A small network of each family in the catalog, for tests that cover all families.

Each has every kind of layer and connection of its family in as few blocks as possible, so it builds
and converts to int8 within seconds. To shorten a network, constants of its family's module are
patched while it is built. Together the networks contain every custom layer of this project.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import importlib
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import numpy as np
import tf_keras
from tf_keras.src.applications import mobilenet_v3

from converters.conversion.from_keras import Conversions
from converters.conversion.quantize import Calibration
from zoo.catalog import model_spec
from zoo.layers import (
    ActiveShift,
    ChannelMean,
    ChannelShuffle,
    ChannelSplit,
    GroupedConv2D,
    LocalResponseNormalization,
    Shift,
    SparseShift,
)
from zoo.models import applications
from zoo.models.common import classifier

CLASSES = 4
_SHORT = {
    # CSE blocks with and without stride between MobileNetV2's bottlenecks.
    "expansion": (1, 2, 0, 0),
    "repeats": (1, 1, 1, 1),
    "small": (1, 2, 2, 1),
    "large": (1, 2, 2, 1),
}


def _short_mobilenet_v3(alpha: float, **arguments: Any) -> tf_keras.Model:
    """MobileNetV3-Small with the first four of its eleven blocks."""

    def stack(x: Any, kernel: int, activation: Any, se_ratio: float) -> Any:
        block, depth = mobilenet_v3._inverted_res_block, mobilenet_v3._depth
        x = block(x, 1, depth(16 * alpha), 3, 2, se_ratio, mobilenet_v3.relu, 0)
        x = block(x, 72 / 16, depth(24 * alpha), 3, 2, None, mobilenet_v3.relu, 1)
        x = block(x, 88 / 24, depth(24 * alpha), 3, 1, None, mobilenet_v3.relu, 2)
        return block(x, 4, depth(40 * alpha), kernel, 2, se_ratio, activation, 3)

    return mobilenet_v3.MobileNetV3(stack, 32, alpha=alpha, model_type="small", **arguments)


_SHORT_MOBILENET_V3 = dataclasses.replace(
    applications._ORIGINS["mobilenet_v3_small"], function=_short_mobilenet_v3
)


@dataclass(frozen=True)
class Small:
    """A model of the catalog and how it is shortened.

    Attributes:
        row: Name of the model in the catalog.
        size: Height and width of the input.
        changes: Arguments of the family's `build` that differ from the catalog.
        tables: Constants of the family's module that differ.
        end: Layer after which the classifier follows; None for the end of the network.
    """

    row: str
    size: int
    changes: dict[str, Any] = field(default_factory=dict)
    tables: dict[str, Any] = field(default_factory=dict)
    end: str | None = None


SMALL: dict[str, Small] = {
    "squeezenet": Small(
        "squeezenet_v1_0_complex_bypass",
        16,
        {"batch_norm": True, "width": 0.25, "incr_e": 64, "freq": 1},
        {"FIRES": 2, "_VERSIONS": {"1.0": (16, 3, (2, 3))}},
    ),
    "alexnet": Small("alexnet", 16, {"batch_norm": True, "width": 1 / 32}),
    "shiftresnet": Small("shiftresnet20_e1", 8, {"depth": 8}),
    "sparse_shift": Small("sslresnet20_e6", 8, {"depth": 8}),
    "shiftnet": Small("shiftnet_b", 8, {"base": 8}, {"_GROUPS": ((5, 2, 1, 1), (3, 2, 1, 2))}),
    "active_shift": Small(
        "asnet16_e1",
        8,
        {"base": 8},
        {"_STAGES": {"asnet": ((1, 1, 1, False), (2, 2, 2, True))}},
    ),
    "mobilenet_v2_cse": Small("mobilenet_v2_cse_mix", 16, {"width": 0.5}),
    "resnet": Small("se_resnet20", 16, {"repeats": (1, 1)}),
    "shufflenet_v2": Small(
        "shufflenet_v2", 16, {"channels": (16, 32), "tail": 32}, {"_REPEATS": (2, 1)}
    ),
    "efficientnet_lite": Small(
        "efficientnet_lite0",
        16,
        {},
        {"_STEM": 8, "_HEAD": 32, "_STAGES": ((1, 8, 1, 1, 3), (2, 8, 2, 2, 5), (2, 16, 1, 2, 3))},
    ),
    # Up to its first block with hard-swish, squeeze-and-excitation and stride.
    "applications": Small(
        "mobilenet_v3_small",
        32,
        {"width": 0.25},
        {"_ORIGINS": {"mobilenet_v3_small": _SHORT_MOBILENET_V3}},
        end="expanded_conv_3_project_BatchNorm",
    ),
}


def build(family: str) -> tf_keras.Model:
    """Returns the small network of a family, (batch, size, size, 3) → (batch, 4) logits.

    The weights are random with a fixed seed.

    Args:
        family: Key of `SMALL`, or "every_layer" for the network of that function.
    """
    if family == "every_layer":
        return every_layer()
    small = SMALL[family]
    spec = model_spec(small.row)
    module = importlib.import_module(f"zoo.models.{spec.family}")
    tables = dict(small.tables)
    if family == "mobilenet_v2_cse":
        tables = {"_LAYOUTS": {"cse_mix": module._Rows(**_SHORT)}, "_CHANNELS": (16, 16, 24, 24)}
    tf_keras.utils.set_random_seed(1)
    with contextlib.ExitStack() as patched:
        for name, table in tables.items():
            patched.enter_context(mock.patch.object(module, name, table))
        model = module.build(
            **{**spec.arguments, **small.changes},
            input_shape=(small.size, small.size, 3),
            classes=CLASSES,
            dropout=0.0,
            name=family,
        )
    if small.end is not None:
        x = classifier(model.get_layer(small.end).output, CLASSES, 0.0)
        model = tf_keras.Model(model.input, x, name=family)
    _settle(model)
    return model


def every_layer() -> tf_keras.Model:
    """Returns a network with each custom layer once; random weights with a fixed seed."""
    tf_keras.utils.set_random_seed(1)
    image = tf_keras.Input((12, 12, 3), name="image")
    x = tf_keras.layers.Conv2D(18, 3, name="first")(image)
    for layer in (
        Shift(name="shift"),
        ActiveShift(initial_range=2.0, name="active_shift"),
        GroupedConv2D(18, 3, groups=2, padding="same", activation="relu", name="grouped"),
        SparseShift(initial_range=2.0, name="sparse_shift"),
        LocalResponseNormalization(name="normalization"),
        ChannelShuffle(3, name="shuffle"),
    ):
        x = layer(x)
    left, right = ChannelSplit(name="split")(x)
    x = tf_keras.layers.Multiply(name="gated")([left, ChannelMean(name="mean")(right)])
    model = tf_keras.Model(image, classifier(x, CLASSES, 0.0), name="every_layer")
    _settle(model)
    return model


@functools.cache
def float32(family: str) -> bytes:
    """Returns a family's small network as a float32 `.tflite`; converted once per process."""
    none = Calibration(np.zeros((0, 1, 1, 1), np.float32), 0, 1)
    return Conversions(build(family), none).flatbuffer("float32")


def _settle(model: tf_keras.Model) -> None:
    """Sets the batch norm statistics as training would; otherwise deep activations vanish."""
    norms = [x for x in model.layers if isinstance(x, tf_keras.layers.BatchNormalization)]
    for norm in norms:
        norm.momentum = 0.0
    model(pictures(model)[0], training=True)
    for norm in norms:
        norm.momentum = 0.9


def pictures(model: tf_keras.Model, count: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Returns random images for a network, float32 (n, h, w, 3) in [-1, 1], and labels, int32."""
    draw = np.random.default_rng(0)
    images = draw.uniform(-1, 1, (count, *model.input_shape[1:])).astype(np.float32)
    return images, draw.integers(0, CLASSES, count).astype(np.int32)
