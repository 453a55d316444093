"""ModelSpec: an architecture of the catalog, and what was published of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Published:
    """An accuracy that the authors published: theirs, never ours."""

    dataset: str
    top1: float
    top5: float | None = None
    source: str = ""


@dataclass(frozen=True)
class Preprocessing:
    """From uint8 pixels to what the network was trained on: (pixel - mean) / std.

    `mean` and `std` have one value a channel, in units of 0–255 pixel values, in `channels` order.
    """

    channels: Literal["RGB", "BGR", "gray"]
    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """One architecture of the catalog.

    Attributes:
        name: the catalog name, `squeezenet_v1_1`.
        family: the module under `zoo.models` that builds it.
        arguments: keyword arguments of the family's `build` that make it this variant.
        input_shape: (height, width, channels) of the published network.
        classes: number of outputs of the published network.
        parameters: trainable parameters at that input shape and number of classes.
        parameters_total: likewise with the statistics of batch normalization.
        macs: multiply-accumulates of one inference there, by `zoo.models.macs`.
        published_macs: what the authors, or those who measured their network, say; None where
            nothing that can be compared is known.
        published_macs_size: the input's height that `published_macs` is for; None is the row's own.
        preprocessing: how the published weights want their input.
        published: the authors' accuracies.
        paper: citation with an address.
        license: of the architecture's public code.
        derivation: where the structure comes from, and each choice that the paper leaves open.
        not_reproducible: published figures that can't be had from public sources.
        batch_norm_optional: the paper has no batch normalization and the builder can add it.
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
