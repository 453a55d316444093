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
    """What sets 1.0 and 1.1 apart: conv1, and the fires after which a max-pool follows."""

    filters: int
    kernel: int
    pool_after: tuple[int, int]


_VERSIONS = {"1.0": _Version(96, 7, (4, 8)), "1.1": _Version(64, 3, (3, 5))}


@dataclass(frozen=True)
class Metaparameters:
    """A point of the design space of fire modules (paper, section 5.1).

    Fire i of 0 … 7 has e = base_e + incr_e · ⌊i / freq⌋ expand filters. Of these pct3x3 · e are
    3×3 and the others 1×1, and squeeze_ratio · e filters squeeze its input. Both products are
    rounded to the nearest integer, which is what gives the model sizes of the paper's figure 3.
    SqueezeNet is (128, 128, 2, 0.125, 0.5).

    Attributes:
        base_e: expand filters of the first fires.
        incr_e: expand filters that are added after every `freq` fires; 0 adds none.
        freq: number of neighboring fires with as many expand filters.
        squeeze_ratio: squeeze filters for one expand filter, above 0 and at most 1.
        pct3x3: share, not per cent, of 3×3 among the expand filters, between 0 and 1.

    Raises:
        ZooError: a value outside its range, or so small that a convolution has no filters.
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
                    "impossible metaparameter of SqueezeNet",
                    where=name,
                    expected=expected,
                    got=getattr(self, name),
                )
        # Filters only grow from fire to fire, so that the first one tells for all.
        if min(self.fires()[0]) < 1:
            raise ZooError(
                "these metaparameters leave a convolution of fire2 without filters",
                got=f"{self.fires()[0]}",
                remedy="raise base_e, or move squeeze_ratio or pct3x3 away from their limits",
            )

    def fires(self) -> tuple[Fire, ...]:
        """Filters of fire2 … fire9."""
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
    """Builds SqueezeNet, or another point of its design space, ending in logits.

    Inputs of 96 pixels and more get the paper's layout: conv1 with stride 2, then three 3×3/2
    max-pools with Caffe's ceil mode. Smaller ones (32×32 CIFAR or padded Fashion-MNIST) keep
    "downsample late", the paper's third strategy: conv1 has stride 2 and `same` padding and no
    pool follows it, so that a 32×32 input reaches the fire modules at 16×16 and ends at 4×4.

    Logits, not soft-max, so that the int8 graph has no operator that XNNPACK leaves out. The ReLU
    after conv10 is the paper's; with `batch_norm` it is left out, since logits that cannot be
    negative slow training down.

    Args:
        version: "1.0" or "1.1": which conv1, and where the pools are.
        base_e: see `Metaparameters`, as for the next four.
        incr_e: likewise.
        freq: likewise.
        squeeze_ratio: likewise.
        pct3x3: likewise.
        bypass: "simple" adds the input of a fire to its output where both have as many channels
            (paper, section 6: fire3, 5, 7 and 9); "complex" moreover adds, around the others,
            the input through a 1×1 convolution. Nothing follows the addition.
        input_shape: (height, width, channels).
        classes: number of logits.
        width: multiplies the filters of every convolution but conv10.
        include_top: end in logits; else in the maps of fire9.
        batch_norm: adds batch normalization to every convolution but conv10 and drops their
            biases. The paper has none; without it training is fragile.
        dropout: rate after fire9.
        name: name of the Keras model.

    Returns:
        A functional model, (batch, height, width, channels) → (batch, classes) float32.

    Raises:
        ZooError: the input is smaller than 16×16, or a metaparameter is impossible.
        UnknownNameError: no such version or bypass.
    """
    common.check_input(input_shape, 16, "SqueezeNet")
    if version not in _VERSIONS:
        raise UnknownNameError("version of SqueezeNet", version, _VERSIONS)
    if bypass not in _BYPASSES:
        raise UnknownNameError("bypass of SqueezeNet", bypass, _BYPASSES)
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
    for number, of_fire in enumerate(fires, start=2):
        x = fire(x, of_fire, f"fire{number}")
        if number in pool_after:
            x = common.caffe_max_pool(x, f"pool{number}")
    if include_top:
        x = _top(x, classes, dropout, batch_norm)
    return tf_keras.Model(image, x, name=name)


def _top(x: Tensor, classes: int, dropout: float, batch_norm: bool) -> Tensor:
    """Dropout, conv10 and the global average, to float32 logits."""
    x = layers.Dropout(dropout, name="drop9")(x)
    x = layers.Conv2D(
        classes,
        1,
        # The paper's gaussian of 0.01 slows the first steps down where there is batch norm.
        kernel_initializer="glorot_uniform"
        if batch_norm
        else tf_keras.initializers.RandomNormal(stddev=0.01),
        name="conv10",
    )(x)
    if not batch_norm:
        x = layers.ReLU(name="conv10_relu")(x)
    return layers.GlobalAveragePooling2D(name="pool10", dtype="float32")(x)
