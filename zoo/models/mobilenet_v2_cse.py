"""MobileNetV2 for CIFAR and its channel-wise squeeze-and-excitation (CSE) variants, Park & Kim.

CSE weighs pixels, not channels: the mean over the channels, a vector of H·W values, goes through
two dense layers and a sigmoid, and each pixel of every channel is multiplied by its value. The
dense layers have the size of the maps, so that **a network's weights fit one input size only**.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import tf_keras

from zoo.layers.channels import ChannelMean
from zoo.models.common import (
    Tensor,
    batch_norm,
    check_input,
    classifier,
    conv_bn,
    depthwise_bn,
    is_small,
    relu6,
    scaled,
)

layers = tf_keras.layers

Layout = Literal["mobilenet_v2", "optimized", "cse_mix", "cse_only"]
TableReading = Literal["A", "B"]

_STEM = 32
_CHANNELS = (16, 24, 32, 64, 96, 160, 320)  # of MobileNetV2's seven rows


@dataclass(frozen=True)
class _Rows:
    """The seven rows. `expansion` 0 is a CSE block; `modified` has the PReLU stem and light tail.

    `small` are the strides below 96 pixels, behind a stem with stride 1; `large` are those from
    96 pixels on, behind one with stride 2.
    """

    expansion: tuple[int, ...]
    repeats: tuple[int, ...]
    small: tuple[int, ...]
    large: tuple[int, ...]
    modified: bool = True


_LAYOUTS: dict[str, _Rows] = {
    "mobilenet_v2": _Rows(
        expansion=(1, 6, 6, 6, 6, 6, 6),
        repeats=(1, 2, 3, 4, 3, 3, 1),
        small=(1, 1, 1, 2, 2, 1, 2),
        large=(1, 1, 2, 2, 2, 1, 1),
        modified=False,
    ),
    "cse_mix": _Rows(
        expansion=(1, 6, 6, 0, 0, 0, 0),
        repeats=(1, 2, 3, 4, 3, 3, 1),
        small=(1, 1, 1, 2, 2, 1, 2),
        large=(1, 1, 2, 2, 2, 1, 1),
    ),
    # Ours, within 1 % of the printed counts: see `build`.
    "optimized": _Rows(
        expansion=(1, 6, 6, 1, 1, 1, 1),
        repeats=(1, 2, 3, 4, 3, 3, 1),
        small=(1, 1, 2, 2, 1, 2, 1),
        large=(1, 2, 2, 2, 1, 2, 1),
    ),
    "cse_only": _Rows(
        expansion=(0, 0, 0, 0, 0, 0, 0),
        repeats=(1, 1, 1, 1, 1, 1, 1),
        small=(1, 2, 1, 1, 2, 2, 1),
        large=(2, 2, 2, 1, 2, 2, 1),
    ),
}


@dataclass(frozen=True)
class _Gate:
    """The squeezed size is min(`cap`, H·W / 16), where H·W is taken before or after the stride."""

    cap: int
    after_stride: bool


_READINGS = {"A": _Gate(cap=8, after_stride=False), "B": _Gate(cap=16, after_stride=True)}


def build(
    *,
    layout: Layout,
    input_shape: tuple[int, int, int],
    classes: int,
    reading: TableReading = "A",
    width: float = 1.0,
    include_top: bool = True,
    dropout: float = 0.0,
    name: str = "mobilenet_v2_cse",
) -> tf_keras.Model:
    """Builds one of the paper's networks, ending in logits.

    Layouts:
        mobilenet_v2: the baseline; inverted bottlenecks in all seven rows, ReLU6 everywhere.
        cse_mix: bottlenecks in the first three rows, CSE blocks in the last four; PReLU with one
            weight in the stem and the tail; the tail is a depthwise 1×1 convolution with
            multiplier 4 instead of MobileNetV2's dense one.
        optimized: the paper does not lay out its "optimized" network. This layout is ours:
            MobileNetV2 without expansion in its last four rows and with the light tail.
        cse_only: likewise ours: one CSE block for each of the seven rows.

    Readings of the CSE gate, where the paper and its code differ:
        A (the code): at most 8 squeezed values, the gate before the stride.
        B (the paper's labels): at most 16, the gate after the stride. The shortcut is then
            averaged over 2×2 pixels, since the one learned 2×2 convolution that the published
            count has room for stands before the gate.

    Inputs below 96 pixels get the CIFAR strides: 32×32 ends at 4×4. Larger ones get those of the
    paper's Imagenette network, a stem with stride 2 and later halvings: 224×224 ends at 14×14
    (`optimized` at 7×7, `cse_only` at 4×4).

    Weights of the CSE gates depend on the input size: a CSE network trained at one size can't be
    loaded at another.

    Args:
        layout: which network.
        input_shape: (height, width, channels).
        classes: number of logits.
        reading: of the CSE gate; no matter where the layout has none.
        width: multiplies the channels of every layer, the tail's included.
        include_top: end in logits; else in the tail's maps.
        dropout: rate before the classifier; the paper names none.
        name: name of the Keras model.

    Returns:
        A functional model, (batch, height, width, channels) float32 → (batch, classes) float32.

    Raises:
        ZooError: the input is smaller than 16×16.
    """
    check_input(input_shape, 16, "MobileNetV2 with channel-wise squeeze and excitation")
    rows, gate = _LAYOUTS[layout], _READINGS[reading]
    small = is_small(input_shape)
    image = layers.Input(input_shape, name="image")
    x = conv_bn(
        image,
        scaled(_STEM, width),
        3,
        "stem_conv",
        stride=1 if small else 2,
        activation=_prelu("stem_prelu") if rows.modified else relu6("stem_relu6"),
    )
    strides = rows.small if small else rows.large
    for stage, (expansion, channels, repeats, stride) in enumerate(
        zip(rows.expansion, _CHANNELS, rows.repeats, strides, strict=True), start=1
    ):
        for number in range(repeats):
            block = f"stage{stage}_block{number + 1}"
            filters, step = scaled(channels, width), stride if number == 0 else 1
            if expansion:
                x = _bottleneck(x, expansion, filters, step, block)
            else:
                x = _cse_block(x, filters, step, gate, block)
    if rows.modified:
        x = layers.DepthwiseConv2D(
            1,
            depth_multiplier=4,
            use_bias=False,
            depthwise_initializer="he_normal",
            name="tail_depthwise",
        )(x)
        x = batch_norm(x, "tail_depthwise_bn")
        x = _prelu("tail_prelu")(x)
    else:
        x = conv_bn(x, scaled(1280, width), 1, "tail_conv", activation=relu6("tail_relu6"))
    if include_top:
        x = classifier(x, classes, dropout)
    return tf_keras.Model(image, x, name=name)


def _prelu(name: str) -> tf_keras.layers.Layer:
    # One weight for the whole map, as the published counts have it, and PyTorch's first value.
    return layers.PReLU(
        alpha_initializer=tf_keras.initializers.Constant(0.25), shared_axes=(1, 2, 3), name=name
    )


def _bottleneck(x: Tensor, expansion: int, filters: int, stride: int, block: str) -> Tensor:
    """Inverted bottleneck; the counts have its first convolution also without expansion."""
    entry, inner = x, x.shape[-1] * expansion
    x = conv_bn(x, inner, 1, f"{block}_expand", activation=relu6(f"{block}_expand_relu6"))
    x = depthwise_bn(
        x, 3, f"{block}_depthwise", stride=stride, activation=relu6(f"{block}_depthwise_relu6")
    )
    x = conv_bn(x, filters, 1, f"{block}_project")
    if stride != 1:
        return x
    return layers.Add(name=f"{block}_add")([x, _shortcut(entry, filters, block)])


def _shortcut(entry: Tensor, filters: int, block: str) -> Tensor:
    return entry if entry.shape[-1] == filters else conv_bn(entry, filters, 1, f"{block}_shortcut")


def _cse_block(x: Tensor, filters: int, stride: int, gate: _Gate, block: str) -> Tensor:
    entry = x
    x = conv_bn(x, filters, 1, f"{block}_conv", activation=_prelu(f"{block}_conv_prelu"))
    x = depthwise_bn(x, 3, f"{block}_depthwise", activation=_prelu(f"{block}_depthwise_prelu"))
    if stride == 2 and gate.after_stride:
        x = _halve(x, block)
        entry = layers.AveragePooling2D(2, padding="same", name=f"{block}_shortcut_pool")(entry)
    x = _cse_gate(x, gate.cap, block)
    x = layers.Add(name=f"{block}_add")([x, _shortcut(entry, filters, block)])
    return _halve(x, block) if stride == 2 and not gate.after_stride else x


def _halve(x: Tensor, block: str) -> Tensor:
    # No batch norm follows, so that random kernels would shrink the signal: start as an average.
    return layers.DepthwiseConv2D(
        2,
        strides=2,
        padding="same",
        use_bias=False,
        depthwise_initializer=tf_keras.initializers.Constant(0.25),
        name=f"{block}_halve",
    )(x)


def _cse_gate(x: Tensor, cap: int, block: str) -> Tensor:
    """Multiplies every channel of (b, h, w, c) by one value between 0 and 1 a pixel."""
    height, width = x.shape[1:3]
    pixels = height * width
    gate = ChannelMean(name=f"{block}_gate_mean")(x)
    gate = layers.Reshape((pixels,), name=f"{block}_gate_flatten")(gate)
    squeezed = max(1, min(cap, pixels // 16))
    gate = layers.Dense(squeezed, use_bias=False, name=f"{block}_gate_squeeze")(gate)
    gate = layers.ReLU(name=f"{block}_gate_relu")(gate)
    gate = layers.Dense(pixels, use_bias=False, name=f"{block}_gate_excite")(gate)
    gate = layers.Activation("sigmoid", name=f"{block}_gate_sigmoid")(gate)
    gate = layers.Reshape((height, width, 1), name=f"{block}_gate_map")(gate)
    return layers.Multiply(name=f"{block}_gate")([x, gate])
