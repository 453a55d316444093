"""ShiftNet (Wu et al. 2018, https://arxiv.org/abs/1711.08141), for ImageNet."""

from __future__ import annotations

import tf_keras

from zoo.layers.shift import Shift
from zoo.models.common import Tensor, bn_relu, check_input, classifier, conv, is_small, scaled

layers = tf_keras.layers

# Of each group: kernel of the shifts, expansion of the first block, of the others, blocks. The
# channels double at each group.
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

    A 7×7/2 convolution without batch norm, then four groups of pre-activated blocks: batch norm,
    ReLU, 1×1 convolution to E times the block's input channels, batch norm, ReLU, shift, 1×1
    convolution back. The blocks add their input. The first of each group halves the maps, in its
    shift, and doubles the channels: beside its output stands a 3×3/2 average pool of its input.
    Batch norm and ReLU end the last group. This arrangement alone gives the published counts.

    Inputs below 96 pixels: the first convolution and the first group have stride 1, so that 32×32
    ends at 4×4. At 224×224 it is 7×7.

    Args:
        base: channels of the first convolution; the groups have 2, 4, 8 and 16 times as many.
        input_shape: (height, width, channels).
        classes: number of logits.
        width: multiplies all channels.
        include_top: end in logits; else in the last feature maps.
        dropout: rate before the classifier.
        name: name of the Keras model.

    Returns:
        A functional model, (batch, height, width, channels) float32 → (batch, classes) float32.

    Raises:
        ZooError: the input is smaller than 8×8.
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
