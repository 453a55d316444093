"""ModelSpec: an architecture of the catalog, with its published figures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Published:
    """An accuracy that the authors published, in percent; never one of ours.

    Attributes:
        dataset: Dataset and, where it matters, its split.
        top1: Top-1 accuracy.
        top5: Top-5 accuracy; None if it is not stated.
        source: Where it stands.
        epochs: Epochs of the authors' training; None if they are not stated.
    """

    dataset: str
    top1: float
    top5: float | None = None
    source: str = ""
    epochs: int | None = None


@dataclass(frozen=True)
class Preprocessing:
    """Normalization of uint8 pixels to the network's input: (pixel - mean) / std.

    `mean` and `std` have one value per channel, in units of 0–255 pixel values and in the order of
    `channels`.
    """

    channels: Literal["RGB", "BGR", "gray"]
    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """One architecture of the catalog.

    Attributes:
        name: Name in the catalog, for example `squeezenet_v1_1`.
        family: Module in `zoo.models` that builds it.
        arguments: Keyword arguments of the family's `build` that select this variant.
        input_shape: (height, width, channels) of the published network.
        classes: Number of classes of the published network.
        parameters: Trainable parameters at this input shape and number of classes.
        parameters_total: The same with the statistics of batch normalization.
        macs: Multiply-accumulates per inference at this input shape, counted by `zoo.models.macs`.
        published_macs: Multiply-accumulates according to the authors or other published
            measurements; None if no comparable figure is known.
        published_macs_size: Input height that `published_macs` is for; None for the one of
            `input_shape`.
        preprocessing: Preprocessing that the published weights expect.
        published: The authors' accuracies.
        paper: Citation with an address.
        license: License of the architecture's public code.
        derivation: Sources of the structure, and our choices where the paper leaves it open.
        not_reproducible: Published figures that can't be reproduced from public sources.
        batch_norm_optional: Whether the paper has no batch normalization but the builder can add
            it.
    """

    name: str
    family: str
    arguments: dict[str, Any]
    input_shape: tuple[int, int, int]
    classes: int
    parameters: int
    parameters_total: int
    macs: int
    published_macs: float | None = None
    published_macs_size: int | None = None
    preprocessing: Preprocessing
    published: tuple[Published, ...]
    paper: str
    license: str
    derivation: str
    not_reproducible: str = ""
    batch_norm_optional: bool = False
