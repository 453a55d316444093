"""A stub of scripts.train that finishes at once or waits, to kill a sweep at a known moment.

`python -m tests.support.sweep_stub` takes the flags of scripts.train. With `sweep` as the first
argument it runs a sweep of stubs over the flags that follow. Does not import TensorFlow.

Each stub adds a line to OUTPUT/begun, waits while OUTPUT/hold or OUTPUT/hold-RATE exists, fails if
the learning rate is above 1, and otherwise writes a run like scripts.train.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from absl import flags

from scripts.common import cli, recipe_flags
from zoo import runs
from zoo.catalog import RECIPES
from zoo.errors import ZooError
from zoo.io.files import sha256_of, write_text
from zoo.schema.run import ModelConfig, Run
from zoo.sweeps import axes, ray_cluster, table, tune
from zoo.sweeps.trial import Job

FLAGS = flags.FLAGS
cli.define_output()
recipe_flags.define()
flags.DEFINE_string("name", None, "name of the run")
flags.DEFINE_multi_string("grid", [], "as in scripts.explore")
flags.DEFINE_multi_string("search", [], "as in scripts.explore")
flags.DEFINE_integer("trials", 4, "as in scripts.explore")
flags.DEFINE_integer("jobs", 1, "as in scripts.explore")


def train() -> None:
    recipe = recipe_flags.chosen(RECIPES["digits_quick"])
    rate, output = recipe.learning_rate, cli.output()
    with (output / "begun").open("a") as stream:
        stream.write(f"{os.getpid()} {rate}\n")
    while (output / "hold").exists() or (output / f"hold-{rate}").exists():
        time.sleep(0.05)
    if rate > 1:
        raise ZooError("the loss is no longer a finite number", where=f"--learning_rate={rate}")
    folder = output / "runs" / FLAGS.name
    write_text(folder / "best.h5", "weights")
    config = ModelConfig(model=recipe.model, input_shape=(16, 16, 1), classes=10)
    run = Run(
        name=FLAGS.name,
        stage="train",
        config=config,
        dataset=recipe.dataset,
        recipe=recipe,
        weights="best.h5",
        weights_sha256=sha256_of(folder / "best.h5"),
        validation_accuracy=round(1 - abs(rate - 0.3), 4),
        best_epoch=1,
        versions={},
    )
    runs.save(folder, run)


def sweep() -> None:
    where = ray_cluster.RayCluster(jobs=FLAGS.jobs)
    ray_cluster.load(where)
    recipe = RECIPES["digits_quick"]
    variants, _ = axes.sweep(recipe, None, FLAGS.grid, FLAGS.search, {})
    output = cli.output().resolve()
    job = Job(variants, output, output / "explore" / "stub", "tests.support.sweep_stub", Path.cwd())
    job.folder.mkdir(parents=True, exist_ok=True)
    points = tune.run(job, where, FLAGS.trials, cli.say)
    rows = table.rows(points, output, None, lambda _: (1000, 2000))
    write_text(job.folder / "table.csv", table.as_csv(rows))


def main(argv: list[str]) -> None:
    if argv[1:] == ["sweep"]:
        sweep()
    else:
        train()


if __name__ == "__main__":
    cli.run(main, positional=True)
