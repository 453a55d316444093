"""MobileNetV2 for CIFAR and its channel-wise squeeze-and-excitation (CSE) variants, Park & Kim.

CSE weights pixels, not channels: the mean over the channels, a vector of H·W values, passes through
two dense layers and a sigmoid, and each pixel of every channel is multiplied by the result. The
dense layers have the size of the feature maps, so **the weights fit only one input size**.
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
_CHANNELS = (16, 24, 32, 64, 96, 160, 320)  # of the seven rows of MobileNetV2's table


@dataclass(frozen=True)
class _Rows:
    """Configuration of the seven rows of blocks.

    Attributes:
        expansion: Expansion factor of the bottlenecks; 0 stands for CSE blocks.
        repeats: Number of blocks.
        small: Strides for inputs below 96 pixels, after a stem with stride 1.
        large: Strides for inputs from 96 pixels on, after a stem with stride 2.
        modified: Whether the stem has PReLU and the tail is a depthwise convolution.
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
    # Our layouts, within 1 % of the printed counts; see `build`.
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
    """Squeezed size min(`cap`, H·W / 16), with H·W from before or after the stride."""

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
    """Builds one of the paper's networks with logits as output.

    Layouts:
        mobilenet_v2: The baseline: inverted bottlenecks in all seven rows, ReLU6 everywhere.
        cse_mix: Bottlenecks in the first three rows and CSE blocks in the last four. Stem and tail
            have PReLU with a single weight, and the tail is a depthwise 1×1 convolution with
            multiplier 4 instead of MobileNetV2's full one.
        optimized: The paper does not specify its "optimized" network. This layout is ours:
            MobileNetV2 without expansion in the last four rows and with the depthwise tail.
        cse_only: This layout is ours too: one CSE block for each of the seven rows.

    Readings of the CSE gate, for which the paper and its code differ:
        A (the code): At most 8 squeezed values, with the gate before the stride.
        B (the paper's labels): At most 16 squeezed values, with the gate after the stride. The
            shortcut is averaged over 2×2 pixels: the published count allows for only one learned
            2×2 convolution, and it comes before the gate.

    Inputs below 96 pixels have the CIFAR strides: the last feature maps of a 32×32 input are 4×4.
    Larger ones have those of the paper's Imagenette network, which has stride 2 in the stem and
    reduces the feature maps later: for a 224×224 input they are 14×14 (`optimized` 7×7, `cse_only`
    4×4).

    The weights of the CSE gates depend on the input size: a CSE network trained at one size can't
    be loaded at another.

    Args:
        layout: Which network to build.
        input_shape: (height, width, channels) of the input images.
        classes: Number of logits.
        reading: Reading of the CSE gate; ignored by layouts without one.
        width: Multiplies the channels of every layer, including the tail.
        include_top: Whether to end in logits; otherwise the output is that of the tail.
        dropout: Dropout rate before the classifier; the paper does not mention one.
        name: Name of the Keras model.

    Returns:
        A functional model, (batch, height, width, channels) float32 → (batch, classes) float32.

    Raises:
        ZooError: if the input is smaller than 16×16.
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
    # A single weight, which matches the published counts, with PyTorch's initial value.
    return layers.PReLU(
        alpha_initializer=tf_keras.initializers.Constant(0.25), shared_axes=(1, 2, 3), name=name
    )


def _bottleneck(x: Tensor, expansion: int, filters: int, stride: int, block: str) -> Tensor:
    """Inverted bottleneck; by the published counts, expansion 1 has the first convolution too."""
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
    # Starts as an average, since without batch norm random kernels would attenuate the signal.
    return layers.DepthwiseConv2D(
        2,
        strides=2,
        padding="same",
        use_bias=False,
        depthwise_initializer=tf_keras.initializers.Constant(0.25),
        name=f"{block}_halve",
    )(x)


def _cse_gate(x: Tensor, cap: int, block: str) -> Tensor:
    """Multiplies each pixel of (b, h, w, c), in all channels, by a value between 0 and 1."""
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
