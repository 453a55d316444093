"""A sweep and its points: what each is called, and the command that trains it. No TensorFlow."""

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

_LONGEST = 120  # letters of a run's name


@dataclass(frozen=True)
class SweepAxis:
    """One dimension of a sweep.

    Attributes:
        name: of the argument or field.
        field: whether it is a field of the recipe, else an argument of the builder.
        kind: its type, as in `zoo.catalog.arguments.kinds`.
        values: of a grid; empty where it is a range.
        low, high: of a range that is searched, ends included.
        log: whether that is searched on a logarithmic scale.
    """

    name: str
    field: bool
    kind: Any
    values: tuple[Argument, ...] = ()
    low: float = 0.0
    high: float = 0.0
    log: bool = False

    def value(self, drawn: Argument) -> Argument:
        """A value as it is trained: of a searched range four digits, so that names stay short."""
        if self.values or self.kind is int:
            return drawn
        return min(max(float(f"{drawn:.4g}"), self.low), self.high)

    def as_json(self) -> dict[str, Any]:
        """What makes it another axis."""
        return {**dataclasses.asdict(self), "kind": str(self.kind)}


@dataclass(frozen=True)
class Shared:
    """What all trainings have in common besides the recipe.

    Attributes:
        init_from: as of `scripts.train`; empty where they begin with random weights.
        init_sha256: of the file that it names.
        strategy: of tf.distribute, on the machine that trains.
        teacher_sha256: of the teacher's file, where all have the same one.
        data_sha256: of the folder of pictures as it is now, likewise.
    """

    init_from: str = ""
    init_sha256: str | None = None
    strategy: str = "none"
    teacher_sha256: str | None = None
    data_sha256: str | None = None

    def made(self, run: Run) -> bool:
        """Whether the run began like this; what a run or this does not tell is not judged."""
        digest = run.trained_on.digest if run.trained_on else None
        return (
            run.init_sha256 == self.init_sha256
            and self.teacher_sha256 in (None, run.teacher_sha256)
            and (digest is None or self.data_sha256 in (None, digest))
        )

    def flags(self) -> list[str]:
        """Flags of `scripts.train`."""
        found = [f"--init_from={self.init_from}"] if self.init_from else []
        return found + ([f"--strategy={self.strategy}"] if self.strategy != "none" else [])


@dataclass(frozen=True)
class SweepPoint:
    """One network to train.

    Attributes:
        name: of its run.
        values: axis → value.
        recipe: with the values that are fields.
        arguments: of the builder, with the values that are such.
        start: of the sweep.
    """

    name: str
    values: Mapping[str, Argument]
    recipe: Recipe
    arguments: Mapping[str, Argument]
    start: Shared = Shared()

    def flags(self) -> list[str]:
        """Flags of `scripts.train`."""
        base = RECIPES[self.recipe.name]
        changed = {
            name: value for name, value in vars(self.recipe).items() if value != getattr(base, name)
        }
        found = [f"--name={self.name}", f"--recipe={base.name}"]
        found += [f"--{name}={value}" for name, value in changed.items()]
        if self.arguments:
            pairs = ",".join(f"{name}:{value}" for name, value in self.arguments.items())
            found.append(f"--arguments={pairs}")
        return found + self.start.flags()

    def finished(self, output: Path) -> Run | None:
        """Its run, where that is whole and of this very point."""
        folder = output / "runs" / self.name
        if not (folder / "run.json").exists():
            return None
        try:
            run = runs.load(folder)
        except ZooError:
            return None  # the trainer says why
        # A run that was given a name has it in its recipe too.
        recipe = dataclasses.replace(run.recipe, name=self.recipe.name)
        same = (recipe, run.config.arguments) == (self.recipe, self.arguments)
        return run if same and self.start.made(run) else None


@dataclass(frozen=True)
class Sweep:
    """What all points have in common, and what sets them apart.

    Attributes:
        recipe: with the flags that were given.
        axes: at least one.
        fixed: arguments of the builder that all points have.
        start: what their trainings have in common.
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
        """What it is called unless the user says otherwise."""
        names = "-".join(axis.name for axis in self.axes)
        return f"{self.recipe.model}-{self.recipe.dataset}-{names}"

    def point(self, values: Mapping[str, Argument]) -> SweepPoint:
        """The point with these values of the axes."""
        found = {axis.name: axis.value(values[axis.name]) for axis in self.axes}
        fields = {axis.name: found[axis.name] for axis in self.axes if axis.field}
        recipe = dataclasses.replace(self.recipe, **fields)  # type: ignore[arg-type]
        rest = {name: value for name, value in found.items() if name not in fields}
        arguments = {**self.fixed, **rest}
        apart = {k: v for k, v in {**arguments, **fields}.items() if k not in ("model", "dataset")}
        name = "-".join(filter(None, (recipe.model, recipe.dataset, in_name(apart))))
        if len(name) > _LONGEST:
            name = f"{name[: _LONGEST - 11]}-{hashlib.sha256(name.encode()).hexdigest()[:10]}"
        return SweepPoint(name, found, recipe, arguments, self.start)

    def grid(self) -> list[dict[str, Argument]]:
        """All combinations of the axes' values."""
        names = [axis.name for axis in self.axes]
        combined = itertools.product(*(axis.values for axis in self.axes))
        return [dict(zip(names, values, strict=True)) for values in combined]
