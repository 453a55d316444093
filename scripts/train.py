"""Trains a model of the catalog by a recipe, and resumes interrupted runs.

    zoo train --recipe=fashion_mnist_demo
    zoo train --dataset=digits --recipe=digits_quick --epochs=20 --name=my_digits
    zoo train --recipe=own_pictures --data_dir=FOLDER --name=mine
    zoo train --model=squeezenet_v1_0 --nobatch_norm --learning_rate=0.004 \\
        --init_from=squeezenet_v1_0_deep_compressed
    zoo train --model=squeezenet_v1_0 --arguments=squeeze_ratio:0.25,bypass:simple

The same command again resumes after the last finished epoch. Writes OUTPUT/runs/NAME (weights,
run.json, epochs.csv) and one line in OUTPUT/results.jsonl.

--init_from starts from weights of the same architecture: public weights by name (downloaded once by
`zoo data --weights=NAME`), a Deep Compression FILE.net, a finished run by name or folder, or a
released checkpoint or artifact (resnet20-fashion_mnist or a FILE.safetensors; an artifact stands
for its run). If the number of classes differs, the classifier is initialized randomly; the first
layer is adapted to the images of the dataset, including grayscale ones. --freeze trains only the
classifier.

--teacher also learns from the outputs of another network: a finished run, or a released checkpoint
or artifact, with the same images and classes.

--arguments trains another point of the network's design space; `zoo explore` trains many of them.

--strategy trains on several devices (mirrored), on several machines (multi_worker: the same command
on each, with TF_CONFIG and a shared --output), or on a TPU.
"""

from __future__ import annotations

from absl import flags

from scripts.common import cli, help, recipe_flags
from zoo import data
from zoo.catalog import DEFAULT_RECIPE, RECIPES, arguments, model_spec
from zoo.io.provenance import Provenance
from zoo.io.tf_import import import_tensorflow
from zoo.schema.recipe import STRATEGIES
from zoo.training import tf_config

FLAGS = flags.FLAGS
cli.define_output()
recipe_flags.define()
flags.DEFINE_string("name", None, "name of the run (default: MODEL-DATASET and the arguments)")
flags.DEFINE_list(
    "arguments", [], "arguments of the network's builder that override the catalog, NAME:VALUE,…"
)
flags.DEFINE_string(
    "init_from",
    None,
    "initial weights: public weights, a FILE.net, a run, a checkpoint or an artifact",
)
flags.DEFINE_string("strategy", "none", f"one of {', '.join(STRATEGIES)} (see above)")
flags.DEFINE_float(
    "peer_secs", 600, "multi_worker: longest wait for the other workers, in seconds", lower_bound=1
)
help.group("Run", "name", "arguments", "init_from", "strategy", "peer_secs", "output")


def main(_: list[str]) -> None:
    """Trains the model, or resumes its training."""
    recipe = recipe_flags.chosen(RECIPES[DEFAULT_RECIPE])
    spec = model_spec(recipe.model)
    data.check_name(recipe.dataset)
    overrides = arguments.pairs(FLAGS.arguments)
    default = "-".join(filter(None, (recipe.model, recipe.dataset, arguments.in_name(overrides))))
    name = cli.file_name(FLAGS.name or default, "--name")
    strategy = cli.choice("strategy", STRATEGIES)
    from zoo.pretrained import initial, resolve

    # What is missing is reported before TensorFlow is imported.
    place = tf_config.place() if strategy == "multi_worker" else None
    source = initial.find(FLAGS.init_from, cli.output(), [name]) if FLAGS.init_from else None
    if recipe.teacher:
        resolve.find("--teacher", recipe.teacher, cli.output(), [name])
    import_tensorflow()
    from zoo.training import distributed, stages

    # Before TensorFlow computes anything.
    distribution = distributed.distribution(strategy, place, cli.say, FLAGS.peer_secs)
    start = initial.read(source) if source else None
    point = arguments.parse(spec, overrides)
    stages.train(recipe, cli.output(), name, Provenance.here(), cli.say, start, point, distribution)


if __name__ == "__main__":
    cli.run(main)
