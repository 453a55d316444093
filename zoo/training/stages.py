"""Training and compression stages, which write a run folder and a result line."""

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
    """Trains a network, or resumes the run with that name.

    Args:
        recipe: Network, dataset and training settings.
        output: The --output folder; the run is written to OUTPUT/runs/NAME.
        name: Name of the run folder.
        provenance: Command and package versions for the result line.
        log: Called with each progress message.
        initial: Weights to start from, or None for random ones. A resumed run continues from its
            checkpoint and must be given the same initial weights.
        arguments: Arguments of the network's builder that override those of the catalog.
        distribution: Devices and workers to train on.

    Returns:
        The finished run, or None on a worker that is not the chief.

    Raises:
        ZooError: if a setting is invalid, data is missing, the folder contains a different run, the
            initial weights do not fit, or the loss diverges.
    """
    folder = output / "runs" / name
    dataset = data.of(recipe, log)
    teacher = teachers.load(recipe, dataset, output, name) if recipe.teacher else None
    origin = InitialWeightsInfo(
        init_from=initial.source if initial else None,
        init_sha256=initial.sha256 if initial else None,
        teacher_sha256=teacher.sha256 if teacher else None,
    )
    plan = {"stage": "train", **_plan(recipe, dataset), **dataclasses.asdict(origin)}
    if arguments:
        plan["arguments"] = arguments
    if runs.begin(folder, plan):
        log(f"{name} is already trained ({folder})")
        return runs.load(folder)
    config = model_config(recipe, dataset, arguments or {})
    tf_keras.utils.set_random_seed(recipe.seed)
    with runs.beginning(folder), distribution.together():
        with distribution.scope():
            model = build(config)
        if initial is not None and tf.train.latest_checkpoint(str(folder / "checkpoints")) is None:
            notes = transfer.apply(model, recipe.model, initial, transfer.of_dataset(dataset))
            log("; ".join([f"starting from {initial.source}", *notes]))
        if recipe.shift_rate:
            shift_callbacks.set_rate(model, recipe.shift_rate)
        if recipe.freeze:
            transfer.freeze(model)
        teaching = None
        if teacher is not None:
            with distribution.scope():
                teaching = Distiller(teacher.network(), recipe)
        log(
            f"training {name}: {model.count_params():,} parameters, {len(dataset.train)} training "
            f"images, {len(dataset.validation)} validation images"
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
        origin,
    ).write(output, provenance, log)


def model_config(
    recipe: Recipe, dataset: data.Dataset, arguments: dict[str, Argument]
) -> ModelConfig:
    """Returns the configuration of the network that a recipe trains on a dataset.

    Args:
        recipe: Name of the network and its settings.
        dataset: Determines the input shape and the number of classes.
        arguments: Arguments of the network's builder that override those of the catalog.
    """
    return ModelConfig(
        model=recipe.model,
        input_shape=dataset.train.images.shape[1:],
        classes=len(dataset.labels),
        width=recipe.width,
        batch_norm=recipe.batch_norm,
        dropout=recipe.dropout,
        arguments=arguments,
    )


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
    """Compresses a finished run with one scheme and fine-tunes it, or resumes the run of that name.

    Args:
        recipe: Strength of the scheme and length of the fine-tuning.
        output: The --output folder, with the parent in OUTPUT/runs; the new run is written there.
        parent: Run to compress.
        scheme: One of `zoo.compression.schemes.SCHEMES` that can follow the parent's schemes.
        per_layer: Values that differ from the recipe's.
        name: Name of the new run folder.
        provenance: Command and package versions for the result line.
        log: Called with each progress message.

    Returns:
        The finished run.

    Raises:
        ZooError: if the target of the scheme can't be reached, or as for `train`.
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
        log(f"{name} is already finished ({folder})")
        return runs.load(folder)
    with runs.beginning(folder):
        tf_keras.utils.set_random_seed(recipe.seed)
        # No moving average: it would mix zeros and cluster centers with earlier weights.
        schedule = TrainingPlan.of(
            recipe,
            epochs=getattr(recipe, f"{scheme}_epochs"),
            learning_rate=getattr(recipe, f"{scheme}_learning_rate"),
            ema=0.0,
        )
        per_epoch = schedule.steps_per_epoch(len(dataset.train))
        tuning = _scheme_begin(scheme)(
            SchemeInput(
                model=runs.keras_model(parent, output / "runs" / parent.name),
                scheme=parent.scheme,
                recipe=recipe,
                per_layer=per_layer,
                steps=per_epoch * schedule.epochs,
                per_epoch=per_epoch,
            )
        )
        start_file = None
        if tuning.start is not None:
            start_file = folder / "start.h5"
            runs.save_weights(tuning.start, start_file)
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
        start=start_file,
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
    """Loads the best epoch's weights and removes the wrappers of the scheme.

    Returns:
        The network to store and the outcome with the file of its weights.
    """
    runs.load_weights(tuning.model, outcome.weights)
    if tuning.strip is None:
        return tuning.model, outcome
    plain = tuning.strip(tuning.model)
    weights = outcome.weights.with_name("stripped.h5")
    runs.save_weights(plain, weights)
    return plain, dataclasses.replace(outcome, weights=weights)


def _scheme_begin(scheme: str) -> Callable[[SchemeInput], FineTuning]:
    """Returns a scheme's `begin`. The late import spares plain training a second for tfmot."""
    begin: Callable[[SchemeInput], FineTuning] = import_module(f"zoo.compression.{scheme}").begin
    return begin


def _plan(recipe: Recipe, dataset: data.Dataset) -> dict[str, object]:
    """Returns the settings that must not change between interruptions of a run."""
    digest = {"data_sha256": dataset.digest} if dataset.digest else {}
    return {**dataclasses.asdict(recipe), **digest}
