"""Networks of `tf_keras.applications`, rebuilt to support compression and small inputs.

MobileNetV1 (Howard et al. 2017), MobileNetV2 (Sandler et al. 2018), MobileNetV3 (Howard et al.
2019) and ResNet-50 (He et al. 2016).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import tf_keras

from zoo.models.common import Tensor, check_input, is_small, scaled

layers = tf_keras.layers
_applications = tf_keras.applications

Network = Literal[
    "mobilenet_v1", "mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large", "resnet50"
]


@dataclass(frozen=True)
class _Origin:
    """The function that builds the original network, its arguments, and its dropout rate."""

    function: Callable[..., tf_keras.Model]
    arguments: dict[str, Any]
    dropout: float
    has_alpha: bool = True


_ORIGINS = {
    "mobilenet_v1": _Origin(_applications.MobileNet, {}, dropout=1e-3),
    "mobilenet_v2": _Origin(_applications.MobileNetV2, {}, dropout=0.0),
    "mobilenet_v3_small": _Origin(
        _applications.MobileNetV3Small, {"include_preprocessing": False}, dropout=0.2
    ),
    "mobilenet_v3_large": _Origin(
        _applications.MobileNetV3Large, {"include_preprocessing": False}, dropout=0.2
    ),
    "resnet50": _Origin(_applications.ResNet50, {}, dropout=0.0, has_alpha=False),
}

# Names that Keras numbers across the process: "re_lu_12", "multiply", "tf.math.multiply_3".
_NUMBERED = re.compile(r"(re_lu|multiply|tf\..*?)(_\d+)?")
# Number of leading strides that are removed for small inputs, so a 32-pixel input ends at 4.
_SMALL_KEEPS = 2


def build(
    *,
    network: Network,
    input_shape: tuple[int, int, int],
    classes: int,
    width: float = 1.0,
    include_top: bool = True,
    dropout: float | None = None,
    name: str = "applications",
) -> tf_keras.Model:
    """Builds a network of `tf_keras.applications` with new weights and logits as output.

    The weights have the shapes and the order of the original's, and the outputs are equal. The
    differences are those that compression and small inputs require:

    * Operators are layers: MobileNetV3's `x + 3` and `x / 6` are `Rescaling`, because quantization
      and pruning tools don't support the original's operator layers.
    * Below 96 pixels the first two strides of 2 become 1: the last feature maps of a 32×32 input
      are 4×4.
    * The `ZeroPadding2D` before such a layer is removed too.
    * Layer names have `_` instead of `/`, and no numbers that depend on previously built models.
    * Batch norm has momentum 0.9; with 0.999 the averages would need thousands of steps to
      converge.

    Args:
        network: Which network to build.
        input_shape: (height, width, channels) of the input images.
        classes: Number of logits.
        width: The original's `alpha`, with the original's rounding. ResNet-50 has no `alpha`; its
            channels are multiplied and rounded by `scaled`.
        include_top: Whether to end in logits; otherwise in the input of the last global pooling.
        dropout: Dropout rate before the classifier; None for the original's.
        name: Name of the Keras model.

    Returns:
        A functional model, (batch, height, width, channels) float32 → (batch, classes) float32.

    Raises:
        ZooError: if the input is smaller than 32×32.
    """
    check_input(input_shape, 32, network)
    origin = _ORIGINS[network]
    alpha = {"alpha": width} if origin.has_alpha else {}
    original = origin.function(
        input_shape=input_shape,
        weights=None,
        classes=classes,
        classifier_activation=None,
        **origin.arguments,
        **alpha,
    )
    rate = origin.dropout if dropout is None else dropout
    replay = _Replay(original, 1.0 if origin.has_alpha else width, is_small(input_shape), rate)
    image, output = replay.run(include_top)
    return tf_keras.Model(image, output, name=name)


class _Replay:
    """Rebuilds a network layer by layer in the order of the original, with modified layers."""

    def __init__(self, original: tf_keras.Model, width: float, small: bool, dropout: float):
        self.width = width
        self.dropout = dropout
        self.nodes = original.get_config()["layers"]
        self.originals = {layer.name: layer for layer in original.layers}
        kinds = {node["name"]: type(self.originals[node["name"]]) for node in self.nodes}
        strided = [
            node["name"] for node in self.nodes if _stride(self.originals[node["name"]]) == 2
        ]
        self.unstrided = set(strided[:_SMALL_KEEPS]) if small else set()
        self.unpadded = {
            source
            for node in self.nodes
            if node["name"] in self.unstrided
            for source in _sources(node)
            if kinds[source] is layers.ZeroPadding2D
        }
        # The last one: squeeze-and-excitation blocks have global pools too.
        self.pool = [n for n, kind in kinds.items() if kind is layers.GlobalAveragePooling2D][-1]
        self.classifier = [n for n, kind in kinds.items() if kind in (layers.Conv2D, layers.Dense)][
            -1
        ]

    def run(self, include_top: bool) -> tuple[Tensor, Tensor]:
        """Returns the new network's input and output."""
        tensors: dict[str, Tensor] = {}
        # Layer → nearest preceding layer that is not numbered; numbered layers are named after it.
        roots: dict[str, str] = {}
        for node in self.nodes:
            old = node["name"]
            sources = _sources(node)
            layer = self.originals[old]
            if old == self.pool and not include_top:
                return tensors[self.nodes[0]["name"]], tensors[sources[0]]
            if not sources:
                tensors[old] = layers.Input(layer.input_shape[0][1:], name="image")
                continue
            inputs = [tensors[source] for source in sources]
            numbered = _NUMBERED.fullmatch(old) is not None
            roots[old] = roots[sources[0]] if numbered else old.replace("/", "_")
            if old in self.unpadded or isinstance(layer, layers.Dropout) or _is_identity(layer):
                tensors[old] = inputs[0]
                continue
            if old == self.classifier and self.dropout:
                inputs = [layers.Dropout(self.dropout, name="dropout")(inputs[0])]
            new = self._layer(node, layer, roots[old] if numbered else None)
            tensors[old] = new(inputs if len(inputs) > 1 else inputs[0])
        return tensors[self.nodes[0]["name"]], tensors[old]

    def _layer(self, node: dict[str, Any], layer: Any, root: str | None) -> tf_keras.layers.Layer:
        """Returns the replacement of `layer`; `root` prefixes its name if Keras has numbered it."""
        config = layer.get_config()
        old = node["name"]
        if "function" in config:
            return _rescaling(config["function"], node["inbound_nodes"][0][3], f"{root}")
        if root is not None:
            config["name"] = f"{root}_{'swish' if isinstance(layer, layers.Multiply) else 'relu'}"
        else:
            config["name"] = old.replace("/", "_")
        if isinstance(layer, layers.BatchNormalization):
            config["momentum"] = 0.9
        if old in self.unstrided:
            config.update(strides=(1, 1), padding="same")
        if old == self.pool:
            config["name"] = "pool"
        elif old == self.classifier:
            # The loss needs float32 even under mixed precision.
            config.update(name="classifier", dtype="float32")
        elif isinstance(layer, layers.Conv2D) and not isinstance(layer, layers.DepthwiseConv2D):
            config["filters"] = scaled(config["filters"], self.width)
        elif isinstance(layer, layers.Reshape | layers.Flatten):
            config.update(name="logits", dtype="float32")
        return type(layer).from_config(config)


def _rescaling(function: str, arguments: dict[str, Any], root: str) -> tf_keras.layers.Layer:
    if function == "__operators__.add":
        return layers.Rescaling(1.0, offset=arguments["y"], name=f"{root}_add")
    if function == "math.multiply":
        return layers.Rescaling(arguments["y"], name=f"{root}_scale")
    raise ValueError(f"unsupported operator in tf_keras.applications: {function!r}")


def _sources(node: dict[str, Any]) -> list[str]:
    """Returns the names of the input layers of a node."""
    if not node["inbound_nodes"]:
        return []
    first = node["inbound_nodes"][0]
    # For an operator it is one [name, node, tensor, arguments], for a layer a list of these.
    return [first[0]] if isinstance(first[0], str) else [source[0] for source in first]


def _stride(layer: Any) -> int:
    strides = getattr(layer, "strides", 1)
    return strides[0] if isinstance(strides, tuple) else strides


def _is_identity(layer: Any) -> bool:
    """Returns whether this is the identity that `classifier_activation=None` puts for softmax."""
    return isinstance(layer, layers.Activation) and layer.get_config()["activation"] == "linear"
