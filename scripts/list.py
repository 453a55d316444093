"""Lists the catalogue's models.

python -m scripts.list
python -m scripts.list --json
"""

from __future__ import annotations

import dataclasses
import json

from absl import flags

from scripts import cli
from zoo.catalog import MODELS
from zoo.specs import ModelSpec

FLAGS = flags.FLAGS
flags.DEFINE_bool("json", False, "print one JSON array, one object a model")


def main(_: list[str]) -> None:
    """Prints every model."""
    if FLAGS.json:
        cli.say(json.dumps([_row(spec) for spec in MODELS.values()], indent=1))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(title="Models", caption="top-1: as published, on that data set")
    for column in ("model", "input", "classes", "parameters", "float32 MB", "top-1 %", "paper"):
        table.add_column(column, justify="left" if column in ("model", "paper") else "right")
    for spec in MODELS.values():
        table.add_row(
            spec.name,
            "×".join(map(str, spec.input_shape)),
            str(spec.classes),
            f"{spec.parameters:,}",
            f"{4 * spec.parameters / 1e6:.2f}",
            ", ".join(f"{p.top1} {p.dataset}" for p in spec.published) or "none published",
            spec.paper,
        )
    Console().print(table)


def _row(spec: ModelSpec) -> dict[str, object]:
    return {**dataclasses.asdict(spec), "float32_bytes": 4 * spec.parameters}


if __name__ == "__main__":
    cli.run(main)
