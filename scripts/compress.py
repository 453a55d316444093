"""Compresses a trained run by one scheme, with fine-tuning; resumable like scripts.train.

    python -m scripts.compress --run=squeezenet_v1_1-fashion_mnist --scheme=prune
    python -m scripts.compress --run=squeezenet_v1_1-fashion_mnist-pruned --scheme=qat

prune: magnitude pruning to --prune_sparsity. qat: quantisation-aware training; what was pruned
before stays zero. Leaves OUTPUT/runs/RUN-pruned or RUN-qat and one line in OUTPUT/results.jsonl.
"""

from __future__ import annotations

from absl import flags

from scripts import cli, recipe_flags
from zoo import runs
from zoo.provenance import Provenance

FLAGS = flags.FLAGS
cli.define_output()
flags.DEFINE_string("run", None, "name of the run to start from, under OUTPUT/runs")
flags.DEFINE_string("scheme", None, "prune or qat")
flags.DEFINE_string("name", None, "name of the new run (default: RUN-pruned or RUN-qat)")
recipe_flags.define(
    only=(
        "epoch_images",
        "batch_size",
        "weight_decay",
        "flip",
        "seed",
        "prune_sparsity",
        "prune_epochs",
        "prune_learning_rate",
        "qat_epochs",
        "qat_learning_rate",
    )
)
_SUFFIX = {"prune": "pruned", "qat": "qat"}


def main(_: list[str]) -> None:
    """Compresses --run by --scheme."""
    scheme = cli.choice("scheme", _SUFFIX)
    run = cli.file_name(cli.required("run"), "--run")
    name = cli.file_name(FLAGS.name or f"{run}-{_SUFFIX[scheme]}", "--name")
    parent = runs.load(cli.output() / "runs" / run)
    recipe = recipe_flags.chosen(parent.recipe)
    cli.import_tensorflow()
    from zoo import stages

    stages.compress(recipe, cli.output(), parent, scheme, name, Provenance.here(), cli.say)


if __name__ == "__main__":
    cli.run(main)
