"""SqueezeNet, its bypass variants and its design space (Iandola et al. 2016, arXiv 1602.07360)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import tf_keras

from zoo.errors import UnknownNameError, ZooError
from zoo.models import common
from zoo.models.common import Tensor

layers = tf_keras.layers

FIRES = 8  # fire2 … fire9
_BYPASSES = ("none", "simple", "complex")


class Fire(NamedTuple):
    """Filters of one fire module."""

    squeeze: int
    expand1x1: int
    expand3x3: int


class _Version(NamedTuple):
    """Differences of 1.0 and 1.1: conv1, and the fire modules that a max-pool follows."""

    filters: int
    kernel: int
    pool_after: tuple[int, int]


_VERSIONS = {"1.0": _Version(96, 7, (4, 8)), "1.1": _Version(64, 3, (3, 5))}


@dataclass(frozen=True)
class Metaparameters:
    """A point in the design space of fire modules (paper, section 5.1).

    Fire module i of 0 … 7 has e = base_e + incr_e · ⌊i / freq⌋ expand filters, of which pct3x3 · e
    are 3×3 and the rest 1×1. It has squeeze_ratio · e squeeze filters. Both products are rounded to
    the nearest integer, which reproduces the model sizes in the paper's figure 3. SqueezeNet is
    (128, 128, 2, 0.125, 0.5).

    Attributes:
        base_e: Expand filters of the first fire modules.
        incr_e: Expand filters added after every `freq` fire modules; 0 adds none.
        freq: Number of consecutive fire modules with the same number of expand filters.
        squeeze_ratio: Squeeze filters per expand filter, above 0 and at most 1.
        pct3x3: Share of 3×3 among the expand filters, a fraction between 0 and 1.

    Raises:
        ZooError: if a value is out of range, or so small that a convolution has no filters.
    """

    base_e: int
    incr_e: int
    freq: int
    squeeze_ratio: float
    pct3x3: float

    def __post_init__(self) -> None:
        for name, expected, fits in (
            ("base_e", "at least 2", self.base_e >= 2),
            ("incr_e", "at least 0", self.incr_e >= 0),
            ("freq", "at least 1", self.freq >= 1),
            ("squeeze_ratio", "above 0 and at most 1", 0 < self.squeeze_ratio <= 1),
            ("pct3x3", "above 0 and below 1", 0 < self.pct3x3 < 1),
        ):
            if not fits:
                raise ZooError(
                    "invalid metaparameter of SqueezeNet",
                    where=name,
                    expected=expected,
                    got=getattr(self, name),
                )
        # The number of filters never decreases, so it suffices to check the first fire module.
        if min(self.fires()[0]) < 1:
            raise ZooError(
                "these metaparameters leave a convolution of fire2 without filters",
                got=f"{self.fires()[0]}",
                remedy="raise base_e, or move squeeze_ratio or pct3x3 away from their limits",
            )

    def fires(self) -> tuple[Fire, ...]:
        """Returns the filters of fire2 … fire9."""
        expands = [self.base_e + self.incr_e * (i // self.freq) for i in range(FIRES)]
        threes = [_nearest(self.pct3x3 * e) for e in expands]
        return tuple(
            Fire(_nearest(self.squeeze_ratio * e), e - three, three)
            for e, three in zip(expands, threes, strict=True)
        )


def _nearest(x: float) -> int:
    return int(x + 0.5)


def build(
    *,
    version: Literal["1.0", "1.1"],
    base_e: int,
    incr_e: int,
    freq: int,
    squeeze_ratio: float,
    pct3x3: float,
    bypass: Literal["none", "simple", "complex"],
    input_shape: tuple[int, int, int],
    classes: int,
    width: float = 1.0,
    include_top: bool = True,
    batch_norm: bool = False,
    dropout: float = 0.5,
    name: str = "squeezenet",
) -> tf_keras.Model:
    """Builds SqueezeNet, or another point in its design space, with logits as output.

    Inputs of 96 pixels and more have the paper's layout: conv1 with stride 2, then three 3×3/2
    max-pools that round up as in Caffe. For smaller inputs (32×32 CIFAR or padded Fashion-MNIST),
    conv1 has stride 2 and `same` padding and no pool follows it, which preserves the paper's third
    strategy, "downsample late": a 32×32 input enters the fire modules at 16×16 and ends at 4×4.

    The output is logits instead of softmax, so the int8 graph has only operators that XNNPACK
    supports. The ReLU after conv10 is the paper's; with `batch_norm` it is omitted, since
    non-negative logits slow down training.

    Args:
        version: "1.0" or "1.1", which differ in conv1 and in the position of the pools.
        base_e: See `Metaparameters`.
        incr_e: See `Metaparameters`.
        freq: See `Metaparameters`.
        squeeze_ratio: See `Metaparameters`.
        pct3x3: See `Metaparameters`.
        bypass: "simple" adds the input of a fire module to its output if both have the same number
            of channels (paper, section 6: fire3, 5, 7 and 9). "complex" also adds the input of the
            other fire modules, through a 1×1 convolution. No activation follows the addition.
        input_shape: (height, width, channels) of the input images.
        classes: Number of logits.
        width: Multiplies the filters of every convolution except conv10.
        include_top: Whether to end in logits; otherwise the output is that of fire9.
        batch_norm: Adds batch normalization to every convolution except conv10 and drops their
            biases. The paper has none, but without it training is unstable.
        dropout: Dropout rate after fire9.
        name: Name of the Keras model.

    Returns:
        A functional model, (batch, height, width, channels) → (batch, classes) float32.

    Raises:
        ZooError: if the input is smaller than 16×16, or a metaparameter is invalid.
        UnknownNameError: if there is no such version or bypass.
    """
    common.check_input(input_shape, 16, "SqueezeNet")
    if version not in _VERSIONS:
        raise UnknownNameError("SqueezeNet version", version, _VERSIONS)
    if bypass not in _BYPASSES:
        raise UnknownNameError("SqueezeNet bypass", bypass, _BYPASSES)
    filters, kernel, pool_after = _VERSIONS[version]
    fires = Metaparameters(base_e, incr_e, freq, squeeze_ratio, pct3x3).fires()

    def plain(x: Tensor, filters: int, kernel: int, name: str, **options: Any) -> Tensor:
        x = layers.Conv2D(
            filters,
            kernel,
            use_bias=not batch_norm,
            kernel_initializer="he_uniform" if batch_norm else "glorot_uniform",
            name=name,
            **{"padding": "same", **options},
        )(x)
        return common.batch_norm(x, f"{name}_bn") if batch_norm else x

    def conv(x: Tensor, filters: int, kernel: int, name: str, **options: Any) -> Tensor:
        x = plain(x, common.scaled(filters, width), kernel, name, **options)
        return layers.ReLU(name=f"{name}_relu")(x)

    def fire(x: Tensor, filters: Fire, name: str) -> Tensor:
        inner = conv(x, filters.squeeze, 1, f"{name}_squeeze1x1")
        y = layers.Concatenate(name=f"{name}_concat")(
            [
                conv(inner, filters.expand1x1, 1, f"{name}_expand1x1"),
                conv(inner, filters.expand3x3, 3, f"{name}_expand3x3"),
            ]
        )
        if x.shape[-1] != y.shape[-1] and bypass == "complex":
            x = plain(x, y.shape[-1], 1, f"{name}_bypass1x1")
        elif x.shape[-1] != y.shape[-1] or bypass == "none":
            return y
        return layers.Add(name=f"{name}_add")([x, y])

    image = layers.Input(input_shape, name="image")
    if common.is_small(input_shape):
        x = conv(image, filters, kernel, "conv1", strides=2)
    else:
        x = conv(image, filters, kernel, "conv1", strides=2, padding="valid")
        x = common.caffe_max_pool(x, "pool1")
    for number, sizes in enumerate(fires, start=2):
        x = fire(x, sizes, f"fire{number}")
        if number in pool_after:
            x = common.caffe_max_pool(x, f"pool{number}")
    if include_top:
        x = _top(x, classes, dropout, batch_norm)
    return tf_keras.Model(image, x, name=name)


def _top(x: Tensor, classes: int, dropout: float, batch_norm: bool) -> Tensor:
    """Dropout, conv10 and the global average pool; the logits are float32."""
    x = layers.Dropout(dropout, name="drop9")(x)
    x = layers.Conv2D(
        classes,
        1,
        # With batch norm the paper's Gaussian of 0.01 slows down the first steps.
        kernel_initializer="glorot_uniform"
        if batch_norm
        else tf_keras.initializers.RandomNormal(stddev=0.01),
        name="conv10",
    )(x)
    if not batch_norm:
        x = layers.ReLU(name="conv10_relu")(x)
    return layers.GlobalAveragePooling2D(name="pool10", dtype="float32")(x)
