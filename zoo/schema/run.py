"""Run: a trained network as its run folder describes it, and what rebuilds it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from zoo.schema.base import Sha256, Strict
from zoo.schema.recipe import Recipe


class ModelConfig(Strict):
    """What rebuilds a network: a catalog name and the builder's arguments.

    `batch_norm` concerns the networks whose paper has none; `dropout` None is the paper's own.
    `arguments` of the family's builder replace those of the catalog's row.
    """

    model: str
    input_shape: tuple[int, int, int]
    classes: int
    width: float = Field(default=1.0, gt=0, le=8)
    batch_norm: bool = False
    dropout: float | None = Field(default=None, ge=0, lt=1)
    arguments: dict[str, bool | int | float | str] = Field(default_factory=dict)


class PerLayer(Strict):
    """Values of a compression scheme layer by layer: sparsities, numbers of clusters or ranks.

    Attributes:
        layers: layer name → its value; 0 leaves the layer alone.
        others: whether layers that are not named get the recipe's value, or are left alone.
    """

    layers: dict[str, float] = Field(default_factory=dict)
    others: bool = True


class LowRank(Strict):
    """The layers that were split in two, and by what rank.

    Attributes:
        spatial: k×k convolutions are split into k×1 and 1×k ones, else into k×k and 1×1.
        ranks: layer name → channels between the two.
    """

    spatial: bool = False
    ranks: dict[str, Annotated[int, Field(ge=1)]]


class TrainedOn(Strict):
    """The data set as a run saw it, for stages that read it again when it may be another.

    Attributes:
        labels: class names by index.
        mean, std: that pixels were normalized by, 0–255.
        digest: of the user's own pictures' names and sizes; empty for published sets.
        validation_images: how many the run was chosen by.
    """

    labels: tuple[str, ...]
    mean: float
    std: float
    digest: str = ""
    validation_images: int


class Run(Strict):
    """`run.json` of a training or compression run's folder.

    `start` is the file of the weights that quantization-aware training began with: which operators
    it trains depends on them. `trained_on` is None in runs of earlier versions.
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
