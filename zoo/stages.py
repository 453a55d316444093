"""The training stages: from a recipe or a finished run to a new run folder and a result line."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tensorflow as tf
import tf_keras

from zoo import compress as compression
from zoo import data, runs, transfer
from zoo.catalog import build
from zoo.errors import ZooError
from zoo.files import append_record, atomic_path, sha256_of
from zoo.provenance import Provenance
from zoo.specs import Recipe
from zoo.steps import Schedule
from zoo.train import Outcome, fit
from zoo.types import ModelConfig, Run, TrainRecord

Say = Callable[[str], None]


def train(
    recipe: Recipe,
    output: Path,
    name: str,
    provenance: Provenance,
    say: Say,
    initial: transfer.Initial | None = None,
) -> Run:
    """Trains a network by the recipe, or goes on with the run of that name.

    Args:
        recipe: what is trained, on what and how.
        output: the run's folder is OUTPUT/runs/NAME.
        name: of the run.
        provenance: goes into the result line.
        say: gets the lines of progress.
        initial: weights to start from; None is the builder's random ones. A run that goes on
            takes its checkpoint's, and refuses other initial weights than it began with.

    Raises:
        ZooError: a wrong value, missing data, a folder with another run, initial weights that do
            not fit, a diverging loss.
    """
    folder = output / "runs" / name
    begun_with = _Origin() if initial is None else _Origin(initial.source, initial.sha256)
    if runs.begin(folder, {"stage": "train", **_plan(recipe), **dataclasses.asdict(begun_with)}):
        say(f"{name} is trained already ({folder})")
        return runs.load(folder)
    dataset = data.load(recipe.dataset, recipe.image_size, recipe.validation_images)
    config = ModelConfig(
        model=recipe.model,
        input_shape=dataset.train.images.shape[1:],
        classes=len(dataset.labels),
        width=recipe.width,
        batch_norm=recipe.batch_norm,
        dropout=recipe.dropout,
    )
    tf_keras.utils.set_random_seed(recipe.seed)
    model = build(config)
    if initial is not None and tf.train.latest_checkpoint(str(folder / "checkpoints")) is None:
        said = transfer.apply(model, recipe.model, initial, transfer.of_dataset(dataset))
        say("; ".join([f"starting from {initial.source}", *said]))
    say(
        f"training {name}: {model.count_params():,} parameters, {len(dataset.train)} training, "
        f"{len(dataset.validation)} validation images"
    )
    outcome = fit(
        model,
        dataset,
        _schedule(recipe, recipe.epochs, recipe.learning_rate),
        folder,
        say,
        interactive=sys.stdout.isatty(),
    )
    done = _Finished(
        "train", name, config, recipe, (), None, model, outcome, recipe.epochs, begun_with
    )
    return _finish(done, output, provenance, say)


def compress(
    recipe: Recipe,
    output: Path,
    parent: Run,
    scheme: str,
    name: str,
    provenance: Provenance,
    say: Say,
) -> Run:
    """Applies one scheme, `prune` or `qat`, to a finished run and fine-tunes.

    Raises:
        ZooError: a scheme that can't follow the parent's, and what `train` raises.
    """
    if "qat" in parent.scheme or scheme in parent.scheme:
        raise ZooError(
            f"{scheme} can't follow {'+'.join(parent.scheme)}",
            where=parent.name,
            expected="prune before qat, each once",
            remedy="start from an earlier run",
        )
    folder = output / "runs" / name
    plan = {"stage": scheme, "parent": parent.weights_sha256, **_plan(recipe)}
    if runs.begin(folder, plan):
        say(f"{name} is done already ({folder})")
        return runs.load(folder)
    dataset = data.load(recipe.dataset, recipe.image_size, recipe.validation_images)
    tf_keras.utils.set_random_seed(recipe.seed)
    dense = runs.keras_model(parent, output / "runs" / parent.name)
    tune, epochs = (_prune, recipe.prune_epochs) if scheme == "prune" else (_qat, recipe.qat_epochs)
    model, outcome = tune(_Start(dense, dataset, recipe, parent, folder, say))
    schemes = (*parent.scheme, scheme)
    done = _Finished(
        "compress", name, parent.config, recipe, schemes, parent, model, outcome, epochs
    )
    return _finish(done, output, provenance, say)


@dataclass(frozen=True)
class _Start:
    """What fine-tuning by a scheme begins with. `dense` has the parent's weights."""

    dense: tf_keras.Model
    dataset: data.Dataset
    recipe: Recipe
    parent: Run
    folder: Path
    say: Say


@dataclass(frozen=True)
class _Origin:
    """The initial weights that a run began with, as in `Run` and in its plan."""

    init_from: str | None = None
    init_sha256: str | None = None


@dataclass(frozen=True)
class _Finished:
    """A loop that has ended, before it is written down. `model` has the last epoch's weights."""

    stage: Literal["train", "compress"]
    name: str
    config: ModelConfig
    recipe: Recipe
    scheme: tuple[str, ...]
    parent: Run | None
    model: tf_keras.Model
    outcome: Outcome
    epochs: int
    origin: _Origin = _Origin()


def _prune(start: _Start) -> tuple[tf_keras.Model, Outcome]:
    recipe = start.recipe
    schedule = _schedule(recipe, recipe.prune_epochs, recipe.prune_learning_rate)
    per_epoch = schedule.steps_per_epoch(len(start.dataset.train))
    steps = per_epoch * schedule.epochs
    model = compression.for_pruning(start.dense, recipe.prune_sparsity, steps)
    start.say(f"pruning {start.parent.name} to {100 * recipe.prune_sparsity:.0f} % zeros")
    outcome = fit(
        model,
        start.dataset,
        schedule,
        start.folder,
        start.say,
        interactive=sys.stdout.isatty(),
        callbacks=[compression.pruning_callback()],
        eligible=lambda epoch: epoch * per_epoch > compression.reached_at(steps),
    )
    runs.load_weights(model, outcome.weights)
    plain = compression.strip_pruning(model)
    with atomic_path(start.folder / "stripped.h5") as temporary:
        plain.save_weights(temporary)
    return plain, dataclasses.replace(outcome, weights=start.folder / "stripped.h5")


def _qat(start: _Start) -> tuple[tf_keras.Model, Outcome]:
    recipe = start.recipe
    schedule = _schedule(recipe, recipe.qat_epochs, recipe.qat_learning_rate)
    keep = "prune" in start.parent.scheme
    model = compression.for_qat(start.dense, preserve_sparsity=keep)
    start.say(f"quantisation-aware training of {start.parent.name}")
    return model, fit(
        model,
        start.dataset,
        schedule,
        start.folder,
        start.say,
        interactive=sys.stdout.isatty(),
    )


def _finish(done: _Finished, output: Path, provenance: Provenance, say: Say) -> Run:
    folder = output / "runs" / done.name
    runs.load_weights(done.model, done.outcome.weights)
    zeros = compression.zeros(done.model)
    run = Run(
        name=done.name,
        stage=done.stage,
        config=done.config,
        dataset=done.recipe.dataset,
        recipe=done.recipe,
        scheme=done.scheme,
        parent=done.parent.name if done.parent else None,
        parent_sha256=done.parent.weights_sha256 if done.parent else None,
        **dataclasses.asdict(done.origin),
        weights=done.outcome.weights.name,
        weights_sha256=sha256_of(done.outcome.weights),
        validation_accuracy=done.outcome.validation_accuracy,
        best_epoch=done.outcome.best_epoch,
        versions=provenance.versions,
    )
    append_record(
        output / "results.jsonl",
        TrainRecord(
            **provenance.fields(),
            kind=done.stage,
            model=done.name,
            model_sha256=run.weights_sha256,
            dataset=run.dataset,
            scheme=run.scheme,
            validation_accuracy=run.validation_accuracy,
            epochs=done.epochs,
            seconds=done.outcome.seconds,
            zeros=zeros,
        ),
    )
    runs.save(folder, run)
    say(
        f"{done.name}: validation accuracy {100 * run.validation_accuracy:.2f} % (epoch "
        f"{run.best_epoch}), {100 * zeros:.0f} % of the kernels' weights are zero → {folder}"
    )
    return run


def _schedule(recipe: Recipe, epochs: int, learning_rate: float) -> Schedule:
    return Schedule(
        epochs=epochs,
        epoch_images=recipe.epoch_images,
        batch_size=recipe.batch_size,
        learning_rate=learning_rate,
        warmup=recipe.warmup,
        weight_decay=recipe.weight_decay,
        flip=recipe.flip,
        seed=recipe.seed,
    )


def _plan(recipe: Recipe) -> dict[str, object]:
    return dataclasses.asdict(recipe)
