"""A study and its runs, read from a study file. Does not import TensorFlow."""

from __future__ import annotations

import dataclasses
import itertools
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from zoo.catalog import model_spec, recipe
from zoo.catalog.arguments import in_name
from zoo.errors import UnknownNameError, ZooError
from zoo.io.files import read_bytes
from zoo.schema.json_files import first_problem
from zoo.schema.recipe import Recipe
from zoo.schema.study import Question, StudyFile, Value
from zoo.sweeps.sweep import SweepPoint

_MAX_BYTES = 2**20
_REMEDY = "see zoo study --help for the format"


@dataclass(frozen=True)
class StudyRun:
    """One training run.

    Attributes:
        question: Question that it belongs to.
        point: Name of the run, recipe with all settings, and builder arguments.
        files: Whether its models are published for download.
    """

    question: Question
    point: SweepPoint
    files: bool

    @property
    def name(self) -> str:
        """Name of the run folder."""
        return self.point.name


@dataclass(frozen=True)
class Study:
    """A study.

    Attributes:
        file: Content of its file.
        runs: All runs: each question in turn, first all networks with their first seed, then with
            their second one, and so on.
    """

    file: StudyFile
    runs: tuple[StudyRun, ...]


def load(path: Path) -> Study:
    """Reads a study file.

    Raises:
        ZooError: if the file is missing, malformed, names an unknown model, recipe or field, or
            has two runs of the same name.
    """
    text = read_bytes(path, "the study file", _MAX_BYTES, _REMEDY)
    try:
        file = StudyFile.model_validate(tomllib.loads(text.decode()))
    except ValidationError as error:
        raise ZooError(
            "the study file is not valid", where=path, got=first_problem(error), remedy=_REMEDY
        ) from error
    except ValueError as error:  # also tomllib.TOMLDecodeError and UnicodeDecodeError
        raise ZooError("the study file is not TOML", where=path, got=error) from error
    runs: dict[str, StudyRun] = {}
    for question in file.questions:
        for run in _runs(file, question, path):
            if run.name in runs:
                raise ZooError(
                    "the study has two runs of the same name",
                    where=path,
                    got=f"{run.name} in {runs[run.name].question.name} and {question.name}",
                    remedy="drop one of them",
                )
            runs[run.name] = run
    return Study(file, tuple(runs.values()))


def _runs(file: StudyFile, question: Question, path: Path) -> Iterator[StudyRun]:
    where = f"{path}, question {question.name}"
    for model in question.models:
        model_spec(model)
    for model in question.seeds:
        if model not in question.models:
            raise UnknownNameError(f"model of seeds in {where}", model, question.models)
    base = _with(recipe(file.recipe), {**file.flags, **question.flags}, where)
    combinations = list(itertools.product(*question.grid.values()))
    seeds = {model: question.seeds.get(model, (1,)) for model in question.models}
    for turn in range(max(map(len, seeds.values()))):
        for model in question.models:
            if turn >= len(seeds[model]):
                continue
            seed = seeds[model][turn]
            for values in combinations:
                arguments = dict(zip(question.grid, values, strict=True))
                settings = dataclasses.replace(base, model=model, seed=seed, epochs=question.epochs)
                parts = (model, base.dataset, in_name({**arguments, **_seed(turn, seed)}))
                point = SweepPoint("-".join(filter(None, parts)), {}, settings, arguments)
                yield StudyRun(question, point, question.files and turn == 0)


def _seed(turn: int, seed: int) -> dict[str, Value]:
    """Returns the seed as a part of the name; runs with the first seed don't have it."""
    return {"seed": seed} if turn else {}


def _with(base: Recipe, flags: dict[str, Value], where: str) -> Recipe:
    """Returns the recipe with some fields changed.

    Raises:
        ZooError: if there is no such field, or a value has another type.
    """
    kinds = {
        field.name: type(getattr(base, field.name))
        for field in dataclasses.fields(Recipe)
        if "help" in field.metadata and field.name not in ("model", "seed", "epochs")
    }
    changes: dict[str, Value] = {}
    for name, value in flags.items():
        if name not in kinds:
            raise UnknownNameError(f"field of the recipe in {where}", name, kinds)
        kind = kinds[name]
        if kind is float and type(value) is int:
            value = float(value)
        if type(value) is not kind:
            raise ZooError(
                "a value of the study file has the wrong type",
                where=f"{where}, {name}",
                expected=kind.__name__,
                got=repr(value),
            )
        changes[name] = value
    return dataclasses.replace(base, **changes)  # type: ignore[arg-type]
