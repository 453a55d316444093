"""How fast the networks build and train on this machine.

    python -m scripts.studies.training_speed --what=build
    python -m scripts.studies.training_speed --what=step --model=resnet20,mobilenet_v2_cse_mix
    python -m scripts.studies.training_speed --what=fit --model=resnet20,squeezenet_v1_1
    python -m scripts.studies.training_speed --what=pipeline --model=resnet20

`build` times the building of each model at its published size. `step` times training steps of each
model against its twin: the same network where tf_keras has a plain layer in the place of each of
ours, a trained depthwise convolution in the place of a shift. The two take turns in one process and
only the ratio of their times is printed, since seconds depend on what else the machine does: of
elapsed time, and of the processor time of all threads, which a busy machine disturbs less. A model
that has no layer of ours is its own twin: its ratio shows how exact the measurement is. `fit` times
the project's training by the recipe "short", its data pipeline and augmentation included, against
plain `model.fit` of the same network with the same solver on tensors in memory; the figure is steps
a second, ours by plain. `pipeline` runs the data pipeline of a recipe alone, without and with its
augmentation: images a second, processor time a batch, and what share that is of a training step's
of each model.
"""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from absl import flags

from scripts.common import cli
from zoo import catalog
from zoo.errors import ZooError
from zoo.io.tf_import import import_tensorflow
from zoo.schema.recipe import Recipe
from zoo.schema.run import ModelConfig

if TYPE_CHECKING:
    import tf_keras

    from zoo.data.dataset import Dataset

FLAGS = flags.FLAGS
flags.DEFINE_string("what", "step", "build, step, fit or pipeline")
flags.DEFINE_string(
    "dataset", "fashion_mnist", "fit, pipeline: what is learned, a data set of small images"
)
flags.DEFINE_string("data_dir", "", "fit, pipeline: of that data set, where it needs one")
flags.DEFINE_string("recipe", "short", "fit, pipeline: whose augmentation and batch size")
flags.DEFINE_list("model", [], "catalog names (default: all for build; three for step)")
flags.DEFINE_integer("image_size", 32, "height and width for step, in pixels")
flags.DEFINE_integer("batch_size", 64, "images a training step")
flags.DEFINE_integer("steps", 2, "steps in one turn")
flags.DEFINE_integer("turns", 25, "turns of each of the two, after one that is not counted")

_STEP_MODELS = ("squeezenet_v1_1", "shiftresnet20_e3", "mobilenet_v2_cse_mix")


class Trainer(Protocol):
    """Something that trains a number of steps and says its elapsed and processor time."""

    def seconds(self, steps: int) -> tuple[float, float]:
        """Trains; elapsed and processor time."""
        ...


def main(_: list[str]) -> None:
    """Times what the flags say and prints a Markdown table."""
    what = cli.choice("what", ("build", "step", "fit", "pipeline"))
    for flag in ("image_size", "batch_size", "steps"):
        if FLAGS[flag].value < 1:
            raise ZooError("too small", where=f"--{flag}", expected="1 or more")
    if FLAGS.turns < 2:
        raise ZooError("too small", where="--turns", expected="2 or more")
    default = tuple(catalog.MODELS) if what == "build" else _STEP_MODELS
    specs = [catalog.model_spec(name) for name in FLAGS.model or default]
    import_tensorflow()
    if what == "build":
        cli.say("| model | input | seconds to build |\n|---|---|---|")
        for spec in specs:
            began = time.perf_counter()
            catalog.build(catalog.published_config(spec))
            seconds = time.perf_counter() - began
            cli.say(f"| {spec.name} | {'×'.join(map(str, spec.input_shape))} | {seconds:.1f} |")
        return
    recipe = dataclasses.replace(
        catalog.recipe(FLAGS.recipe), dataset=FLAGS.dataset, data_dir=FLAGS.data_dir
    )
    if what == "pipeline":
        _pipeline(recipe, [spec.name for spec in specs])
        return
    if what == "fit":
        cli.say("| model | steps a second, ours / plain | by processor time | middle half of it |")
        cli.say("|---|---|---|---|")
        for spec in specs:
            _say_ratios(spec.name, [(1 / e, 1 / p) for e, p in _fits(spec.name, recipe)])
        return
    cli.say("| model | elapsed, ours / plain | processor, ours / plain | middle half of it |")
    cli.say("|---|---|---|---|")
    for spec in specs:
        _say_ratios(spec.name, _ratios(spec.name))


def _say_ratios(name: str, ratios: list[tuple[float, float]]) -> None:
    elapsed, processor = zip(*ratios, strict=True)
    low, middle, high = statistics.quantiles(processor, n=4)
    cli.say(
        f"| {name} | {statistics.median(elapsed):.2f} | {middle:.2f} | {low:.2f} – {high:.2f} |"
    )


def _pipeline(recipe: Recipe, models: Sequence[str]) -> None:
    """Times the pipeline alone, then a step of each model on as many threads."""
    from zoo import data
    from zoo.training import baselines
    from zoo.training.augment import Augmentation
    from zoo.training.schedule import TrainingPlan

    dataset, schedule = data.of(recipe), TrainingPlan.of(recipe)
    plain = dataclasses.replace(schedule, augmentation=Augmentation())
    took = {}
    cli.say("| pipeline | images a second | processor ms a batch |\n|---|---:|---:|")
    for name, each in ((f"{recipe.name}, not augmented", plain), (recipe.name, schedule)):
        feeder = baselines.Feeder(dataset, each)
        turns = [feeder.seconds(FLAGS.steps) for _ in range(FLAGS.turns + 1)][1:]
        elapsed, took[name] = (
            statistics.median(both) / FLAGS.steps for both in zip(*turns, strict=True)
        )
        rate = schedule.batch_size / elapsed
        cli.say(f"| {name} | {rate:,.0f} | {1e3 * took[name]:.2f} |")
    cli.say("\n| a step of | processor ms | of it the pipeline |\n|---|---:|---:|")
    for name in models:
        model = baselines.Fitter.compiled(_network(name, dataset, recipe), dataset, schedule)
        stepper = baselines.Fitter(model, dataset, schedule, ours=False)
        turns = [stepper.seconds(FLAGS.steps) for _ in range(3)][1:]
        step = statistics.median(processor for _, processor in turns) / FLAGS.steps
        share = took[recipe.name] / (step + took[recipe.name])
        cli.say(f"| {name} | {1e3 * step:.1f} | {100 * share:.1f} % |")


def _fits(name: str, recipe: Recipe) -> list[tuple[float, float]]:
    """Of training as the project does it and plainly."""
    from zoo import data
    from zoo.training import baselines
    from zoo.training.schedule import TrainingPlan

    dataset, schedule = data.of(recipe), TrainingPlan.of(recipe)
    model = baselines.Fitter.compiled(_network(name, dataset, recipe), dataset, schedule)
    return _in_turns([baselines.Fitter(model, dataset, schedule, ours) for ours in (True, False)])


def _network(name: str, dataset: Dataset, recipe: Recipe) -> tf_keras.Model:
    return catalog.build(
        ModelConfig(
            model=name,
            input_shape=dataset.train.images.shape[1:],
            classes=len(dataset.labels),
            batch_norm=recipe.batch_norm,
            dropout=0.0,
        )
    )


def _ratios(name: str) -> list[tuple[float, float]]:
    """Elapsed and processor time of a turn of ours, divided by those of the twin's next to it."""
    from zoo.training import baselines

    config = ModelConfig(
        model=name,
        input_shape=(FLAGS.image_size, FLAGS.image_size, 3),
        classes=10,
        batch_norm=True,
    )
    ours = catalog.build(config)
    return _in_turns(
        [baselines.Stepper(model, FLAGS.batch_size) for model in (ours, baselines.plain(ours))]
    )


def _in_turns(trainers: Sequence[Trainer]) -> list[tuple[float, float]]:
    """Elapsed and processor time of the first, divided by those of the second next to it."""
    for trainer in trainers:
        trainer.seconds(FLAGS.steps)  # traces the graph and fills the caches
    ratios = []
    for turn in range(FLAGS.turns):
        # Alternate who goes first, so that a machine that slows down favors neither.
        order = (0, 1) if turn % 2 == 0 else (1, 0)
        took = {which: trainers[which].seconds(FLAGS.steps) for which in order}
        ratios.append((took[0][0] / took[1][0], took[0][1] / took[1][1]))
    return ratios


if __name__ == "__main__":
    cli.run(main)
