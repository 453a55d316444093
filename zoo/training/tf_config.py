"""Reads this process's place among the workers from TF_CONFIG. Does not import TensorFlow."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass

from zoo.errors import ZooError, one_line


@dataclass(frozen=True)
class WorkerAddress:
    """A worker's place among all workers.

    Attributes:
        worker: Index of this worker, counted from 0.
        addresses: HOST:PORT of every worker; a `chief` comes first.
    """

    worker: int
    addresses: tuple[str, ...]


def place() -> WorkerAddress:
    """Reads TF_CONFIG.

    Raises:
        ZooError: if TF_CONFIG is missing, not valid JSON, or does not list this worker.
    """
    text = os.environ.get("TF_CONFIG", "")
    try:
        config = json.loads(text)
        kind, number = config["task"]["type"], int(config["task"]["index"])
        members = {
            (job, index): str(address)
            for job in ("chief", "worker")
            for index, address in enumerate(config["cluster"].get(job, ()))
        }
        if (kind, number) in members:
            return WorkerAddress(list(members).index((kind, number)), tuple(members.values()))
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    raise ZooError(
        "TF_CONFIG is missing or invalid",
        where="TF_CONFIG",
        expected='{"cluster": {"worker": ["HOST:PORT", "HOST:PORT"]}, '
        '"task": {"type": "worker", "index": 0}}',
        got=one_line(text, 200) or "nothing",
        remedy="start the command once per worker, each with its own index",
    )
