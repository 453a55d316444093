"""How fast a network trains and validates: the question to `zoo.training.estimate`, its answer."""

from __future__ import annotations

from pydantic import Field

from zoo.schema.base import Strict
from zoo.schema.recipe import Recipe


class EstimateRequest(Strict):
    """What to measure.

    Attributes:
        recipe: Network, dataset and training settings.
        arguments: Arguments of the network's builder that override those of the catalog.
        threads: CPU threads.
        seconds: Least duration of each measurement, after a warmup.
    """

    recipe: Recipe
    arguments: dict[str, bool | int | float | str] = Field(default_factory=dict)
    threads: int = 1
    seconds: float = 5.0


class Estimate(Strict):
    """The answer.

    Attributes:
        train_images: Size of the training split.
        validation_images: Size of the validation split.
        training_images_per_s: Images per second of training steps, with the data pipeline.
        validation_images_per_s: Images per second of validation.
    """

    train_images: int
    validation_images: int
    training_images_per_s: float
    validation_images_per_s: float

    def epoch_s(self, epoch_images: int) -> float:
        """Returns the seconds per epoch.

        Args:
            epoch_images: Training images per epoch; 0 for the whole training split.
        """
        return (
            epoch_images or self.train_images
        ) / self.training_images_per_s + self.validation_images / self.validation_images_per_s
