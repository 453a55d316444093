"""Runs a sweep by Ray Tune: a grid as it is, ranges by Optuna's search. No TensorFlow.

Which points are done is told by their run folders alone, so that a sweep goes on after anything.
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
    """Trains what is not trained yet.

    Args:
        job: the sweep, and where its files are.
        cluster: where trials run.
        trials: points of a search; a grid has its own number.
        log: gets the lines of progress.

    Returns:
        Every point, each once, with the reason where it failed and else an empty text.

    Raises:
        ZooError: Ray does not start, the folder holds another search.
    """
    samples = Samples(job.folder, job.sweep) if job.sweep.searched else None
    known = samples.known if samples else job.sweep.grid()
    left = [values for values in known if _accuracy(values, job) is None]
    wanted = (max(0, trials - len(known)) if samples else 0) + len(left)
    done = len(known) - len(left)
    if done:
        log(f"{done} points are trained already")
    reasons: dict[str, str] = {}
    if wanted:
        key = hashlib.sha256(str(job.folder).encode()).hexdigest()[:12]
        with connected(cluster, key):
            reasons = _fit(job, cluster, left, samples, wanted, log)
    points = {point.name: point for point in map(job.sweep.point, known)}
    return [(point, reasons.get(name, "")) for name, point in points.items()]


def _fit(
    job: Job,
    cluster: RayCluster,
    left: list[SampledValues],
    samples: Samples | None,
    wanted: int,
    log: Log,
) -> dict[str, str]:
    from ray import tune

    def trial(config: dict[str, Any]) -> dict[str, float]:
        return train(config.get("values", config), job)

    progress = _progress(job, left, samples, wanted, log)
    kept = job.folder / "tune"  # Tune's own notes, of which nothing is needed afterwards
    shutil.rmtree(kept, ignore_errors=True)
    tuner = tune.Tuner(
        tune.with_resources(trial, {"cpu": 1, "gpu": cluster.gpus}),
        param_space=None if samples else {"values": tune.grid_search(left)},
        tune_config=tune.TuneConfig(
            metric=METRIC,
            mode="max",
            search_alg=_searcher(job, samples, left) if samples else None,
            num_samples=wanted if samples else 1,
            max_concurrent_trials=cluster.jobs,
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(
            name="sweep", storage_path=str(kept), verbose=0, callbacks=[progress]
        ),
    )
    try:
        tuner.fit()
    finally:
        shutil.rmtree(kept, ignore_errors=True)
    reasons: dict[str, str] = progress.reasons
    return reasons


def _accuracy(values: SampledValues, job: Job) -> float | None:
    found = job.sweep.point(values).finished(job.output)
    return None if found is None else found.validation_accuracy


def _reason(error: Any) -> str:
    return one_line(getattr(error, "cause", None) or error, 300)


def _searcher(job: Job, samples: Samples, left: list[SampledValues]) -> Any:
    """Optuna's search, which is told what is known and begins with what was interrupted."""
    import optuna
    from ray.tune.search.optuna import OptunaSearch

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    space = {axis.name: _distribution(axis) for axis in job.sweep.axes}
    searcher = OptunaSearch(
        space=space,
        metric=METRIC,
        mode="max",
        points_to_evaluate=left or None,
        # Another seed each time that it goes on, or it would draw what it drew at first.
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
    job: Job, left: list[SampledValues], samples: Samples | None, wanted: int, log: Log
) -> Any:
    """Notes what is drawn, says what is done."""
    from ray import cloudpickle
    from ray.tune import Callback

    class Progress(Callback):
        def __init__(self) -> None:
            self.reasons: dict[str, str] = {}
            self._ended = 0
            self._again = Counter(job.sweep.point(values).name for values in left)
            self._noted: set[str] = set()

        def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **_: Any) -> None:
            point = self._note(trial)
            log(f"training {point.name}, log: {job.log(point)}")

        def on_trial_complete(
            self, iteration: int, trials: list[Any], trial: Any, **_: Any
        ) -> None:
            accuracy = trial.last_result[METRIC]
            self._say(trial, f"validation accuracy {100 * accuracy:.2f} %")

        def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **_: Any) -> None:
            # Not `get_error`, which looks where Tune copies the file later.
            pickled = Path(trial.pickled_error_file)
            reason = _reason(cloudpickle.loads(pickled.read_bytes()))
            self.reasons[self._note(trial).name] = reason
            self._say(trial, f"failed: {reason}")

        def _note(self, trial: Any) -> SweepPoint:
            """Of a trial that fails before it starts too, so that it is a row."""
            values = dict(trial.config.get("values", trial.config))
            point = job.sweep.point(values)
            if trial.trial_id not in self._noted:
                self._noted.add(trial.trial_id)
                if self._again[point.name]:
                    self._again[point.name] -= 1
                elif samples:
                    samples.add(values)
            return point

        def _say(self, trial: Any, what: str) -> None:
            self._ended += 1
            log(f"{self._ended}/{wanted} {self._note(trial).name}: {what}")

    return Progress()
