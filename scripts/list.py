"""Lists the models of the catalog, with filters and sorting.

    zoo list
    zoo list --sort=macs --max_parameters=500e3
    zoo list --dataset=CIFAR-10 --sort=top1 --descending
    zoo list --name=shift --json

Parameters, MACs and size are those of the published network, at its input shape and number of
classes. top-1 is the accuracy that the authors published, not one measured here; `zoo describe`
shows its source and further ones. Needs no TensorFlow.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable

from absl import flags

from scripts.common import cli, help
from zoo.catalog import MODELS
from zoo.errors import UnknownNameError, ZooError
from zoo.schema.model import ModelSpec

FLAGS = flags.FLAGS

_KEYS: dict[str, Callable[[ModelSpec], float | str]] = {
    "name": lambda spec: spec.name,
    "input": lambda spec: spec.input_shape[0] * spec.input_shape[1],
    "parameters": lambda spec: spec.parameters,
    "total": lambda spec: spec.parameters_total,
    "macs": lambda spec: spec.macs,
    "top1": lambda spec: _top1(spec) or 0.0,
}
_FAMILIES = sorted({spec.family for spec in MODELS.values()})
_DATASETS = sorted({p.dataset for spec in MODELS.values() for p in spec.published})

flags.DEFINE_string("name", None, "text that the model's name contains")
flags.DEFINE_list("family", [], f"families: {', '.join(_FAMILIES)}")
flags.DEFINE_string("dataset", None, f"dataset with a published accuracy: {', '.join(_DATASETS)}")
flags.DEFINE_float("max_parameters", None, "maximum number of parameters, for example 500e3")
flags.DEFINE_float("max_macs", None, "maximum number of multiply-accumulates")
flags.DEFINE_string("sort", None, f"sort by {', '.join(_KEYS)} (default: order of the catalog)")
flags.DEFINE_bool("descending", False, "reverse the order")
flags.DEFINE_bool("json", False, "print one JSON array with an object per model")
help.group("Filters", "name", "family", "dataset", "max_parameters", "max_macs")
help.group("Output", "sort", "descending", "json")


def main(_: list[str]) -> None:
    """Prints the models that pass the filters."""
    specs = _sorted([spec for spec in MODELS.values() if _matches(spec)])
    if FLAGS.json:
        cli.say(json.dumps([_row(spec) for spec in specs], indent=1))
    elif not specs:
        raise ZooError("no model passes the filters", remedy="see all models with zoo list")
    else:
        _table(specs)


def _matches(spec: ModelSpec) -> bool:
    for family in FLAGS.family:
        if family not in _FAMILIES:
            raise UnknownNameError("--family", family, _FAMILIES)
    if FLAGS.dataset and FLAGS.dataset not in _DATASETS:
        raise UnknownNameError("--dataset", FLAGS.dataset, _DATASETS)
    return (
        (not FLAGS.name or FLAGS.name in spec.name)
        and (not FLAGS.family or spec.family in FLAGS.family)
        and (not FLAGS.dataset or any(p.dataset == FLAGS.dataset for p in spec.published))
        and (FLAGS.max_parameters is None or spec.parameters <= FLAGS.max_parameters)
        and (FLAGS.max_macs is None or spec.macs <= FLAGS.max_macs)
    )


def _sorted(specs: list[ModelSpec]) -> list[ModelSpec]:
    if not FLAGS.sort:
        return specs[::-1] if FLAGS.descending else specs
    if FLAGS.sort not in _KEYS:
        raise UnknownNameError("--sort", FLAGS.sort, _KEYS)
    if FLAGS.sort == "top1" and not FLAGS.dataset:
        raise ZooError(
            "accuracies on different datasets are not comparable",
            where="--sort=top1",
            remedy=f"pass a dataset, for example --dataset={_DATASETS[0]}",
        )
    return sorted(specs, key=_KEYS[FLAGS.sort], reverse=FLAGS.descending)


def _top1(spec: ModelSpec) -> float | None:
    return _published(spec).get(FLAGS.dataset)


def _published(spec: ModelSpec) -> dict[str, float]:
    """Returns dataset → the first published accuracy, in percent."""
    first: dict[str, float] = {}
    for p in spec.published:
        first.setdefault(p.dataset, p.top1)
    return first


def _row(spec: ModelSpec) -> dict[str, object]:
    return {**dataclasses.asdict(spec), "float32_bytes": 4 * spec.parameters_total}


def _table(specs: list[ModelSpec]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(
        title=f"{len(specs)} models", caption="top-1 %: as published, on the named dataset"
    )
    for heading in (
        "model",
        "input → classes",
        "trainable",
        "total",
        "M MACs",
        "float32 MB",
    ):
        table.add_column(heading, justify="left" if heading == "model" else "right", no_wrap=True)
    for heading in ("published top-1 %", "paper"):  # these wrap in a narrow terminal
        table.add_column(heading, min_width=14)
    for spec in specs:
        table.add_row(
            spec.name,
            f"{'×'.join(map(str, spec.input_shape))} → {spec.classes}",
            f"{spec.parameters:,}",
            f"{spec.parameters_total:,}",
            f"{spec.macs / 1e6:,.1f}",
            f"{4 * spec.parameters_total / 1e6:.2f}",
            ", ".join(f"{top1:g} {name}" for name, top1 in _published(spec).items()) or "none",
            spec.paper.split(",")[0],
        )
    # Piped output has no width; make it wide enough that no cell is cut.
    console = Console()
    (console if console.is_terminal else Console(width=180)).print(table)


if __name__ == "__main__":
    cli.run(main)
