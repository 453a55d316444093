"""Measures how long the runs of a study take on this computer, and keeps that in its folder."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

from pydantic import Field

from zoo.io.cpu import cpu_name
from zoo.io.files import write_text
from zoo.io.log import Log
from zoo.io.tf_import import set_environment
from zoo.runtime.child import Child
from zoo.schema.base import Strict
from zoo.schema.estimate import Estimate, EstimateRequest
from zoo.schema.json_files import read_model
from zoo.sweeps.study.plan import Study, StudyRun

_FILE = "estimates.json"
_TIMEOUT_S = 1200.0  # for a hang: a large network takes a minute to build and trace


class Estimates(Strict):
    """Content of the file.

    Attributes:
        cpu: The processor that was measured.
        speeds: Hash of a run's request → estimate.
    """

    cpu: str
    speeds: dict[str, Estimate] = Field(default_factory=dict)


def read(folder: Path) -> Estimates:
    """Returns what was measured on this computer; nothing if that was on another one.

    Raises:
        ZooError: if the file is damaged.
    """
    path = folder / _FILE
    if path.is_file():
        found = read_model(path, Estimates, "the estimates", "delete it")
        if found.cpu == cpu_name():
            return found
    return Estimates(cpu=cpu_name())


def of(run: StudyRun, study: Study, known: Estimates) -> Estimate | None:
    """Returns the estimate of a run, or None if it was not measured."""
    return known.speeds.get(_key(_request(run, study)))


def measure(study: Study, folder: Path, log: Log) -> Estimates:
    """Measures every network of the study that was not measured before.

    Args:
        study: The study.
        folder: Its folder.
        log: Called with a line per network.

    Raises:
        ZooError: if a network can't be trained.
    """
    known = read(folder)
    set_environment()  # the child imports TensorFlow
    module = "zoo.training.estimate"
    for run in study.runs:
        request = _request(run, study)
        if _key(request) in known.speeds:
            continue
        with Child(module, name="the measurement of the speed", timeout_s=_TIMEOUT_S) as child:
            estimate = child.ask(request, Estimate, run.name)
        log(
            f"{run.name}: {estimate.training_images_per_s:.0f} images per second in training, "
            f"{estimate.validation_images_per_s:.0f} in validation"
        )
        known = known.model_copy(update={"speeds": {**known.speeds, _key(request): estimate}})
        write_text(folder / _FILE, known.model_dump_json(indent=1) + "\n")
    return known


def _request(run: StudyRun, study: Study) -> EstimateRequest:
    """Returns the request; runs that differ only in their seed and length share one."""
    recipe = run.point.recipe.__class__(
        **{**vars(run.point.recipe), "seed": 1, "epochs": 1, "epoch_images": 0}
    )
    return EstimateRequest(
        recipe=recipe, arguments=dict(run.point.arguments), threads=study.file.threads
    )


def _key(request: EstimateRequest) -> str:
    text = json.dumps(request.model_dump(mode="json"), sort_keys=True)
    return sha256(text.encode()).hexdigest()[:16]
