"""Measures how fast a network trains and validates, `python -m zoo.training.estimate`.

`zoo.sweeps.study.estimates` asks with the protocol of `zoo.runtime.child`.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import tensorflow as tf

from zoo import data
from zoo.catalog import build
from zoo.runtime.child import serve
from zoo.schema.estimate import Estimate, EstimateRequest
from zoo.training import loop, stages
from zoo.training.baselines import Fitter
from zoo.training.schedule import TrainingPlan

_BATCH = 500  # of validation


def estimate(request: EstimateRequest) -> Estimate:
    """Trains and validates for some seconds each. The weights are thrown away.

    Raises:
        ZooError: if a setting is invalid or the data is missing.
    """
    recipe = request.recipe
    dataset = data.of(recipe)
    schedule = TrainingPlan.of(recipe)
    model = build(stages.model_config(recipe, dataset, request.arguments))
    fitter = Fitter(Fitter.compiled(model, dataset, schedule), dataset, schedule, ours=True)
    infer = loop.inference(model)
    images = dataset.normalize(dataset.validation.images[:_BATCH])
    infer(images)  # traces the graph

    def validate(batches: int) -> float:
        start = time.perf_counter()
        for _ in range(batches):
            infer(images).numpy()
        return time.perf_counter() - start

    return Estimate(
        train_images=len(dataset.train),
        validation_images=len(dataset.validation),
        training_images_per_s=schedule.batch_size
        / _seconds_each(lambda steps: fitter.seconds(steps)[0], request.seconds),
        validation_images_per_s=len(images) / _seconds_each(validate, request.seconds),
    )


def _seconds_each(measure: Callable[[int], float], at_least_s: float) -> float:
    """Returns the seconds per repetition, of as many as take the given time."""
    count = 2
    while (taken := measure(count)) < at_least_s:
        count = max(count + 1, min(4 * count, round(1.2 * count * at_least_s / max(taken, 1e-6))))
    return taken / count


def _answer(line: bytes) -> Estimate:
    request = EstimateRequest.model_validate_json(line)
    tf.config.threading.set_intra_op_parallelism_threads(request.threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    return estimate(request)


if __name__ == "__main__":
    serve(_answer)
