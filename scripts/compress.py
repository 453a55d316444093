"""Compresses a trained run by one scheme, with fine-tuning; resumable like scripts.train.

    python -m scripts.compress --run=RUN --scheme=prune --prune_sparsity=0.7
    python -m scripts.compress --run=RUN --scheme=prune --layers=conv1:0.3,fire2_squeeze1x1:0.5
    python -m scripts.compress --run=RUN-pruned --scheme=cluster --cluster_count=16
    python -m scripts.compress --run=RUN-pruned-clustered --scheme=qat

low_rank splits layers in two thin ones (SVD); RUN-low_rank. By size, energy or rank.
prune sets small weights to zero; RUN-pruned. --prune_pattern is any (the smallest weights of a
    kernel), 2:4 (two of four neighboring input channels), 1x4 or 4x1 (blocks of filters × input
    channels), or xnnpack (the 1×1 convolutions that XNNPACK can run sparse).
cluster gives each kernel few distinct values; RUN-clustered.
qat trains for int8; RUN-qat. pqat, cqat and pcqat are qat that insists on a pruned run, a clustered
    one, or both.

rate needs no fine-tuning: codes and steps of least error for their entropy, so that the download
    container (scripts.pack) is --rate_ratio times smaller than the float32 file; leaves artifacts
    OUTPUT/artifacts/RUN-rate-PRECISION.tflite of a run that is not qat.

The others follow each other in this order. What an earlier one made stays so: zeros, clusters,
ranks.
The weights kept are the best epoch's by validation, among those in which the goal is reached.

A plan gives a value for each layer, and leaves alone the layers that it does not name:
{"format": 1, "what": "sparsity", "layers": {"conv1": 0.3}}, or "clusters" or "rank". --layers
changes some layers' values. 0 leaves a layer alone.

Leaves OUTPUT/runs/RUN-… (weights, run.json, epochs.csv, tensorboard/) and one line in
OUTPUT/results.jsonl.
"""

from __future__ import annotations

from pathlib import Path

from absl import flags

from converters.conversion import precisions
from scripts.common import cli, recipe_flags
from zoo import runs
from zoo.compression import schemes
from zoo.errors import ZooError
from zoo.io.provenance import Provenance
from zoo.io.tf_import import import_tensorflow
from zoo.schema.run import Run

FLAGS = flags.FLAGS
cli.define_output()
flags.DEFINE_string("run", None, "name of the run to start from, under OUTPUT/runs")
flags.DEFINE_string("scheme", None, ", ".join((*schemes.NAMES, "rate")))
flags.DEFINE_string("name", None, "name of the new run (default: see above)")
flags.DEFINE_string("plan", None, "JSON file with a value for each layer")
flags.DEFINE_list("layers", [], "LAYER:VALUE,… for some layers")
flags.DEFINE_float("rate_ratio", 12, "rate: float32 file over container", lower_bound=1)
flags.DEFINE_list("precision", ["float32", "int8"], "rate: precisions to convert to")
cli.former_flag("rate_precisions", "precision")
recipe_flags.define(
    only=(
        "epoch_images",
        "batch_size",
        "weight_decay",
        "flip",
        "seed",
        "prune_sparsity",
        "prune_pattern",
        "cluster_count",
        "cluster_per_channel",
        "low_rank_keep",
        "low_rank_energy",
        "low_rank_rank",
        "low_rank_spatial",
        *(f"{name}_{field}" for name in schemes.SCHEMES for field in ("epochs", "learning_rate")),
    ),
    default="",
)


def main(_: list[str]) -> None:
    """Compresses --run by --scheme."""
    given = cli.choice("scheme", (*schemes.NAMES, "rate"))
    run = cli.file_name(cli.required("run"), "--run")
    parent = runs.load(cli.output() / "runs" / run)
    if given == "rate":
        _rate(parent)
        return
    scheme = schemes.following(parent, given)
    name = cli.file_name(FLAGS.name or f"{run}-{schemes.SCHEMES[scheme].suffix}", "--name")
    plan = Path(FLAGS.plan) if FLAGS.plan else None
    per_layer = schemes.per_layer(scheme, plan, FLAGS.layers)
    recipe = recipe_flags.chosen(parent.recipe)
    import_tensorflow()
    from zoo.training import stages

    stages.compress(
        recipe, cli.output(), parent, scheme, per_layer, name, Provenance.here(), cli.say
    )


def _rate(run: Run) -> None:
    for flag in ("name", "plan", "layers"):
        if FLAGS[flag].present:
            raise ZooError(
                "rate finds each layer's values itself, and names its files after the run",
                where=f"--{flag}",
                remedy="leave the flag out; --rate_ratio sets the size",
            )
    wanted = cli.choices("precision", precisions.PRECISIONS)
    for precision in wanted:
        precisions.check(run, precision)
    import_tensorflow()
    from converters import export

    export.write(run, wanted, cli.output(), Provenance.here(), cli.say, ratio=FLAGS.rate_ratio)


if __name__ == "__main__":
    cli.run(main)
