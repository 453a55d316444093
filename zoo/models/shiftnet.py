"""ShiftNet (Wu et al. 2018, https://arxiv.org/abs/1711.08141), for ImageNet."""

from __future__ import annotations

import tf_keras

from zoo.layers.shift import Shift
from zoo.models.common import Tensor, bn_relu, check_input, classifier, conv, is_small, scaled

layers = tf_keras.layers

# For each group: kernel size of the shifts, expansion of the first block, expansion of the other
# blocks, number of blocks. The channels double in each group.
_GROUPS = ((5, 4, 4, 5), (5, 4, 3, 6), (3, 3, 2, 7), (3, 2, 1, 3))


def build(
    *,
    base: int = 32,
    input_shape: tuple[int, int, int],
    classes: int,
    width: float = 1.0,
    include_top: bool = True,
    dropout: float = 0.0,
    name: str = "shiftnet",
) -> tf_keras.Model:
    """Builds ShiftNet-A, or with base 16 ShiftNet-B.

    A 7×7/2 convolution without batch norm is followed by four groups of pre-activation blocks:
    batch norm, ReLU, 1×1 convolution to E times the block's input channels, batch norm, ReLU,
    shift, 1×1 convolution back, addition of the input. The first block of each group halves the
    feature maps, with a stride in its shift, and doubles the channels: instead of an addition, its
    output is concatenated with a 3×3/2 average pool of its input. Batch norm and ReLU follow the
    last group. Only this arrangement reproduces the published counts.

    For inputs below 96 pixels the first convolution and the first group have stride 1; the last
    feature maps of a 32×32 input are 4×4. For a 224×224 input they are 7×7.

    Args:
        base: Channels of the first convolution; the groups have 2, 4, 8 and 16 times as many.
        input_shape: (height, width, channels) of the input images.
        classes: Number of logits.
        width: Multiplies the channels of every layer.
        include_top: Whether to end in logits; otherwise the output is the last feature maps.
        dropout: Dropout rate before the classifier.
        name: Name of the Keras model.

    Returns:
        A functional model, (batch, height, width, channels) float32 → (batch, classes) float32.

    Raises:
        ZooError: if the input is smaller than 8×8.
    """
    check_input(input_shape, 8, "ShiftNet")

    def block(x: Tensor, expansion: int, kernel: int, stride: int, down: bool, name: str) -> Tensor:
        filters = x.shape[-1]
        y = conv(bn_relu(x, f"{name}_in"), expansion * filters, 1, f"{name}_conv1")
        y = bn_relu(y, f"{name}_mid")
        y = Shift(kernel, strides=stride, name=f"{name}_shift")(y)
        y = conv(y, filters, 1, f"{name}_conv2")
        if not down:
            return layers.Add(name=f"{name}_add")([y, x])
        pooled = layers.AveragePooling2D(3, stride, padding="same", name=f"{name}_pool")(x)
        return layers.Concatenate(name=f"{name}_concat")([y, pooled])

    image = layers.Input(input_shape, name="image")
    small = is_small(input_shape)
    x = conv(image, scaled(base, width), 7, "stem_conv", stride=1 if small else 2)
    for group, (kernel, first, rest, blocks) in enumerate(_GROUPS, start=1):
        for number in range(1, blocks + 1):
            down = number == 1
            stride = 2 if down and not (small and group == 1) else 1
            expansion = first if down else rest
            x = block(x, expansion, kernel, stride, down, f"stage{group}_block{number}")
    x = bn_relu(x, "head")
    if include_top:
        x = classifier(x, classes, dropout)
    return tf_keras.Model(image, x, name=name)
