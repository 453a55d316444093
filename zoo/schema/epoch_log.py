"""The epoch log of a run, `epochs.csv`: a header and one row per epoch. Imports no TensorFlow."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from zoo.errors import ZooError, one_line
from zoo.io.files import read_bytes

EpochRow = dict[str, float]

_MAX_BYTES = 2**20


def read(path: Path, remedy: str) -> list[EpochRow]:
    """Reads an epoch log.

    Args:
        path: The file.
        remedy: What the user can do about a damaged one.

    Raises:
        ZooError: if the file is missing or damaged, or its epochs are not 1, 2, 3 and so on.
    """
    content = read_bytes(path, "the epoch log", _MAX_BYTES, remedy)
    try:
        rows = [_row(row) for row in csv.DictReader(io.StringIO(content.decode()))]
        if [row["epoch"] for row in rows] != list(range(1, len(rows) + 1)):
            raise ValueError("expected one row for each epoch")
    except (ValueError, KeyError, TypeError, OverflowError, csv.Error) as error:
        raise ZooError(
            "the epoch log is damaged", where=path, got=one_line(error), remedy=remedy
        ) from error
    return rows


def to_csv(rows: Sequence[EpochRow]) -> str:
    """Returns the rows as CSV. A value that only some rows have is empty in the others."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(name for row in rows for name in row)))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _row(fields: dict[str, str]) -> EpochRow:
    """Parses a row. Integers stay integers, so rewriting the log does not change it."""
    row: EpochRow = {name: float(value) for name, value in fields.items() if value != ""}
    return {**row, **{name: int(row[name]) for name in ("epoch", "eligible")}}
