"""Starting a network from the weights of another one of the same architecture.

Layers are matched by name. The classifier, which is the last layer with weights, keeps its fresh
weights where the number of classes differs. The first convolution is rewritten so that it expects
what our data pipeline gives, (pixel - mean) / std in the data set's channels, instead of what the
weights were trained on: the data, and what a published artifact asks of applications, stay as
they are. This is exact wherever the convolution sees only pixels. Where it sees zero padding too
(`same`, the outermost pixels) it is not: a padded zero stands for each side's own mean color.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from zoo import data, runs
from zoo.errors import ZooError
from zoo.schema.model import Preprocessing
from zoo.schema.run import ModelConfig, Run, TrainedOn

if TYPE_CHECKING:
    import tf_keras

LayerWeights = Mapping[str, Sequence[np.ndarray]]

_LUMA = (0.299, 0.587, 0.114)  # Rec. 601, of R, G and B: what gray pictures are made by


@dataclass(frozen=True, eq=False)
class Initial:
    """Weights to start from.

    Attributes:
        source: name of the public weights, of the file, or of the run.
        sha256: of the file they were read from.
        model: catalog name of the network that they are of.
        weights: layer name → its arrays, in the order of Keras' `get_weights`.
        preprocessing: what the first layer expects.
        config: what rebuilds the network; None for public weights.
        labels: its classes; empty where they are not known.
        note: what else there is to say about the file.
    """

    source: str
    sha256: str
    model: str
    weights: LayerWeights
    preprocessing: Preprocessing
    config: ModelConfig | None = None
    labels: tuple[str, ...] = ()
    note: str = ""


def from_run(run: Run, folder: Path) -> Initial:
    """A finished run, dense or pruned, as a starting point. `runs.load` has checked its hash.

    Raises:
        ZooError: the run is quantized, its weights can't be read, or as of `data.seen`.
    """
    if "qat" in run.scheme:
        raise ZooError(
            "training can't start from a quantization-aware run",
            where=folder,
            expected="a dense or a pruned run",
            got="+".join(run.scheme),
            remedy=f"give the run it was made from, {run.parent}",
        )
    model, seen = runs.keras_model(run, folder), data.seen(run)
    return Initial(
        source=run.name,
        sha256=run.weights_sha256,
        model=run.config.model,
        weights={layer.name: layer.get_weights() for layer in model.layers if layer.weights},
        preprocessing=normalized(run.config.input_shape[-1], seen),
        config=run.config,
        labels=seen.labels,
    )


def normalized(channels: int, seen: TrainedOn) -> Preprocessing:
    """How the pictures were normalized that a network was trained on."""
    return Preprocessing(
        channels="gray" if channels == 1 else "RGB",
        mean=(seen.mean,) * channels,
        std=(seen.std,) * channels,
    )


def of_dataset(dataset: data.Dataset) -> Preprocessing:
    """How the data pipeline normalizes that data set."""
    return normalized(dataset.test.images.shape[-1], dataset.trained_on())


def apply(
    model: tf_keras.Model, name: str, initial: Initial, target: Preprocessing
) -> tuple[str, ...]:
    """Sets the model's weights from `initial`. Nothing is changed where it raises.

    Args:
        model: functional, freshly built.
        name: its catalog name.
        initial: the weights to start from.
        target: how the pictures that it will see are normalized.

    Returns:
        Sentences on what is not an exact copy, for the user.

    Raises:
        ZooError: another architecture, or a layer other than the classifier that does not fit.
    """
    if name != initial.model:
        raise ZooError(
            "the weights are of another architecture",
            where=initial.source,
            expected=name,
            got=initial.model,
            remedy=f"give --model={initial.model}, or other weights",
        )
    weighted = [layer for layer in model.layers if layer.weights]
    _same_layers(weighted, initial)
    first, last = weighted[0], weighted[-1]
    new = {layer.name: [np.asarray(w) for w in initial.weights[layer.name]] for layer in weighted}
    said = []
    if initial.preprocessing != target:
        said.append(_adapt(first, new, initial, target))
    for layer in weighted:
        own = [tuple(w.shape) for w in layer.weights]
        got = [w.shape for w in new[layer.name]]
        if own != got and layer is last:
            del new[layer.name]
            said.append(f"{layer.name} starts afresh: it was {got[0]}, it is {own[0]}")
        elif own != got:
            raise ZooError(
                f"the weights of layer {layer.name} do not fit",
                where=initial.source,
                expected=_shapes(own),
                got=_shapes(got),
                remedy="give the --width, and --batch_norm or --nobatch_norm, that they are of",
            )
    for layer in weighted:
        if layer.name in new:
            layer.set_weights(new[layer.name])
    return tuple(said)


def freeze(model: tf_keras.Model) -> None:
    """Leaves only the classifier to be trained; batch normalization keeps its statistics."""
    weighted = [layer for layer in model.layers if layer.weights]
    for layer in weighted[:-1]:
        layer.trainable = False


def _same_layers(weighted: list[tf_keras.layers.Layer], initial: Initial) -> None:
    own, got = [layer.name for layer in weighted], list(initial.weights)
    for names, others, said, flag in (
        (own, got, "the weights have no layer", "--nobatch_norm"),
        (got, own, "the network has no layer", "--batch_norm"),
    ):
        lacking = [name for name in names if name not in others]
        if lacking:
            normalized = all(name.endswith("_bn") for name in lacking)
            more = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
            shapes = {layer.name: [tuple(w.shape) for w in layer.weights] for layer in weighted}
            shapes |= {name: [w.shape for w in initial.weights[name]] for name in got}
            raise ZooError(
                f"{said} {lacking[0]}{more}",
                where=initial.source,
                expected=_shapes(shapes[lacking[0]]) if names is own else "no such layer",
                got="no such layer" if names is own else _shapes(shapes[lacking[0]]),
                remedy=f"give {flag}" if normalized else "train from fresh weights",
            )


def _shapes(shapes: Sequence[tuple[int, ...]]) -> str:
    return ", ".join("×".join(map(str, shape)) or "scalar" for shape in shapes)


def _adapt(
    first: tf_keras.layers.Layer,
    new: dict[str, list[np.ndarray]],
    initial: Initial,
    target: Preprocessing,
) -> str:
    """Rewrites the first convolution in `new` for input that is normalized as `target`.

    The weights want x = (M·p - m) / s of the pixels p, where M reorders, repeats or mixes the
    channels; they get x' = (p - m') / s'. So p = s'·x' + m', and W·x + b becomes W'·x' + b' with
    W' = W·M·s'/s and b' = b + W·(M·m' - m)/s, summed over the kernel.
    """
    import tf_keras

    arrays = new[first.name]
    old = initial.preprocessing
    if type(first) is not tf_keras.layers.Conv2D or first.groups != 1 or arrays[0].ndim != 4:
        raise ZooError(
            f"the first layer, {first.name}, can't be adapted to differently normalized pictures",
            where=initial.source,
            expected=f"pictures as {old}",
            got=target,
        )
    kernel = arrays[0].astype(np.float64)
    if kernel.shape[2] != len(old.mean):
        raise ZooError(
            f"the weights of layer {first.name} do not fit their preprocessing",
            where=initial.source,
            expected=f"{len(old.mean)} input channels",
            got=kernel.shape[2],
        )
    mix = _mix(old, target)
    mean, std, own_mean, own_std = map(np.array, (old.mean, old.std, target.mean, target.std))
    factors = mix * own_std / std[:, np.newaxis]
    offset = np.einsum("hwco,c->o", kernel, (mix @ own_mean - mean) / std)
    said = f"{first.name} takes {target.channels} pictures as --dataset gives them, not {old}"
    arrays[0] = np.einsum("hwco,cj->hwjo", kernel, factors).astype(np.float32)
    if len(arrays) > 1:
        arrays[1] = (arrays[1] + offset).astype(np.float32)
        return said
    # y' = y - offset; a batch norm that comes next takes its mean off, so that may bear it as well.
    following = [node.layer for node in first.outbound_nodes]
    if len(following) == 1 and isinstance(following[0], tf_keras.layers.BatchNormalization):
        statistics = new[following[0].name]  # …, moving mean, moving variance
        statistics[-2] = (statistics[-2] - offset).astype(np.float32)
        return f"{said}; the offset is in the moving mean of {following[0].name}"
    return f"{said}; it has no bias, so the offset of its output is left to training"


def _mix(old: Preprocessing, new: Preprocessing) -> np.ndarray:
    """The matrix (old channels, new channels) that takes pixels of `new` to those of `old`."""
    if new.channels == "gray":
        return np.ones((len(old.mean), 1))
    luma = np.array([_LUMA])
    rgb = luma if old.channels == "gray" else np.eye(3)[:: -1 if old.channels == "BGR" else 1]
    return rgb[:, :: -1 if new.channels == "BGR" else 1]
