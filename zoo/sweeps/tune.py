"""Runs a sweep with Ray Tune: grids exhaustively, ranges with Optuna. Does not import TensorFlow.

The run folders alone determine which points are done, so a sweep can be resumed after any failure.
"""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

from zoo.errors import one_line
from zoo.io.log import Log
from zoo.sweeps.ray_cluster import RayCluster, connected
from zoo.sweeps.samples import SampledValues, Samples
from zoo.sweeps.sweep import SweepAxis, SweepPoint
from zoo.sweeps.trial import METRIC, Job, train


def run(job: Job, cluster: RayCluster, trials: int, log: Log) -> list[tuple[SweepPoint, str]]:
    """Trains the points that are not trained yet.

    Args:
        job: Sweep and its folders.
        cluster: Where trials run.
        trials: Number of points of a search; not used for a grid.
        log: Called with each progress message.

    Returns:
        All points without duplicates, each with its reason for failing or an empty string.

    Raises:
        ZooError: if Ray fails to start or the folder contains a different search.
    """
    samples = Samples(job.folder, job.sweep) if job.sweep.searched else None
    known = samples.known if samples else job.sweep.grid()
    remaining = [values for values in known if _accuracy(values, job) is None]
    trial_count = (max(0, trials - len(known)) if samples else 0) + len(remaining)
    done = len(known) - len(remaining)
    if done:
        log(f"{done} of {len(known)} points are already trained")
    reasons: dict[str, str] = {}
    if trial_count:
        key = hashlib.sha256(str(job.folder).encode()).hexdigest()[:12]
        with connected(cluster, key):
            reasons = _fit(job, cluster, remaining, samples, trial_count, log)
    points = {point.name: point for point in map(job.sweep.point, known)}
    return [(point, reasons.get(name, "")) for name, point in points.items()]


def _fit(
    job: Job,
    cluster: RayCluster,
    remaining: list[SampledValues],
    samples: Samples | None,
    trial_count: int,
    log: Log,
) -> dict[str, str]:
    """Runs the trials and returns the reasons of failed points by name."""
    from ray import tune

    def trial(config: dict[str, Any]) -> dict[str, float]:
        return train(config.get("values", config), job)

    progress = _progress(job, remaining, samples, trial_count, log)
    tune_folder = job.folder / "tune"  # Tune's own state, which is not needed afterwards
    shutil.rmtree(tune_folder, ignore_errors=True)
    tuner = tune.Tuner(
        tune.with_resources(trial, {"cpu": 1, "gpu": cluster.gpus}),
        param_space=None if samples else {"values": tune.grid_search(remaining)},
        tune_config=tune.TuneConfig(
            metric=METRIC,
            mode="max",
            search_alg=_searcher(job, samples, remaining) if samples else None,
            num_samples=trial_count if samples else 1,
            max_concurrent_trials=cluster.jobs,
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(
            name="sweep", storage_path=str(tune_folder), verbose=0, callbacks=[progress]
        ),
    )
    try:
        tuner.fit()
    finally:
        shutil.rmtree(tune_folder, ignore_errors=True)
    reasons: dict[str, str] = progress.reasons
    return reasons


def _accuracy(values: SampledValues, job: Job) -> float | None:
    finished = job.sweep.point(values).finished(job.output)
    return None if finished is None else finished.validation_accuracy


def _reason(error: Any) -> str:
    return one_line(getattr(error, "cause", None) or error, 300)


def _searcher(job: Job, samples: Samples, remaining: list[SampledValues]) -> Any:
    """Creates an Optuna search that knows the finished points and starts with interrupted ones."""
    import optuna
    from ray.tune.search.optuna import OptunaSearch

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    space = {axis.name: _distribution(axis) for axis in job.sweep.axes}
    searcher = OptunaSearch(
        space=space,
        metric=METRIC,
        mode="max",
        points_to_evaluate=remaining or None,
        # A resumed search needs a different seed, or it would draw the same values again.
        seed=job.sweep.recipe.seed + len(samples.known),
    )
    for values in samples.known:
        accuracy = _accuracy(values, job)
        if accuracy is not None:
            searcher.add_evaluated_point(values, accuracy)
    return searcher


def _distribution(axis: SweepAxis) -> Any:
    from optuna import distributions

    if axis.values:
        return distributions.CategoricalDistribution(axis.values)
    if axis.kind is int:
        return distributions.IntDistribution(int(axis.low), int(axis.high), log=axis.log)
    return distributions.FloatDistribution(axis.low, axis.high, log=axis.log)


def _progress(
    job: Job,
    remaining: list[SampledValues],
    samples: Samples | None,
    trial_count: int,
    log: Log,
) -> Any:
    """Creates a Tune callback that stores drawn values and logs finished trials."""
    from ray import cloudpickle
    from ray.tune import Callback

    class Progress(Callback):
        def __init__(self) -> None:
            self.reasons: dict[str, str] = {}
            self._finished = 0
            self._repeated = Counter(job.sweep.point(values).name for values in remaining)
            self._recorded: set[str] = set()

        def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **_: Any) -> None:
            point = self._record(trial)
            log(f"training {point.name}, log: {job.log(point)}")

        def on_trial_complete(
            self, iteration: int, trials: list[Any], trial: Any, **_: Any
        ) -> None:
            accuracy = trial.last_result[METRIC]
            self._log_result(trial, f"validation accuracy {100 * accuracy:.2f} %")

        def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **_: Any) -> None:
            # `get_error` reads the path to which Tune copies the file only later.
            pickled = Path(trial.pickled_error_file)
            reason = _reason(cloudpickle.loads(pickled.read_bytes()))
            self.reasons[self._record(trial).name] = reason
            self._log_result(trial, f"failed: {reason}")

        def _record(self, trial: Any) -> SweepPoint:
            """Stores the values of a trial once and returns its point.

            Also called when a trial ends, since a trial may fail before it starts.
            """
            values = dict(trial.config.get("values", trial.config))
            point = job.sweep.point(values)
            if trial.trial_id not in self._recorded:
                self._recorded.add(trial.trial_id)
                if self._repeated[point.name]:
                    self._repeated[point.name] -= 1
                elif samples:
                    samples.add(values)
            return point

        def _log_result(self, trial: Any, result: str) -> None:
            self._finished += 1
            log(f"{self._finished}/{trial_count} {self._record(trial).name}: {result}")

    return Progress()
