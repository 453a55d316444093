"""Measures how fast the networks build and train on this machine.

    python -m scripts.studies.training_speed --what=build
    python -m scripts.studies.training_speed --what=step --model=resnet20,mobilenet_v2_cse_mix
    python -m scripts.studies.training_speed --what=fit --model=resnet20,squeezenet_v1_1
    python -m scripts.studies.training_speed --what=pipeline --model=resnet20

build     Time to build each model at its published size.
step      Training steps of each model relative to a baseline: the same network with standard
          tf_keras layers instead of our custom ones, for example a trained depthwise convolution
          instead of a shift. Both take turns in one process. Only ratios are printed, since
          absolute times depend on what else the machine does: of elapsed time, and of CPU time over
          all threads, which a busy machine disturbs less. A model without custom layers is its own
          baseline, and its ratio shows the precision of the measurement.
fit       Training as in `zoo train`, including the data pipeline and augmentation of --recipe,
          relative to plain `model.fit` of the same network with the same optimizer on tensors in
          memory. The result is the ratio of steps per second, ours to plain.
pipeline  The data pipeline of a recipe alone, with and without augmentation: images per second, CPU
          time per batch, and its share of the CPU time of a training step of each model.
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
flags.DEFINE_string("what", "step", "what is measured: build, step, fit or pipeline")
flags.DEFINE_string("dataset", "fashion_mnist", "fit, pipeline: dataset of small images")
flags.DEFINE_string("data_dir", "", "fit, pipeline: folder of the dataset, if it needs one")
flags.DEFINE_string(
    "recipe", "short", "fit, pipeline: recipe with the augmentation and the batch size"
)
flags.DEFINE_list("model", [], "names in the catalog (default: all for build, else three)")
flags.DEFINE_integer("image_size", 32, "step: height and width of the input, in pixels")
flags.DEFINE_integer("batch_size", 64, "step: images per training step")
flags.DEFINE_integer("steps", 2, "training steps per turn")
flags.DEFINE_integer("turns", 25, "number of turns, after one warmup turn")

_STEP_MODELS = ("squeezenet_v1_1", "shiftresnet20_e3", "mobilenet_v2_cse_mix")


class Trainer(Protocol):
    """Trains a number of steps and measures the time."""

    def seconds(self, steps: int) -> tuple[float, float]:
        """Trains for `steps` steps; returns the elapsed and the CPU time in seconds."""
        ...


def main(_: list[str]) -> None:
    """Measures --what and prints a Markdown table."""
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
        cli.say("| model | input | build time, s |\n|---|---|---|")
        for spec in specs:
            start = time.perf_counter()
            catalog.build(catalog.published_config(spec))
            seconds = time.perf_counter() - start
            cli.say(f"| {spec.name} | {'×'.join(map(str, spec.input_shape))} | {seconds:.1f} |")
        return
    recipe = dataclasses.replace(
        catalog.recipe(FLAGS.recipe), dataset=FLAGS.dataset, data_dir=FLAGS.data_dir
    )
    if what == "pipeline":
        _pipeline(recipe, [spec.name for spec in specs])
        return
    if what == "fit":
        cli.say("| model | steps per second, ours / plain | by CPU time | interquartile range |")
        cli.say("|---|---|---|---|")
        for spec in specs:
            _say_ratios(spec.name, [(1 / e, 1 / p) for e, p in _fits(spec.name, recipe)])
        return
    cli.say("| model | elapsed, ours / plain | CPU time, ours / plain | interquartile range |")
    cli.say("|---|---|---|---|")
    for spec in specs:
        _say_ratios(spec.name, _ratios(spec.name))


def _say_ratios(name: str, ratios: list[tuple[float, float]]) -> None:
    elapsed, cpu = zip(*ratios, strict=True)
    low, middle, high = statistics.quantiles(cpu, n=4)
    cli.say(
        f"| {name} | {statistics.median(elapsed):.2f} | {middle:.2f} | {low:.2f} – {high:.2f} |"
    )


def _pipeline(recipe: Recipe, models: Sequence[str]) -> None:
    """Times the pipeline alone, then a training step of each model with as many threads."""
    from zoo import data
    from zoo.training import baselines
    from zoo.training.augment import Augmentation
    from zoo.training.schedule import TrainingPlan

    dataset, schedule = data.of(recipe), TrainingPlan.of(recipe)
    plain = dataclasses.replace(schedule, augmentation=Augmentation())
    cpu_times = {}
    cli.say("| pipeline | images per second | CPU time per batch, ms |\n|---|---:|---:|")
    for name, plan in ((f"{recipe.name}, not augmented", plain), (recipe.name, schedule)):
        feeder = baselines.Feeder(dataset, plan)
        turns = [feeder.seconds(FLAGS.steps) for _ in range(FLAGS.turns + 1)][1:]
        elapsed, cpu_times[name] = (
            statistics.median(times) / FLAGS.steps for times in zip(*turns, strict=True)
        )
        rate = schedule.batch_size / elapsed
        cli.say(f"| {name} | {rate:,.0f} | {1e3 * cpu_times[name]:.2f} |")
    cli.say("\n| training step of | CPU time, ms | share of the pipeline |\n|---|---:|---:|")
    for name in models:
        model = baselines.Fitter.compiled(_network(name, dataset, recipe), dataset, schedule)
        stepper = baselines.Fitter(model, dataset, schedule, ours=False)
        turns = [stepper.seconds(FLAGS.steps) for _ in range(3)][1:]
        step = statistics.median(cpu for _, cpu in turns) / FLAGS.steps
        share = cpu_times[recipe.name] / (step + cpu_times[recipe.name])
        cli.say(f"| {name} | {1e3 * step:.1f} | {100 * share:.1f} % |")


def _fits(name: str, recipe: Recipe) -> list[tuple[float, float]]:
    """Returns the ratios of our training to plain `fit`, per turn; see `_in_turns`."""
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
    """Returns the ratios of a network to its baseline, per turn; see `_in_turns`."""
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
    """Returns elapsed and CPU time of the first trainer divided by the second's, per turn."""
    for trainer in trainers:
        trainer.seconds(FLAGS.steps)  # warmup: traces the graph and fills the caches
    ratios = []
    for turn in range(FLAGS.turns):
        # Alternate the order, so that a machine that slows down favors neither.
        order = (0, 1) if turn % 2 == 0 else (1, 0)
        times = {index: trainers[index].seconds(FLAGS.steps) for index in order}
        ratios.append((times[0][0] / times[1][0], times[0][1] / times[1][1]))
    return ratios


if __name__ == "__main__":
    cli.run(main)
