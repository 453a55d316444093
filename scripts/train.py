"""Trains a model of the catalog by a recipe; the same command again goes on where it stopped.

    python -m scripts.train --recipe=fashion_mnist_demo
    python -m scripts.train --dataset=digits --recipe=digits_quick --epochs=20 --name=my_digits
    python -m scripts.train --model=squeezenet_v1_0 --nobatch_norm --learning_rate=0.004 \\
        --init_from=squeezenet_v1_0_deep_compressed

--arguments trains another point of a network's design space (scripts.explore: many of them):

    python -m scripts.train --model=squeezenet_v1_0 --arguments=squeeze_ratio:0.25,bypass:simple

--init_from starts from other weights of the same architecture: public ones by name (python -m
scripts.data --weights=NAME fetches them), a Deep Compression FILE.net, a finished run by its name
under OUTPUT/runs or its folder, or what a release has of one (resnet20-fashion_mnist, a
FILE.safetensors, or an artifact, which stands for the run that it was made from). The classifier
starts afresh where the number of classes differs; the first layer is adapted to the data set's
pictures, also to gray ones. --freeze trains the classifier alone. --teacher learns from a network's
outputs besides the labels: a finished run or what a release has of one, of the same pictures.

--strategy spreads it over devices (mirrored), machines (multi_worker: the same command on each,
with TF_CONFIG, and an --output that they share) or a TPU.

Leaves OUTPUT/runs/NAME (weights, run.json, epochs.csv) and one line in OUTPUT/results.jsonl.
"""

from __future__ import annotations

from absl import flags

from scripts.common import cli, recipe_flags
from zoo import data
from zoo.catalog import DEFAULT_RECIPE, RECIPES, arguments, model_spec
from zoo.io.provenance import Provenance
from zoo.io.tf_import import import_tensorflow
from zoo.pretrained import initial
from zoo.schema.recipe import STRATEGIES
from zoo.training import tf_config

FLAGS = flags.FLAGS
cli.define_output()
recipe_flags.define()
flags.DEFINE_string("name", None, "name of the run (default: MODEL-DATASET, and the arguments)")
flags.DEFINE_list("arguments", [], "of the network's builder, instead of its row's: NAME:VALUE,…")
flags.DEFINE_string(
    "init_from", None, "public weights, a FILE.net, a run or a checkpoint to start from"
)
flags.DEFINE_string("strategy", "none", f"of tf.distribute: {', '.join(STRATEGIES)}")


def main(_: list[str]) -> None:
    """Trains by the flags."""
    recipe = recipe_flags.chosen(RECIPES[DEFAULT_RECIPE])
    spec = model_spec(recipe.model)
    data.check_name(recipe.dataset)
    given = arguments.pairs(FLAGS.arguments)
    default = "-".join(filter(None, (recipe.model, recipe.dataset, arguments.in_name(given))))
    name = cli.file_name(FLAGS.name or default, "--name")
    strategy = cli.choice("strategy", STRATEGIES)
    place = tf_config.place() if strategy == "multi_worker" else None
    found = initial.find(FLAGS.init_from, cli.output(), [name]) if FLAGS.init_from else None
    import_tensorflow()
    from zoo.training import distributed, stages

    distribution = distributed.distribution(strategy, place, cli.say)  # before anything is computed
    start = initial.read(found) if found else None
    point = arguments.parse(spec, given)
    stages.train(recipe, cli.output(), name, Provenance.here(), cli.say, start, point, distribution)


if __name__ == "__main__":
    cli.run(main)
