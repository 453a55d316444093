"""Log of the values drawn by Optuna, used to resume a search. Does not import TensorFlow."""

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
    """Drawn values in order, stored in `samples.jsonl` before their training starts.

    Args:
        folder: Folder of the sweep.
        sweep: Sweep that is searched.

    Attributes:
        known: All values drawn so far, including those of earlier runs of the same command.

    Raises:
        ZooError: if the folder contains the samples of a different search.
    """

    def __init__(self, folder: Path, sweep: Sweep):
        self._path = folder / "samples.jsonl"
        plan = folder / "search.json"
        settings: dict[str, object] = {
            "recipe": dataclasses.asdict(sweep.recipe),
            "axes": [axis.as_json() for axis in sweep.axes],
            "fixed": dict(sweep.fixed),
        }
        if sweep.start.init_sha256:
            settings["init_sha256"] = sweep.start.init_sha256
        text = json.dumps(settings, indent=1, sort_keys=True) + "\n"
        if not plan.exists():
            write_text(plan, text)
        elif read_bytes(plan, "the search plan", 2**20, f"delete {folder}") != text.encode():
            raise ZooError(
                "the folder contains a different search",
                where=folder,
                remedy="use the original flags, choose another --name, or delete the folder",
            )
        self.known: list[SampledValues] = self._read()

    def add(self, values: SampledValues) -> None:
        """Appends newly drawn values."""
        self.known.append(dict(values))
        write_text(self._path, "".join(json.dumps(row) + "\n" for row in self.known))

    def _read(self) -> list[SampledValues]:
        if not self._path.exists():
            return []
        data = read_bytes(self._path, "the samples", 2**26, "delete it to restart the search")
        try:
            return [json.loads(line) for line in data.splitlines()]
        except ValueError as error:
            raise ZooError(
                "the samples are damaged",
                where=self._path,
                remedy="delete the file to restart the search",
            ) from error
