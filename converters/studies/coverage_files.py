"""The rows of `converters.studies.coverage` and `accelerators`, kept in files. No TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from converters.studies import accelerators
from converters.studies.accelerator_rows import AcceleratorRow
from converters.studies.coverage_table import CoverageRow, file_name
from zoo.errors import ZooError
from zoo.io.files import read_bytes, sha256_of

_MOST_BYTES = 64 * 2**20
M = TypeVar("M", bound=BaseModel)


class CoverageFiles:
    """A folder with a line for each row, and the converted files.

    Args:
        folder: The folder. It is created when the first row is added.

    Attributes:
        files: Folder of the converted files.
        conversions: Rows by model and precision.
        accelerators: Rows by their keys.

    Raises:
        ZooError: if a line is not a row.
    """

    def __init__(self, folder: Path):
        self.files = folder / "files"
        self._conversions = folder / "conversions.jsonl"
        self._accelerators = folder / "accelerators.jsonl"
        read = _read(self._conversions, CoverageRow)
        self.conversions = {(row.model, row.precision): row for row in read}
        self.accelerators = {row.key: row for row in _read(self._accelerators, AcceleratorRow)}

    def add(self, row: CoverageRow | AcceleratorRow) -> None:
        """Appends a row, which replaces the former one of its key."""
        if isinstance(row, CoverageRow):
            log = self._conversions
            self.conversions[row.model, row.precision] = row
        else:
            log = self._accelerators
            self.accelerators[row.key] = row
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a") as file:
            file.write(row.model_dump_json() + "\n")

    def path(self, row: CoverageRow) -> Path:
        """Returns the path of a converted file, which may be missing."""
        return self.files / file_name(row.model, row.precision)

    def to_convert(
        self, model: str, precisions: Sequence[str], runtimes: Sequence[str], limit_s: float
    ) -> list[str]:
        """Returns the precisions without a row, or without the file that an engine needs.

        Args:
            model: Catalog name.
            precisions: Precisions to choose from.
            runtimes: Engines of accelerators.
            limit_s: Time limit of the engines in seconds.
        """
        return [
            precision
            for precision in precisions
            if (row := self.conversions.get((model, precision))) is None
            or (self.to_run(row, runtimes, limit_s) and not self._has(row))
        ]

    def to_run(
        self, row: CoverageRow, runtimes: Sequence[str], limit_s: float
    ) -> list[tuple[str, str]]:
        """Returns the engine and delegate of each result that a file lacks.

        A failure counts as a result unless it came from a shorter time limit.
        """
        return [
            case
            for key, case in accelerators.cases(row, runtimes).items()
            if key not in self.accelerators or not self.accelerators[key].settles(limit_s)
        ]

    def _has(self, row: CoverageRow) -> bool:
        path = self.path(row)
        return path.is_file() and sha256_of(path) == row.sha256


def _read(log: Path, kind: type[M]) -> list[M]:
    if not log.exists():
        return []
    data = read_bytes(log, "the rows", _MOST_BYTES, "delete the file and start again")
    try:
        return [kind.model_validate_json(line) for line in data.splitlines() if line.strip()]
    except ValidationError as error:
        raise ZooError(
            "the rows are not valid", where=log, got=error, remedy="delete the file and start again"
        ) from error
