"""Which of the workers that train together this process is, as TF_CONFIG says. No TensorFlow."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass

from zoo.errors import ZooError, one_line


@dataclass(frozen=True)
class WorkerAddress:
    """A worker's place among all.

    Attributes:
        worker: which it is, from 0.
        addresses: HOST:PORT of each; a `chief` comes before the workers.
    """

    worker: int
    addresses: tuple[str, ...]


def place() -> WorkerAddress:
    """What TF_CONFIG says.

    Raises:
        ZooError: it says nothing, or nonsense.
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
        "which worker is this?",
        where="TF_CONFIG",
        expected='{"cluster": {"worker": ["HOST:PORT", "HOST:PORT"]}, '
        '"task": {"type": "worker", "index": 0}}',
        got=one_line(text, 200) or "nothing",
        remedy="start the command once a worker, each with its index",
    )
