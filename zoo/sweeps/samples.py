"""What Optuna drew so far in a sweep's folder, so that the search goes on. No TensorFlow."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from zoo.catalog.arguments import Argument
from zoo.errors import ZooError
from zoo.io.files import read_bytes, write_text
from zoo.sweeps.sweep import Sweep

SampledValues = dict[str, Argument]


class Samples:
    """The drawn values, in order; a line is written before its training starts.

    Args:
        folder: of the sweep.
        sweep: that draws.

    Raises:
        ZooError: the folder holds the samples of another search.
    """

    def __init__(self, folder: Path, sweep: Sweep):
        self._path = folder / "samples.jsonl"
        plan = folder / "search.json"
        wanted: dict[str, object] = {
            "recipe": dataclasses.asdict(sweep.recipe),
            "axes": [axis.as_json() for axis in sweep.axes],
            "fixed": dict(sweep.fixed),
        }
        if sweep.start.init_sha256:
            wanted["init_sha256"] = sweep.start.init_sha256
        text = json.dumps(wanted, indent=1, sort_keys=True) + "\n"
        if not plan.exists():
            write_text(plan, text)
        elif read_bytes(plan, "the search's plan", 2**20, f"delete {folder}") != text.encode():
            raise ZooError(
                "the folder holds another search",
                where=folder,
                remedy="give the flags it was started with, another --name, or delete the folder",
            )
        self.known: list[SampledValues] = self._read()

    def add(self, values: SampledValues) -> None:
        """Notes values that were drawn just now."""
        self.known.append(dict(values))
        write_text(self._path, "".join(json.dumps(each) + "\n" for each in self.known))

    def _read(self) -> list[SampledValues]:
        if not self._path.exists():
            return []
        data = read_bytes(self._path, "the samples", 2**26, "delete it to search anew")
        try:
            return [json.loads(line) for line in data.splitlines()]
        except ValueError as error:
            raise ZooError(
                "the samples are damaged", where=self._path, remedy="delete it to search anew"
            ) from error
