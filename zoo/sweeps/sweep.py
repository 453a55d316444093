"""A sweep, its points, their names and their training flags. Does not import TensorFlow."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zoo import runs
from zoo.catalog import RECIPES
from zoo.catalog.arguments import Argument, in_name
from zoo.errors import ZooError
from zoo.schema.recipe import Recipe
from zoo.schema.run import Run

_MAX_NAME_LENGTH = 120  # of a run, in characters


@dataclass(frozen=True)
class SweepAxis:
    """One dimension of a sweep.

    Attributes:
        name: Name of the recipe field or builder argument.
        field: True for a recipe field, False for a builder argument.
        kind: Type of the values, as in `zoo.catalog.arguments.kinds`.
        values: Values of a grid; empty for a search.
        low: Lower end of a search, inclusive.
        high: Upper end of a search, inclusive.
        log: Whether to search on a logarithmic scale.
    """

    name: str
    field: bool
    kind: Any
    values: tuple[Argument, ...] = ()
    low: float = 0.0
    high: float = 0.0
    log: bool = False

    def value(self, drawn: Argument) -> Argument:
        """Rounds a searched float to four significant digits to keep run names short."""
        if self.values or self.kind is int:
            return drawn
        return min(max(float(f"{drawn:.4g}"), self.low), self.high)

    def as_json(self) -> dict[str, Any]:
        """Returns the fields as JSON values, which identify the axis in a search plan."""
        return {**dataclasses.asdict(self), "kind": str(self.kind)}


@dataclass(frozen=True)
class Shared:
    """Settings that all points share, in addition to the recipe.

    Attributes:
        init_from: Value of --init_from of `scripts.train`; empty for random initial weights.
        init_sha256: Hash of the initial weights' file.
        strategy: tf.distribute strategy on the training machine.
        teacher_sha256: Hash of the teacher's file; None if the teacher varies or there is none.
        data_sha256: Current digest of the image folder; None if the data varies or for other
            datasets.
    """

    init_from: str = ""
    init_sha256: str | None = None
    strategy: str = "none"
    teacher_sha256: str | None = None
    data_sha256: str | None = None

    def made(self, run: Run) -> bool:
        """Returns whether a run has these settings. Unknown teacher and data hashes match."""
        digest = run.trained_on.digest if run.trained_on else None
        return (
            run.init_sha256 == self.init_sha256
            and self.teacher_sha256 in (None, run.teacher_sha256)
            and (digest is None or self.data_sha256 in (None, digest))
        )

    def flags(self) -> list[str]:
        """Returns the flags for `scripts.train`."""
        flags = [f"--init_from={self.init_from}"] if self.init_from else []
        return flags + ([f"--strategy={self.strategy}"] if self.strategy != "none" else [])


@dataclass(frozen=True)
class SweepPoint:
    """One network to train.

    Attributes:
        name: Name of the run.
        values: Axis name → value.
        recipe: Recipe with the values of this point.
        arguments: Builder arguments with the values of this point.
        start: Settings shared by all points.
    """

    name: str
    values: Mapping[str, Argument]
    recipe: Recipe
    arguments: Mapping[str, Argument]
    start: Shared = Shared()

    def flags(self) -> list[str]:
        """Returns the flags for `scripts.train`."""
        base = RECIPES[self.recipe.name]
        changed = {
            name: value for name, value in vars(self.recipe).items() if value != getattr(base, name)
        }
        flags = [f"--name={self.name}", f"--recipe={base.name}"]
        flags += [f"--{name}={value}" for name, value in changed.items()]
        if self.arguments:
            pairs = ",".join(f"{name}:{value}" for name, value in self.arguments.items())
            flags.append(f"--arguments={pairs}")
        return flags + self.start.flags()

    def finished(self, output: Path) -> Run | None:
        """Returns the run of this point if it is complete and has the same settings, else None."""
        folder = output / "runs" / self.name
        if not (folder / "run.json").exists():
            return None
        try:
            run = runs.load(folder)
        except ZooError:
            return None  # the trainer reports the reason
        # The recipe of a run that was trained with --name has a different name.
        recipe = dataclasses.replace(run.recipe, name=self.recipe.name)
        same = (recipe, run.config.arguments) == (self.recipe, self.arguments)
        return run if same and self.start.made(run) else None


@dataclass(frozen=True)
class Sweep:
    """A set of points to train.

    Attributes:
        recipe: Recipe of all points, with the user's flags applied.
        axes: One or more axes.
        fixed: Builder arguments shared by all points.
        start: Other settings shared by all points.
    """

    recipe: Recipe
    axes: tuple[SweepAxis, ...]
    fixed: Mapping[str, Argument] = field(default_factory=dict)
    start: Shared = Shared()

    @property
    def searched(self) -> bool:
        """Whether Optuna chooses the points."""
        return any(not axis.values for axis in self.axes)

    @property
    def name(self) -> str:
        """Default name of the sweep, MODEL-DATASET-AXES."""
        names = "-".join(axis.name for axis in self.axes)
        return f"{self.recipe.model}-{self.recipe.dataset}-{names}"

    def point(self, values: Mapping[str, Argument]) -> SweepPoint:
        """Returns the point with the given axis values."""
        point_values = {axis.name: axis.value(values[axis.name]) for axis in self.axes}
        fields = {axis.name: point_values[axis.name] for axis in self.axes if axis.field}
        recipe = dataclasses.replace(self.recipe, **fields)  # type: ignore[arg-type]
        rest = {name: value for name, value in point_values.items() if name not in fields}
        arguments = {**self.fixed, **rest}
        named = {k: v for k, v in {**arguments, **fields}.items() if k not in ("model", "dataset")}
        name = "-".join(filter(None, (recipe.model, recipe.dataset, in_name(named))))
        if len(name) > _MAX_NAME_LENGTH:
            digest = hashlib.sha256(name.encode()).hexdigest()[:10]
            name = f"{name[: _MAX_NAME_LENGTH - 11]}-{digest}"
        return SweepPoint(name, point_values, recipe, arguments, self.start)

    def grid(self) -> list[dict[str, Argument]]:
        """Returns all combinations of the axes' values, by axis name."""
        names = [axis.name for axis in self.axes]
        combined = itertools.product(*(axis.values for axis in self.axes))
        return [dict(zip(names, values, strict=True)) for values in combined]
