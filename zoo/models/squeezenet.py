"""SqueezeNet 1.0 and 1.1 (Iandola et al. 2016, https://arxiv.org/abs/1602.07360, table 1)."""

from __future__ import annotations

from typing import Any, Literal

import tf_keras

from zoo.errors import ZooError

layers = tf_keras.layers
Tensor = Any  # a symbolic Keras tensor; tf_keras has no type for it

# (squeeze, expand) filters of fire2 … fire9; each expand half is 1×1 and half is 3×3.
_FIRES = ((16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256))
# Version → (filters and kernel of conv1, fires after which a max-pool follows).
_VERSIONS = {"1.0": (96, 7, (4, 8)), "1.1": (64, 3, (3, 5))}
# Below this height the stem does not halve twice: 32 pixels would leave 1×1 maps at fire9.
_SMALL_INPUT = 96


def build(
    *,
    version: Literal["1.0", "1.1"],
    input_shape: tuple[int, int, int],
    classes: int,
    batch_norm: bool = False,
    dropout: float = 0.5,
    name: str = "squeezenet",
) -> tf_keras.Model:
    """Builds SqueezeNet ending in logits.

    Inputs of 96 pixels and more get the paper's layout: conv1 with stride 2, then three 3×3/2
    max-pools with Caffe's ceil mode. Smaller ones (32×32 CIFAR or padded Fashion-MNIST) keep
    "downsample late", the paper's third strategy: conv1 has stride 2 and `same` padding and no
    pool follows it, so that a 32×32 input reaches the fire modules at 16×16 and ends at 4×4.

    Logits, not soft-max, so that the int8 graph has no operator that XNNPACK leaves out. The ReLU
    after conv10 is the paper's; with `batch_norm` it is left out, since logits that cannot be
    negative slow training down.

    Args:
        version: "1.0" or "1.1".
        input_shape: (height, width, channels).
        classes: number of logits.
        batch_norm: adds batch normalisation to every convolution but conv10 and drops their
            biases. The paper has none; without it training is fragile.
        dropout: rate after fire9.
        name: name of the Keras model.

    Returns:
        A functional model, (batch, height, width, channels) float32 → (batch, classes) float32.

    Raises:
        ZooError: the input is smaller than 16×16.
    """
    height, width, _ = input_shape
    if min(height, width) < 16:
        raise ZooError(
            "input too small for SqueezeNet", expected="at least 16×16", got=f"{height}×{width}"
        )
    filters, kernel, pool_after = _VERSIONS[version]
    small = min(height, width) < _SMALL_INPUT

    def conv(
        x: Tensor,
        filters: int,
        kernel: int,
        name: str,
        stride: int = 1,
        padding: str = "same",
    ) -> Tensor:
        x = layers.Conv2D(
            filters,
            kernel,
            strides=stride,
            padding=padding,
            use_bias=not batch_norm,
            kernel_initializer="he_uniform" if batch_norm else "glorot_uniform",
            name=name,
        )(x)
        if batch_norm:
            x = layers.BatchNormalization(momentum=0.9, epsilon=1e-3, name=f"{name}_bn")(x)
        return layers.ReLU(name=f"{name}_relu")(x)

    def pool(x: Tensor, name: str) -> Tensor:
        # Caffe rounds the output size up: the last, partial window counts. With "same" padding
        # the size is ceil(n / 2); Caffe's is ceil((n - 3) / 2) + 1, equal for even n and, for odd
        # n, "valid" is exact. Max-pooling ignores padded cells, so only the size matters.
        odd = x.shape[1] % 2 == 1 and x.shape[2] % 2 == 1
        return layers.MaxPooling2D(3, 2, padding="valid" if odd else "same", name=name)(x)

    def fire(x: Tensor, squeeze: int, expand: int, name: str) -> Tensor:
        x = conv(x, squeeze, 1, f"{name}_squeeze1x1")
        return layers.Concatenate(name=f"{name}_concat")(
            [conv(x, expand, 1, f"{name}_expand1x1"), conv(x, expand, 3, f"{name}_expand3x3")]
        )

    image = layers.Input(input_shape, name="image")
    if small:
        x = conv(image, filters, kernel, "conv1", stride=2)
    else:
        x = pool(conv(image, filters, kernel, "conv1", stride=2, padding="valid"), "pool1")
    for number, (squeeze, expand) in enumerate(_FIRES, start=2):
        x = fire(x, squeeze, expand, f"fire{number}")
        if number in pool_after:
            x = pool(x, f"pool{number}")
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
    x = layers.GlobalAveragePooling2D(name="pool10")(x)
    return tf_keras.Model(image, x, name=name)
