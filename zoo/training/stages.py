"""The training stages: from a recipe or a finished run to a new run folder and a result line."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import tensorflow as tf
import tf_keras

from zoo import data, runs
from zoo.catalog import build
from zoo.catalog.arguments import Argument
from zoo.compression.interface import FineTuning, SchemeInput
from zoo.io.log import Log
from zoo.io.provenance import Provenance
from zoo.pretrained import transfer
from zoo.schema.recipe import Recipe
from zoo.schema.run import ModelConfig, PerLayer, Run
from zoo.training import shift_callbacks
from zoo.training import teacher as teachers
from zoo.training.distillation import Distiller
from zoo.training.distributed import ALONE, Distribution
from zoo.training.loop import TrainingOutcome, fit
from zoo.training.run_writer import CompressionInfo, FinishedRun, InitialWeightsInfo
from zoo.training.schedule import TrainingPlan


def train(
    recipe: Recipe,
    output: Path,
    name: str,
    provenance: Provenance,
    log: Log,
    initial: transfer.Initial | None = None,
    arguments: dict[str, Argument] | None = None,
    distribution: Distribution = ALONE,
) -> Run | None:
    """Trains a network by the recipe, or goes on with the run of that name.

    Args:
        recipe: what is trained, on what and how.
        output: the run's folder is OUTPUT/runs/NAME.
        name: of the run.
        provenance: goes into the result line.
        log: gets the lines of progress.
        initial: weights to start from; None is the builder's random ones. A run that goes on
            takes its checkpoint's, and refuses other initial weights than it began with.
        arguments: of the network's builder, instead of its row's.
        distribution: over which devices and machines.

    Returns:
        The run; None to a worker that is not the chief, who writes it.

    Raises:
        ZooError: a wrong value, missing data, a folder with another run, initial weights that do
            not fit, a diverging loss.
    """
    folder = output / "runs" / name
    dataset = data.of(recipe, log)
    teacher = teachers.load(recipe, dataset, output, name) if recipe.teacher else None
    begun_with = InitialWeightsInfo(
        init_from=initial.source if initial else None,
        init_sha256=initial.sha256 if initial else None,
        teacher_sha256=teacher.sha256 if teacher else None,
    )
    plan = {"stage": "train", **_plan(recipe, dataset), **dataclasses.asdict(begun_with)}
    if arguments:
        plan["arguments"] = arguments
    if runs.begin(folder, plan):
        log(f"{name} is trained already ({folder})")
        return runs.load(folder)
    config = ModelConfig(
        model=recipe.model,
        input_shape=dataset.train.images.shape[1:],
        classes=len(dataset.labels),
        width=recipe.width,
        batch_norm=recipe.batch_norm,
        dropout=recipe.dropout,
        arguments=arguments or {},
    )
    tf_keras.utils.set_random_seed(recipe.seed)
    with runs.beginning(folder), distribution.together():
        with distribution.scope():
            model = build(config)
        if initial is not None and tf.train.latest_checkpoint(str(folder / "checkpoints")) is None:
            said = transfer.apply(model, recipe.model, initial, transfer.of_dataset(dataset))
            log("; ".join([f"starting from {initial.source}", *said]))
        if recipe.shift_rate:
            shift_callbacks.set_rate(model, recipe.shift_rate)
        if recipe.freeze:
            transfer.freeze(model)
        teaching = None
        if teacher is not None:
            with distribution.scope():
                teaching = Distiller(teacher.network(), recipe)
        log(
            f"training {name}: {model.count_params():,} parameters, {len(dataset.train)} training, "
            f"{len(dataset.validation)} validation images"
        )
        outcome = fit(
            model,
            dataset,
            TrainingPlan.of(recipe),
            folder,
            log,
            interactive=sys.stdout.isatty(),
            teaching=teaching,
            distribution=distribution,
        )
    if not distribution.chief:
        return None
    return FinishedRun(
        "train",
        name,
        config,
        recipe,
        dataset.trained_on(),
        model,
        outcome,
        recipe.epochs,
        begun_with,
    ).write(output, provenance, log)


def compress(
    recipe: Recipe,
    output: Path,
    parent: Run,
    scheme: str,
    per_layer: PerLayer,
    name: str,
    provenance: Provenance,
    log: Log,
) -> Run:
    """Applies one scheme to a finished run and fine-tunes, or goes on with the run of that name.

    Args:
        recipe: how strong the scheme is, and how long it is fine-tuned.
        output: the parent is in OUTPUT/runs/ and so will the new run be.
        parent: the run to start from.
        scheme: of `zoo.compression.schemes.SCHEMES`, one that can follow the parent's.
        per_layer: values that differ from the recipe's.
        name: of the new run.
        provenance: goes into the result line.
        log: gets the lines of progress.

    Raises:
        ZooError: a goal that can't be, and what `train` raises.
    """
    folder = output / "runs" / name
    dataset = data.of_run(parent, log)
    plan = {
        "stage": scheme,
        "parent": parent.weights_sha256,
        **_plan(recipe, dataset),
        "per_layer": per_layer.model_dump(),
    }
    if runs.begin(folder, plan):
        log(f"{name} is done already ({folder})")
        return runs.load(folder)
    with runs.beginning(folder):
        tf_keras.utils.set_random_seed(recipe.seed)
        # No average: zeros and clusters would be averaged with what they were before.
        schedule = TrainingPlan.of(
            recipe,
            epochs=getattr(recipe, f"{scheme}_epochs"),
            learning_rate=getattr(recipe, f"{scheme}_learning_rate"),
            ema=0.0,
        )
        per_epoch = schedule.steps_per_epoch(len(dataset.train))
        tuning = _begin(scheme)(
            SchemeInput(
                model=runs.keras_model(parent, output / "runs" / parent.name),
                scheme=parent.scheme,
                recipe=recipe,
                per_layer=per_layer,
                steps=per_epoch * schedule.epochs,
                per_epoch=per_epoch,
            )
        )
        begun_from = None
        if tuning.start is not None:
            begun_from = folder / "start.h5"
            runs.save_weights(tuning.start, begun_from)
        for line in tuning.begun:
            log(f"{parent.name}: {line}")
        outcome = fit(
            tuning.model,
            dataset,
            schedule,
            folder,
            log,
            interactive=sys.stdout.isatty(),
            callbacks=tuning.callbacks,
            eligible=tuning.eligible,
        )
    model, outcome = _stripped(tuning, outcome)
    compressed = CompressionInfo(
        parent=parent,
        scheme=(*parent.scheme, scheme),
        per_layer=per_layer,
        low_rank=tuning.low_rank or parent.low_rank,
        start=begun_from,
        reached=tuning.reached(model),
    )
    return FinishedRun(
        "compress",
        name,
        parent.config,
        recipe,
        dataset.trained_on(),
        model,
        outcome,
        schedule.epochs,
        compressed=compressed,
    ).write(output, provenance, log)


def _stripped(
    tuning: FineTuning, outcome: TrainingOutcome
) -> tuple[tf_keras.Model, TrainingOutcome]:
    """The network with the best epoch's weights as it is stored, and where they are."""
    runs.load_weights(tuning.model, outcome.weights)
    if tuning.strip is None:
        return tuning.model, outcome
    plain = tuning.strip(tuning.model)
    weights = outcome.weights.with_name("stripped.h5")
    runs.save_weights(plain, weights)
    return plain, dataclasses.replace(outcome, weights=weights)


def _begin(scheme: str) -> Callable[[SchemeInput], FineTuning]:
    """The scheme's. Imported late: tfmot takes a second, and training has no use for it."""
    begin: Callable[[SchemeInput], FineTuning] = import_module(f"zoo.compression.{scheme}").begin
    return begin


def _plan(recipe: Recipe, dataset: data.Dataset) -> dict[str, object]:
    """What a run that goes on must have in common with itself."""
    digest = {"data_sha256": dataset.digest} if dataset.digest else {}
    return {**dataclasses.asdict(recipe), **digest}
