"""Run: the description of a trained network, sufficient to rebuild it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from zoo.schema.base import Sha256, Strict
from zoo.schema.recipe import Recipe


class ModelConfig(Strict):
    """Everything needed to build a network: its name in the catalog and the builder's arguments.

    Attributes:
        model: Name in the catalog.
        input_shape: (height, width, channels).
        classes: Number of logits.
        width: Multiplies the number of channels.
        batch_norm: Adds batch normalization to networks whose paper has none.
        dropout: Dropout rate before the classifier; None for the paper's.
        arguments: Arguments of the family's builder that override those of the catalog.
    """

    model: str
    input_shape: tuple[int, int, int]
    classes: int
    width: float = Field(default=1.0, gt=0, le=8)
    batch_norm: bool = False
    dropout: float | None = Field(default=None, ge=0, lt=1)
    arguments: dict[str, bool | int | float | str] = Field(default_factory=dict)


class PerLayer(Strict):
    """Per-layer values of a compression scheme: sparsities, numbers of clusters or ranks.

    Attributes:
        layers: Layer name → value; 0 leaves the layer unchanged.
        others: Whether all other layers get the recipe's value; if False they stay unchanged.
    """

    layers: dict[str, float] = Field(default_factory=dict)
    others: bool = True


class LowRank(Strict):
    """Low-rank factorization: the layers that were split in two, and their ranks.

    Attributes:
        spatial: Whether k×k convolutions are split into k×1 and 1×k instead of k×k and 1×1.
        ranks: Layer name → channels between the two factors.
    """

    spatial: bool = False
    ranks: dict[str, Annotated[int, Field(ge=1)]]


class TrainedOn(Strict):
    """The dataset at training time, so that later stages notice if it has changed.

    Attributes:
        labels: Class names by index.
        mean: Mean of the pixel values, 0–255, used for normalization.
        std: Standard deviation of the pixel values, 0–255, used for normalization.
        digest: Hash of the names and sizes of the user's own images; empty for public datasets.
        validation_images: Size of the validation split.
        train_images: Size of the training split; None in runs of earlier versions.
    """

    labels: tuple[str, ...]
    mean: float
    std: float
    digest: str = ""
    validation_images: int
    train_images: int | None = None


class Run(Strict):
    """Content of `run.json` in the folder of a training or compression run.

    `start` is the file of the initial weights of quantization-aware training, which determine the
    operators that it trains. `trained_on` is None in runs of earlier versions.
    """

    name: str
    stage: Literal["train", "compress"]
    config: ModelConfig
    dataset: str
    trained_on: TrainedOn | None = None
    recipe: Recipe
    scheme: tuple[str, ...] = ()
    per_layer: PerLayer = PerLayer()
    low_rank: LowRank | None = None
    start: str | None = None
    start_sha256: Sha256 | None = None
    parent: str | None = None
    parent_sha256: Sha256 | None = None
    init_from: str | None = None
    init_sha256: Sha256 | None = None
    teacher_sha256: Sha256 | None = None
    weights: str
    weights_sha256: Sha256
    validation_accuracy: float
    best_epoch: int
    versions: dict[str, str]
