"""How a training or compression stage ends: the run's folder and the result line."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import tf_keras

from zoo import runs
from zoo.compression import kernels
from zoo.io.files import sha256_of
from zoo.io.log import Log
from zoo.io.provenance import Provenance
from zoo.schema.json_files import append_record
from zoo.schema.measurement import TrainRecord
from zoo.schema.recipe import Recipe
from zoo.schema.run import LowRank, ModelConfig, PerLayer, Run, TrainedOn
from zoo.training.loop import TrainingOutcome


@dataclass(frozen=True)
class InitialWeightsInfo:
    """What a run began with and learned from, as in `Run` and in its plan."""

    init_from: str | None = None
    init_sha256: str | None = None
    teacher_sha256: str | None = None


@dataclass(frozen=True, eq=False)
class CompressionInfo:
    """What a compression stage adds to a run; `reached` is in words."""

    parent: Run
    scheme: tuple[str, ...]
    per_layer: PerLayer
    low_rank: LowRank | None
    start: Path | None
    reached: str

    def fields(self) -> dict[str, Any]:
        """The fields of `Run` that tell it."""
        return {
            "scheme": self.scheme,
            "per_layer": self.per_layer,
            "low_rank": self.low_rank,
            "start": self.start.name if self.start else None,
            "start_sha256": sha256_of(self.start) if self.start else None,
            "parent": self.parent.name,
            "parent_sha256": self.parent.weights_sha256,
        }


@dataclass(frozen=True, eq=False)
class FinishedRun:
    """A loop that has ended, before it is written down. `model` has the weights that are stored."""

    stage: Literal["train", "compress"]
    name: str
    config: ModelConfig
    recipe: Recipe
    trained_on: TrainedOn
    model: tf_keras.Model
    outcome: TrainingOutcome
    epochs: int
    origin: InitialWeightsInfo = InitialWeightsInfo()
    compressed: CompressionInfo | None = None

    def write(self, output: Path, provenance: Provenance, log: Log) -> Run:
        """Leaves the result line, then `run.json`, which marks the run as whole."""
        folder = output / "runs" / self.name
        zeros = kernels.zeros(self.model)
        made = self.compressed
        run = Run(
            name=self.name,
            stage=self.stage,
            config=self.config,
            dataset=self.recipe.dataset,
            trained_on=self.trained_on,
            recipe=self.recipe,
            **(made.fields() if made else {}),
            **dataclasses.asdict(self.origin),
            weights=self.outcome.weights.name,
            weights_sha256=sha256_of(self.outcome.weights),
            validation_accuracy=self.outcome.validation_accuracy,
            best_epoch=self.outcome.best_epoch,
            versions=provenance.versions,
        )
        append_record(
            output / "results.jsonl",
            TrainRecord(
                **provenance.fields(),
                kind=self.stage,
                model=self.name,
                model_sha256=run.weights_sha256,
                dataset=run.dataset,
                scheme=run.scheme,
                validation_accuracy=run.validation_accuracy,
                epochs=self.epochs,
                seconds=self.outcome.seconds,
                zeros=zeros,
            ),
        )
        runs.save(folder, run)
        reached = made.reached if made else ""
        log(
            f"{self.name}: validation accuracy {100 * run.validation_accuracy:.2f} % (epoch "
            f"{run.best_epoch}), {reached or f'{self.model.count_params():,} parameters'}, "
            f"{100 * zeros:.0f} % of the kernels' weights are zero → {folder}"
        )
        return run
