"""Training record of a run: its description, its epochs, and which test images it got right.

RELEASE/runs/RUN.json
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from zoo.schema.base import Strict
from zoo.schema.correct import CorrectBits
from zoo.schema.run import Run


class EpochResult(Strict):
    """Results of one epoch.

    Attributes:
        loss: Mean training loss.
        validation_accuracy: Top-1 accuracy on the validation split, 0 to 1.
        seconds: Elapsed time, with validation.
        cpu_seconds: CPU time of all threads, with validation; None if it was not recorded.
        unshifted: Share of channels with a zero shift; None without sparse shifts.
    """

    loss: float
    validation_accuracy: float
    seconds: float
    cpu_seconds: float | None = None
    unshifted: float | None = None


class TestScore(Strict):
    """Accuracy of a converted file on the whole test split.

    Attributes:
        images: Number of images.
        top1: Top-1 accuracy, 0 to 1.
        correct: Which images were classified correctly, see `zoo.schema.correct`.
    """

    __test__ = False  # not a test for pytest

    images: Annotated[int, Field(ge=1)]
    top1: Annotated[float, Field(ge=0, le=1)]
    correct: CorrectBits


class RunHistory(Strict):
    """Content of the file.

    Attributes:
        run: The finished run; its recipe is without local folders.
        parameters: Number of trained parameters, with folded batch normalization.
        epochs: One entry per epoch.
        scores: Precision → score.
    """

    run: Run
    parameters: int
    epochs: Annotated[tuple[EpochResult, ...], Field(min_length=1, max_length=100_000)]
    scores: dict[str, TestScore] = Field(default_factory=dict)
