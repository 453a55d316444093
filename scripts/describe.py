"""Describes a model of the catalog: its layers, paper and the source of its structure.

    zoo describe squeezenet_v1_1
    zoo describe mobilenet_v2_cse_mix --preset=cifar100
    zoo describe resnet50 --input_shape=64x64x3 --classes=5 --width=0.5

Without --preset and --input_shape, the network is the published one. It is built for this, which
takes a few seconds.
"""

from __future__ import annotations

import dataclasses
import json
import re
from typing import TYPE_CHECKING

from absl import flags

from scripts.common import cli
from zoo import catalog
from zoo.errors import UnknownNameError, ZooError
from zoo.io.tf_import import import_tensorflow
from zoo.schema.model import ModelSpec
from zoo.schema.run import ModelConfig

if TYPE_CHECKING:
    from zoo.models.macs import LayerCount

FLAGS = flags.FLAGS
flags.DEFINE_string("model", None, "the model, if it is not the argument; see zoo list")
flags.DEFINE_string("preset", None, f"input shape and classes of {', '.join(catalog.PRESETS)}")
flags.DEFINE_string("input_shape", None, "HEIGHTxWIDTHxCHANNELS, for example 96x96x1")
flags.DEFINE_integer("classes", None, "number of classes")
flags.DEFINE_float("width", 1.0, "factor for the number of channels of every layer, at most 8")
flags.DEFINE_bool("batch_norm", False, "add batch normalization to networks whose paper has none")
flags.DEFINE_bool(
    "include_top", True, "include the classifier; without it, the output is the last feature map"
)
flags.DEFINE_bool(
    "all_layers", False, "also list layers that conversion folds away or that only change the shape"
)
flags.DEFINE_bool("json", False, "print one JSON object")

# Folded into other layers by conversion, or only a change of shape; not listed by default.
_MINOR = ("BatchNormalization", "ReLU", "PReLU", "Activation", "Dropout", "Reshape", "Rescaling")


def main(argv: list[str]) -> None:
    """Prints the description."""
    if len(argv) > 2 or (argv[1:] and FLAGS.model):
        raise ZooError("more than one model", expected="one MODEL", got=" ".join(argv[1:]))
    spec = catalog.model_spec(argv[1] if argv[1:] else cli.required("model"))
    config = _config(spec)
    import_tensorflow()
    from zoo.models import macs

    model = catalog.build(config, include_top=FLAGS.include_top)
    rows = macs.layer_counts(model)
    if FLAGS.json:
        described = {
            **dataclasses.asdict(spec),
            "config": config.model_dump(),
            "layers": [dataclasses.asdict(row) for row in rows],
        }
        cli.say(json.dumps(described, indent=1))
        return
    from rich.console import Console

    console = Console()
    console = console if console.is_terminal else Console(width=120)
    console.print(_head(spec), highlight=False)
    shape = "×".join(map(str, config.input_shape))
    console.print(_layers(f"{spec.name}, {shape} → {'×'.join(map(str, rows[-1].output))}", rows))


def _config(spec: ModelSpec) -> ModelConfig:
    input_shape, classes = spec.input_shape, spec.classes
    if FLAGS.preset:
        if FLAGS.preset not in catalog.PRESETS:
            raise UnknownNameError("--preset", FLAGS.preset, catalog.PRESETS)
        input_shape, classes = catalog.PRESETS[FLAGS.preset]
    if FLAGS.input_shape:
        match = re.fullmatch(r"(\d{1,4})[x×](\d{1,4})[x×](\d{1,2})", FLAGS.input_shape)
        if not match:
            raise ZooError(
                "invalid shape", where="--input_shape", expected="32x32x3", got=FLAGS.input_shape
            )
        height, width, channels = map(int, match.groups())
        input_shape = (height, width, channels)
    if FLAGS.classes is not None:
        classes = FLAGS.classes
    if classes < 1:
        raise ZooError("too few classes", where="--classes", expected="1 or more", got=classes)
    if not 0 < FLAGS.width <= 8:
        raise ZooError(
            "width out of range", where="--width", expected="above 0, at most 8", got=FLAGS.width
        )
    return ModelConfig(
        model=spec.name,
        input_shape=input_shape,
        classes=classes,
        width=FLAGS.width,
        batch_norm=FLAGS.batch_norm,
    )


def _head(spec: ModelSpec) -> str:
    lines = [f"[bold]{spec.name}[/bold]", f"paper:      {spec.paper}"]
    for p in spec.published:
        top5 = f", top-5 {p.top5:g} %" if p.top5 else ""
        lines.append(f"published:  top-1 {p.top1:g} %{top5} on {p.dataset} ({p.source})")
    if spec.published_macs:
        size = spec.published_macs_size or spec.input_shape[0]
        lines.append(f"published:  {spec.published_macs / 1e6:,.1f} M MACs at {size} pixels")
    pixels = spec.preprocessing
    lines.append(
        f"pixels:     {pixels.channels}, minus ({', '.join(f'{m:g}' for m in pixels.mean)}), "
        f"divided by ({', '.join(f'{s:g}' for s in pixels.std)})"
    )
    lines.append(f"license:    {spec.license}")
    lines.append(f"structure:  {spec.derivation}")
    if spec.not_reproducible:
        lines.append(f"not reproducible: {spec.not_reproducible}")
    return "\n".join([*lines, ""])


def _layers(title: str, rows: list[LayerCount]) -> object:
    from rich.table import Table

    hidden = () if FLAGS.all_layers else _MINOR
    table = Table(title=title, show_footer=True)
    shown = [row for row in rows if row.kind not in hidden]
    omitted = [row for row in rows if row.kind in hidden]
    total = [
        f"{len(rows)} layers",
        "",
        "",
        f"{sum(row.parameters for row in rows):,}",
        f"{sum(row.trainable for row in rows):,}",
        f"{sum(row.macs for row in rows):,}",
    ]
    headings = ("layer", "kind", "output", "parameters", "trainable", "MACs")
    for number, (heading, footer) in enumerate(zip(headings, total, strict=True)):
        table.add_column(heading, footer=footer, justify="right" if number > 1 else "left")
    for row in shown:
        table.add_row(
            row.name,
            row.kind,
            "×".join(map(str, row.output)),
            f"{row.parameters:,}",
            f"{row.trainable:,}",
            f"{row.macs:,}",
        )
    if omitted:
        table.add_row(
            f"({len(omitted)} more: --all_layers)",
            "batch norm, activations",
            "",
            f"{sum(row.parameters for row in omitted):,}",
            f"{sum(row.trainable for row in omitted):,}",
            "0",
        )
    return table


if __name__ == "__main__":
    cli.run(main, positional=True)
