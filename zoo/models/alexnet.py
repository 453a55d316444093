"""Caffe's version of AlexNet (Krizhevsky et al. 2012), the baseline of SqueezeNet's paper."""

from __future__ import annotations

from typing import Any

import tf_keras

from zoo.layers.grouped import GroupedConv2D
from zoo.layers.normalization import LocalResponseNormalization
from zoo.models import common
from zoo.models.common import Tensor

layers = tf_keras.layers


def build(
    *,
    input_shape: tuple[int, int, int],
    classes: int,
    width: float = 1.0,
    include_top: bool = True,
    batch_norm: bool = False,
    dropout: float = 0.5,
    name: str = "alexnet",
) -> tf_keras.Model:
    """Builds AlexNet with logits as output.

    conv2, conv4 and conv5 have two groups, a legacy of the paper's two GPUs. conv1 and conv2 are
    followed by ReLU, local response normalization and a 3×3/2 max-pool, in this order, conv5 by
    ReLU and a max-pool, and fc6 and fc7 by ReLU and dropout.

    For inputs of 96 pixels and more, conv1 has 11×11 kernels, stride 4 and no padding. For smaller
    ones it is that of Krizhevsky's CIFAR-10 networks: 5×5, stride 1, padded, so the three pools
    reduce 32×32 to 4×4. The kernel of fc6 depends on the input size: 6×6×256 → 4096 at 227×227,
    4×4×256 → 4096 at 32×32. Its weights therefore fit only one input size.

    Args:
        input_shape: (height, width, channels) of the input images.
        classes: Number of logits.
        width: Multiplies the filters of every convolution and the 4096 units of fc6 and fc7.
        include_top: Whether to end in logits; otherwise the output is that of pool5.
        batch_norm: Adds batch normalization to the convolutions, and drops their biases and the
            local response normalization. All layers before fc8 then have He initialization instead
            of the paper's small Gaussians. The dense layers get no batch normalization, since
            quantization-aware training does not support it there.
        dropout: Dropout rate after fc6 and fc7.
        name: Name of the Keras model.

    Returns:
        A functional model, (batch, height, width, channels) → (batch, classes) float32.

    Raises:
        ZooError: if the input is smaller than 16×16.
    """
    common.check_input(input_shape, 16, "AlexNet")

    def initial(bias: float, stddev: float) -> dict[str, Any]:
        """Returns the initializers of a layer: those of Caffe's file, or He's with batch norm."""
        if batch_norm:
            return {"kernel_initializer": "he_uniform"}
        return {
            "bias_initializer": tf_keras.initializers.Constant(bias),
            "kernel_initializer": tf_keras.initializers.RandomNormal(stddev=stddev),
        }

    def conv(
        x: Tensor,
        filters: int,
        kernel: int,
        name: str,
        *,
        bias: float,
        groups: int = 1,
        stride: int = 1,
        padding: str = "same",
    ) -> Tensor:
        kind = layers.Conv2D if groups == 1 else GroupedConv2D
        x = kind(
            common.scaled(filters, width),
            kernel,
            strides=stride,
            padding=padding,
            groups=groups,
            use_bias=not batch_norm,
            name=name,
            **initial(bias, 0.01),
        )(x)
        if batch_norm:
            x = common.batch_norm(x, f"{name}_bn")
        return layers.ReLU(name=f"{name}_relu")(x)

    def normalize(x: Tensor, name: str) -> Tensor:
        return x if batch_norm else LocalResponseNormalization(name=name)(x)

    def dense(x: Tensor, number: int) -> Tensor:
        name = f"fc{number}"
        x = layers.Dense(common.scaled(4096, width), name=name, **initial(0.1, 0.005))(x)
        x = layers.ReLU(name=f"{name}_relu")(x)
        return layers.Dropout(dropout, name=f"drop{number}")(x)

    image = layers.Input(input_shape, name="image")
    if common.is_small(input_shape):
        x = conv(image, 96, 5, "conv1", bias=0.0)
    else:
        x = conv(image, 96, 11, "conv1", bias=0.0, stride=4, padding="valid")
    x = common.caffe_max_pool(normalize(x, "norm1"), "pool1")
    x = conv(x, 256, 5, "conv2", bias=0.1, groups=2)
    x = common.caffe_max_pool(normalize(x, "norm2"), "pool2")
    x = conv(x, 384, 3, "conv3", bias=0.0)
    x = conv(x, 384, 3, "conv4", bias=0.1, groups=2)
    x = conv(x, 256, 3, "conv5", bias=0.1, groups=2)
    x = common.caffe_max_pool(x, "pool5")
    if include_top:
        x = dense(dense(layers.Flatten(name="flatten")(x), 6), 7)
        x = layers.Dense(
            classes,
            kernel_initializer=tf_keras.initializers.RandomNormal(stddev=0.01),
            dtype="float32",
            name="fc8",
        )(x)
    return tf_keras.Model(image, x, name=name)
