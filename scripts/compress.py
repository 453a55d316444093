"""Compresses a trained run: low rank, pruning, clustering, QAT or rate-distortion quantization.

    zoo compress --run=RUN --scheme=prune --prune_sparsity=0.7
    zoo compress --run=RUN --scheme=prune --layers=conv1:0.3,fire2_squeeze1x1:0.5
    zoo compress --run=RUN-pruned --scheme=cluster --cluster_count=16
    zoo compress --run=RUN-pruned-clustered --scheme=qat

Schemes, in the order in which they can follow each other:

low_rank splits layers into two smaller ones (SVD), to a given size, energy or rank; RUN-low_rank.
prune sets small weights to zero; RUN-pruned. --prune_pattern is any (the smallest weights of a
    kernel), 2:4 (two of four neighboring input channels), 1x4 or 4x1 (blocks of filters × input
    channels), or xnnpack (the 1×1 convolutions that XNNPACK can run sparse).
cluster limits the number of distinct values per kernel; RUN-clustered.
qat trains for int8; RUN-qat. pqat, cqat and pcqat are the same but require a pruned run, a
    clustered run, or one that is both.

Each of these fine-tunes the network and preserves zeros, clusters and ranks of earlier schemes. The
saved weights are from the epoch with the best validation accuracy among those that reach the goal.
The same command again resumes an interrupted run.

rate needs no fine-tuning: it quantizes the weights with the least error for their entropy, until
    the download container (`zoo pack`) is --rate_ratio times smaller than the float32 file. Writes
    OUTPUT/artifacts/RUN-rate-PRECISION.tflite. RUN must not be a qat run.

A plan has a value for some layers and leaves the others unchanged, as does a value of 0:
{"format": 1, "what": "sparsity", "layers": {"conv1": 0.3}}. "what" may also be "clusters" or
"rank". --layers sets or overrides the values of some layers.

Writes OUTPUT/runs/RUN-… (weights, run.json, epochs.csv, tensorboard/) and one line in
OUTPUT/results.jsonl.
"""

from __future__ import annotations

from pathlib import Path

from absl import flags

from scripts.common import cli, help, recipe_flags
from zoo import runs
from zoo.catalog import precisions
from zoo.compression import schemes
from zoo.errors import ZooError
from zoo.io.provenance import Provenance
from zoo.io.tf_import import import_tensorflow
from zoo.schema.run import Run

FLAGS = flags.FLAGS
cli.define_output()
flags.DEFINE_string("run", None, "name of the run to compress, in OUTPUT/runs")
flags.DEFINE_string("scheme", None, f"one of {', '.join((*schemes.NAMES, 'rate'))}")
flags.DEFINE_string(
    "name", None, "name of the new run (default: RUN with the suffix of the scheme)"
)
flags.DEFINE_string(
    "plan", None, "JSON file with a value per layer, for example from zoo sensitivity"
)
flags.DEFINE_list("layers", [], "values of some layers, LAYER:VALUE,…")
flags.DEFINE_float(
    "rate_ratio", 12, "size of the float32 file divided by the size of the container", lower_bound=1
)
flags.DEFINE_list("precision", [precisions.BASE, "int8"], "precisions to convert to")
cli.former_flag("rate_precisions", "precision")
help.group("Rate-distortion quantization (--scheme=rate)", "rate_ratio", "precision")
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
    requested = cli.choice("scheme", (*schemes.NAMES, "rate"))
    run = cli.file_name(cli.required("run"), "--run")
    parent = runs.load(cli.output() / "runs" / run)
    if requested == "rate":
        _rate(parent)
        return
    scheme = schemes.following(parent, requested)
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
                "--scheme=rate chooses the values per layer and the file names itself",
                where=f"--{flag}",
                remedy="remove the flag; --rate_ratio sets the size",
            )
    names = cli.choices("precision", precisions.PRECISIONS)
    for precision in names:
        precisions.check(run, precision)
    import_tensorflow()
    from converters import export

    export.write(run, names, cli.output(), Provenance.here(), cli.say, ratio=FLAGS.rate_ratio)


if __name__ == "__main__":
    cli.run(main)
