"""Trains a model of the catalogue by a recipe; the same command again goes on where it stopped.

    python -m scripts.train --recipe=fashion_mnist_demo
    python -m scripts.train --dataset=digits --recipe=digits_quick --epochs=20 --name=my_digits

Leaves OUTPUT/runs/NAME (weights, run.json, epochs.csv) and one line in OUTPUT/results.jsonl.
"""

from __future__ import annotations

from absl import flags

from scripts import cli, recipe_flags
from zoo import data
from zoo.catalog import DEFAULT_RECIPE, RECIPES, model_spec
from zoo.provenance import Provenance

FLAGS = flags.FLAGS
cli.define_output()
recipe_flags.define()
flags.DEFINE_string("name", None, "name of the run (default: MODEL-DATASET)")


def main(_: list[str]) -> None:
    """Trains by the flags."""
    recipe = recipe_flags.chosen(RECIPES[DEFAULT_RECIPE])
    model_spec(recipe.model)
    data.check_name(recipe.dataset)
    name = cli.file_name(FLAGS.name or f"{recipe.model}-{recipe.dataset}", "--name")
    cli.import_tensorflow()
    from zoo import stages

    stages.train(recipe, cli.output(), name, Provenance.here(), cli.say)


if __name__ == "__main__":
    cli.run(main)
