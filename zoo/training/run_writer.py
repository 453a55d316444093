"""Writes the results of a training or compression stage: `run.json` and a result line."""

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
    """Initial weights and teacher of a run, stored in `Run` and in its plan.

    Attributes:
        init_from: Source of the initial weights; None for random ones.
        init_sha256: Hash of their file.
        teacher_sha256: Hash of the teacher's file; None without a teacher.
    """

    init_from: str | None = None
    init_sha256: str | None = None
    teacher_sha256: str | None = None


@dataclass(frozen=True, eq=False)
class CompressionInfo:
    """Result of a compression stage.

    Attributes:
        parent: Run that was compressed.
        scheme: All schemes applied so far, in order, including this one.
        per_layer: Values that differ from the recipe's.
        low_rank: Ranks of the layers that were split, or None.
        start: File of the weights at the start of fine-tuning, if the run needs it.
        reached: Result in words, for the log.
    """

    parent: Run
    scheme: tuple[str, ...]
    per_layer: PerLayer
    low_rank: LowRank | None
    start: Path | None
    reached: str

    def fields(self) -> dict[str, Any]:
        """Returns the corresponding fields of `Run`."""
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
    """A finished training loop whose results have not been written yet.

    Attributes:
        stage: Stage that produced the run.
        name: Name of the run folder.
        config: Description from which the network is rebuilt.
        recipe: Recipe of the run.
        trained_on: Labels and statistics of the dataset.
        model: Network with the saved weights.
        outcome: Result of the loop.
        epochs: Epochs of this stage.
        origin: Initial weights and teacher.
        compressed: Result of the compression stage; None for training.
    """

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
        """Appends the result line, then writes `run.json`, which marks the run as complete.

        Args:
            output: The --output folder.
            provenance: Command and package versions for the result line.
            log: Called with a summary of the run.
        """
        folder = output / "runs" / self.name
        zeros = kernels.zeros(self.model)
        compressed = self.compressed
        run = Run(
            name=self.name,
            stage=self.stage,
            config=self.config,
            dataset=self.recipe.dataset,
            trained_on=self.trained_on,
            recipe=self.recipe,
            **(compressed.fields() if compressed else {}),
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
        reached = compressed.reached if compressed else ""
        log(
            f"{self.name}: validation accuracy {100 * run.validation_accuracy:.2f} % (epoch "
            f"{run.best_epoch}), {reached or f'{self.model.count_params():,} parameters'}, "
            f"{100 * zeros:.0f} % of the kernel weights are zero → {folder}"
        )
        return run
