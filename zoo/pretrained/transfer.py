"""Initializes a network with the weights of another network of the same architecture.

Layers are matched by name. The classifier, the last layer with weights, keeps its random
initialization if the number of classes differs. The first convolution is rewritten for the input of
our data pipeline, (pixel - mean) / std in the dataset's channels, so neither the data nor the
preprocessing of published artifacts has to change. The result is exact except where the convolution
reads zero padding (`same`, the outermost pixels), because a padded zero represents the mean color,
which differs between the two normalizations.
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

_LUMA = (0.299, 0.587, 0.114)  # weights of R, G and B in gray images, Rec. 601


@dataclass(frozen=True, eq=False)
class Initial:
    """Initial weights of a network.

    Attributes:
        source: Name of the public weights, the file or the run.
        sha256: SHA-256 of the file of weights.
        model: Catalog name of the network.
        weights: Arrays of each layer by its name, in the order of Keras' `get_weights`.
        preprocessing: Normalization that the first layer expects.
        config: Configuration from which the network is rebuilt; None for public weights.
        labels: Class names; empty if unknown.
        note: Additional remark for the user, or "".
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
    """Reads the weights of a finished run, dense or pruned, as initial weights.

    Args:
        run: The run, as returned by `runs.load`, which checks the hash of the weights.
        folder: Folder of the run.

    Raises:
        ZooError: if the run is quantized, its weights are unreadable or `data.seen` fails.
    """
    if "qat" in run.scheme:
        raise ZooError(
            "cannot start training from a quantization-aware run",
            where=folder,
            expected="a dense or pruned run",
            got="+".join(run.scheme),
            remedy=f"use the run it was made from, {run.parent}",
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
    """Returns the preprocessing of a network trained on a dataset with these statistics.

    Args:
        channels: Input channels, 1 or 3.
        seen: Description of the training dataset.
    """
    return Preprocessing(
        channels="gray" if channels == 1 else "RGB",
        mean=(seen.mean,) * channels,
        std=(seen.std,) * channels,
    )


def of_dataset(dataset: data.Dataset) -> Preprocessing:
    """Returns the preprocessing that the data pipeline applies to a dataset."""
    return normalized(dataset.test.images.shape[-1], dataset.trained_on())


def apply(
    model: tf_keras.Model, name: str, initial: Initial, target: Preprocessing
) -> tuple[str, ...]:
    """Sets the model's weights from `initial`. If it raises, the model is unchanged.

    Args:
        model: Newly built functional model.
        name: Catalog name of the model.
        initial: Initial weights.
        target: Preprocessing of the images that the model will be trained on.

    Returns:
        One message for each layer that is not an exact copy.

    Raises:
        ZooError: if the architecture differs or a layer other than the classifier does not fit.
    """
    if name != initial.model:
        raise ZooError(
            "the weights belong to another architecture",
            where=initial.source,
            expected=name,
            got=initial.model,
            remedy=f"give --model={initial.model}, or use other weights",
        )
    weighted = [layer for layer in model.layers if layer.weights]
    _same_layers(weighted, initial)
    first, last = weighted[0], weighted[-1]
    new = {layer.name: [np.asarray(w) for w in initial.weights[layer.name]] for layer in weighted}
    messages = []
    if initial.preprocessing != target:
        messages.append(_adapt(first, new, initial, target))
    for layer in weighted:
        expected = [tuple(w.shape) for w in layer.weights]
        got = [w.shape for w in new[layer.name]]
        if expected != got and layer is last:
            del new[layer.name]
            messages.append(
                f"{layer.name} is initialized randomly: its shape was {got[0]} and is {expected[0]}"
            )
        elif expected != got:
            raise ZooError(
                f"the weights of layer {layer.name} do not fit",
                where=initial.source,
                expected=_shapes(expected),
                got=_shapes(got),
                remedy="give the weights' --width and --batch_norm or --nobatch_norm",
            )
    for layer in weighted:
        if layer.name in new:
            layer.set_weights(new[layer.name])
    return tuple(messages)


def freeze(model: tf_keras.Model) -> None:
    """Freezes all layers but the classifier; batch normalization keeps its moving statistics."""
    weighted = [layer for layer in model.layers if layer.weights]
    for layer in weighted[:-1]:
        layer.trainable = False


def _same_layers(weighted: list[tf_keras.layers.Layer], initial: Initial) -> None:
    expected, got = [layer.name for layer in weighted], list(initial.weights)
    for names, others, message, flag in (
        (expected, got, "the weights have no layer", "--nobatch_norm"),
        (got, expected, "the network has no layer", "--batch_norm"),
    ):
        missing = [name for name in names if name not in others]
        if missing:
            only_batch_norm = all(name.endswith("_bn") for name in missing)
            more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            shapes = {layer.name: [tuple(w.shape) for w in layer.weights] for layer in weighted}
            shapes |= {name: [w.shape for w in initial.weights[name]] for name in got}
            raise ZooError(
                f"{message} {missing[0]}{more}",
                where=initial.source,
                expected=_shapes(shapes[missing[0]]) if names is expected else "no such layer",
                got="no such layer" if names is expected else _shapes(shapes[missing[0]]),
                remedy=f"give {flag}" if only_batch_norm else "train without initial weights",
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

    The weights expect x = (M·p - m) / s for pixels p, where M reorders, repeats or mixes the
    channels, but receive x' = (p - m') / s'. With p = s'·x' + m', W·x + b becomes W'·x' + b', where
    W' = W·M·s'/s and b' = b + W·(M·m' - m)/s, summed over the kernel.

    Returns:
        A message that describes the change.

    Raises:
        ZooError: if the layer is not a plain Conv2D or does not fit its own preprocessing.
    """
    import tf_keras

    arrays = new[first.name]
    old = initial.preprocessing
    if type(first) is not tf_keras.layers.Conv2D or first.groups != 1 or arrays[0].ndim != 4:
        raise ZooError(
            f"cannot adapt the first layer, {first.name}, to differently normalized images",
            where=initial.source,
            expected=f"images normalized by {old}",
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
    mean, std, new_mean, new_std = map(np.array, (old.mean, old.std, target.mean, target.std))
    factors = mix * new_std / std[:, np.newaxis]
    offset = np.einsum("hwco,c->o", kernel, (mix @ new_mean - mean) / std)
    message = f"{first.name} is adapted to {target.channels} images of --dataset, instead of {old}"
    arrays[0] = np.einsum("hwco,cj->hwjo", kernel, factors).astype(np.float32)
    if len(arrays) > 1:
        arrays[1] = (arrays[1] + offset).astype(np.float32)
        return message
    # Without a bias y' = y - offset; a following batch norm compensates it in its moving mean.
    following = [node.layer for node in first.outbound_nodes]
    if len(following) == 1 and isinstance(following[0], tf_keras.layers.BatchNormalization):
        statistics = new[following[0].name]  # …, moving mean, moving variance
        statistics[-2] = (statistics[-2] - offset).astype(np.float32)
        return f"{message}; the offset is in the moving mean of {following[0].name}"
    return f"{message}; it has no bias, so training must correct the offset of its output"


def _mix(old: Preprocessing, new: Preprocessing) -> np.ndarray:
    """Returns the matrix (old channels, new channels) that maps pixels of `new` to `old`."""
    if new.channels == "gray":
        return np.ones((len(old.mean), 1))
    luma = np.array([_LUMA])
    rgb = luma if old.channels == "gray" else np.eye(3)[:: -1 if old.channels == "BGR" else 1]
    return rgb[:, :: -1 if new.channels == "BGR" else 1]
