"""A scan, the uniform recipe and the proposal beside each other."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tf_keras

from zoo.compression.sensitivity import chart
from zoo.compression.sensitivity.proposal import Proposal, ScanPoint, propose
from zoo.compression.sensitivity.scan import SCAN_KINDS, Scan
from zoo.data.dataset import Dataset
from zoo.errors import ZooError
from zoo.io.log import Log
from zoo.io.provenance import Provenance


@dataclass(frozen=True)
class ScanRequest:
    """What to scan.

    Attributes:
        what: of `scan.WHATS`.
        uniform: level of the uniform recipe; None takes the middle of the scale.
        target: bytes of the coded weights; None takes the uniform recipe's.
        images: of the validation split.
    """

    what: str
    uniform: float | None
    target: float | None
    images: int


@dataclass(frozen=True)
class LayerPlan:
    """A level for some layers, and how the network does with all of them changed.

    `bytes` is of all layers' weights, coded; `accuracy` 0 to 1; `nats` of divergence.
    """

    levels: dict[str, float]
    bytes: float
    accuracy: float
    nats: float


@dataclass(frozen=True)
class SensitivityReport:
    """All that a scan found, and how it is shown."""

    run: str
    dataset: str
    images: int
    what: str
    accuracy: float
    whole: dict[str, float]
    points: list[ScanPoint]
    uniform_level: float
    uniform: LayerPlan
    proposed: LayerPlan
    values: dict[str, float]

    @property
    def better(self) -> bool:
        """Whether the proposal is no larger than the uniform recipe and diverges no more."""
        smaller = self.proposed.bytes <= self.uniform.bytes
        return not smaller or self.proposed.nats <= self.uniform.nats

    def plan(self) -> dict[str, Any]:
        """The proposal as `scripts.compress --plan` takes it."""
        return {"format": 1, "what": SCAN_KINDS[self.what].plan, "layers": self.values}

    def as_json(self) -> dict[str, Any]:
        """Everything."""
        return dataclasses.asdict(self)

    def text(self) -> str:
        """The table of accuracies lost, and the comparison."""
        widest = max(len(name) for name in self.whole)
        lines = [f"{'points of accuracy lost':{widest}}  {'bytes':>8}" + self._head("{:>8}")]
        lines += [
            f"{name:{widest}}  {self.whole[name]:8.0f}"
            + "".join(f"{lost:8.2f}" for lost in self._lost(name))
            for name in self.whole
        ]
        return "\n".join([*lines, "", *self._comparison()])

    def markdown(self, svg: Path | None) -> str:
        """A page."""
        command = " ".join(Provenance.here().command)
        head = "| layer | coded bytes |" + self._head(" {} |")
        rule = "|---|---:|" + "---:|" * len(SCAN_KINDS[self.what].levels)
        rows = [
            f"| {name} | {self.whole[name]:,.0f} |"
            + "".join(f" {lost:.2f} |" for lost in self._lost(name))
            for name in self.whole
        ]
        return "\n".join(
            [
                f"# What each layer of {self.run} bears: {self.what}",
                "",
                f"Made by `{command}`: {self.images:,} validation images of {self.dataset}, "
                f"accuracy {100 * self.accuracy:.2f} % unchanged, no fine-tuning.",
                "",
                *([f"![{self.what} scan]({svg.name})", ""] if svg else []),
                *self._comparison(),
                "",
                "Points of accuracy lost with one layer changed:",
                "",
                head,
                rule,
                *rows,
                "",
            ]
        )

    def svg(self) -> str:
        """The picture."""
        return chart.svg(
            self.what,
            self.points,
            self.accuracy,
            self.uniform.levels,
            self.proposed.levels,
            f"{self.run}: what each layer bears",
        )

    def _head(self, form: str) -> str:
        return "".join(form.format(f"{level:g}") for level in SCAN_KINDS[self.what].levels)

    def _lost(self, name: str) -> list[float]:
        own = [point for point in self.points if point.layer == name]
        return [100 * (self.accuracy - point.accuracy) for point in own]

    def _comparison(self) -> list[str]:
        return [
            f"- {label}: {choice.bytes:,.0f} coded bytes, {len(choice.levels)} layers, accuracy "
            f"{100 * choice.accuracy:.2f} %, divergence {choice.nats:.4f} nats"
            for label, choice in (
                (f"uniform {self.what} {self.uniform_level:g}", self.uniform),
                ("proposed", self.proposed),
            )
        ]


def report(
    model: tf_keras.Model,
    dataset: Dataset,
    wanted: ScanRequest,
    name: str,
    log: Log,
) -> SensitivityReport:
    """Scans a network on validation images and compares the two recipes.

    Raises:
        ZooError: a uniform level that is not on the scale, a target that can't be met.
    """
    what = SCAN_KINDS[wanted.what]
    level = what.levels[len(what.levels) // 2] if wanted.uniform is None else wanted.uniform
    if level not in what.levels:
        raise ZooError(
            "a level that is not scanned", where="--uniform", expected=what.levels, got=level
        )
    images = dataset.normalize(dataset.validation.images[: wanted.images])
    scan = Scan(model, images, dataset.validation.labels[: wanted.images])
    whole = scan.whole()
    log(f"scanning {len(whole)} layers of {name} on {len(images)} validation images")
    points = scan.points(what, log)
    uniform_points = {
        point.layer: point
        for point in points
        if point.level == level and point.layer in scan.uniform(what)
    }
    uniform_bytes = sum({**whole, **{n: p.bytes for n, p in uniform_points.items()}}.values())
    target = uniform_bytes if wanted.target is None else wanted.target
    proposal = propose(whole, points, target)
    return SensitivityReport(
        run=name,
        dataset=dataset.name,
        images=len(images),
        what=wanted.what,
        accuracy=scan.accuracy,
        whole=whole,
        points=points,
        uniform_level=level,
        uniform=_choice(scan, wanted.what, Proposal(uniform_points, uniform_bytes)),
        proposed=_choice(scan, wanted.what, proposal),
        values={layer: point.value for layer, point in proposal.points.items()},
    )


def _choice(scan: Scan, what: str, proposal: Proposal) -> LayerPlan:
    levels = {layer: point.level for layer, point in proposal.points.items()}
    accuracy, nats = scan.together(SCAN_KINDS[what], levels)
    return LayerPlan(levels, proposal.bytes, accuracy, nats)
