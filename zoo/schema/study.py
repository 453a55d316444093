"""Study file, in TOML: questions, and the training runs that are to answer them.

`scripts/study.py` has an example.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from zoo.schema.base import Name, Strict

Value = bool | int | float | str
Seeds = Annotated[tuple[int, ...], Field(min_length=1, max_length=100)]


class Question(Strict):
    """Networks to compare; all of them are trained for the same number of epochs.

    Attributes:
        name: Short name of the question.
        title: Heading of its table.
        models: Names in the catalog; the first one is the baseline.
        epochs: Number of epochs of every run.
        seeds: Model → seeds, for those with other seeds than 1.
        grid: Builder argument → values; every combination is a network.
        flags: Fields of the recipe that differ in this question.
        files: Whether the models are published for download; if False, only the training records.
    """

    name: Name
    title: Annotated[str, Field(max_length=200)]
    models: Annotated[tuple[str, ...], Field(min_length=1, max_length=100)]
    epochs: Annotated[int, Field(ge=1)]
    seeds: dict[str, Seeds] = Field(default_factory=dict)
    grid: dict[str, Annotated[tuple[Value, ...], Field(min_length=1)]] = Field(default_factory=dict)
    flags: dict[str, Value] = Field(default_factory=dict)
    files: bool = True


class StudyFile(Strict):
    """Content of a study file.

    Attributes:
        title: What the study is about.
        recipe: Recipe of all runs.
        flags: Fields of the recipe that differ in all runs.
        threads: CPU threads of each run. Fixed, since sums in another order give other weights.
        hours: CPU hours that the whole study may take; a longer plan is refused.
        questions: In the order in which they are trained.
    """

    title: Annotated[str, Field(max_length=200)]
    recipe: str
    flags: dict[str, Value] = Field(default_factory=dict)
    threads: Annotated[int, Field(ge=1, le=256)] = 1
    hours: Annotated[float, Field(gt=0)] = 1000.0
    questions: Annotated[tuple[Question, ...], Field(min_length=1)]
