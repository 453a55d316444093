"""Trains many points of a network's design space, or of a recipe's, and compares them.

    python -m scripts.explore --what=squeeze_ratio
    python -m scripts.explore --model=shiftresnet20_e3 --grid=expansion=1,3,6,9 --jobs=2
    python -m scripts.explore --recipe=digits_quick --search=learning_rate=0.01:0.3:log --trials=12

--what takes an exploration of SqueezeNet's paper, squeeze_ratio, expand3x3 (the share of 3×3
filters) or bypass, of squeezenet_v1_0 unless --model is given; or any argument or field that has a
closed list of values. --grid (each combination, where there are several) and --search (Optuna
draws --trials points) take any argument of the model's builder and any field of a recipe, also
model and dataset. What all points share is given by the flags of scripts.train, as --init_from:

    python -m scripts.explore --model=resnet20 --dataset=image_folder --data_dir=FOLDER \\
        --init_from=resnet20-fashion_mnist --search=learning_rate=0.001:0.1:log

Ray starts the trainings, each in a process of its own: --jobs at a time on this computer, where it
listens on 127.0.0.1 only, or on the cluster at --address, whose machines must share the --output
folder and have this package. The same command again goes on where it stopped, also after kill -9:
finished runs are not trained again, failed ones are tried again.

Leaves the runs under OUTPUT/runs, and table.md, table.csv, picture.svg and the trainers' logs in
OUTPUT/explore/NAME. The exit code is 1 where a point failed; the others are finished all the same.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from absl import flags
from filelock import FileLock, Timeout

from scripts.common import cli, recipe_flags
from zoo import data
from zoo.catalog import DEFAULT_RECIPE, RECIPES, arguments, build, model_spec
from zoo.data import image_folder, registry
from zoo.errors import ZooError
from zoo.io.files import write_text
from zoo.io.provenance import Provenance
from zoo.io.tf_import import import_tensorflow
from zoo.pretrained import initial, resolve
from zoo.schema.run import ModelConfig
from zoo.sweeps import axes, chart, ray_cluster, table, tune
from zoo.sweeps.sweep import Shared, Sweep
from zoo.sweeps.trial import Job

FLAGS = flags.FLAGS
cli.define_output()
recipe_flags.define()
flags.DEFINE_string("what", None, f"{', '.join(axes.PRESETS)}, or an argument with few values")
flags.DEFINE_multi_string("grid", [], "NAME=VALUE,VALUE; may be given several times")
flags.DEFINE_multi_string("search", [], "NAME=LOW:HIGH or NAME=LOW:HIGH:log; likewise")
flags.DEFINE_integer("trials", 12, "points that --search draws", lower_bound=1)
flags.DEFINE_list("arguments", [], "of the builder that all points have: NAME:VALUE,…")
flags.DEFINE_string("init_from", None, "as of scripts.train, for all of them")
flags.DEFINE_string("strategy", "none", "none, or mirrored over the GPUs that a training takes")
flags.DEFINE_string("name", None, "name of the sweep (default: MODEL-DATASET-AXES)")
flags.DEFINE_integer("jobs", 1, "trainings at a time", lower_bound=1)
flags.DEFINE_float("gpus", 0.0, "GPUs that a training takes, or its share of one", lower_bound=0)
flags.DEFINE_string("address", "", "of a running Ray cluster (default: Ray is started here)")


def main(_: list[str]) -> int:
    """Trains, or goes on, then writes the table and the picture."""
    where = ray_cluster.RayCluster(FLAGS.address, FLAGS.jobs, FLAGS.gpus)
    ray_cluster.load(where)
    recipe = recipe_flags.chosen(RECIPES[DEFAULT_RECIPE])
    recipe = dataclasses.replace(recipe, name=FLAGS.recipe or DEFAULT_RECIPE)  # not the sweep's
    if FLAGS.what in axes.PRESETS and not FLAGS.model:
        recipe = dataclasses.replace(recipe, model="squeezenet_v1_0")
    model_spec(recipe.model)
    data.check_name(recipe.dataset)
    given = arguments.pairs(FLAGS.arguments)
    strategy = cli.choice("strategy", ("none", "mirrored"))
    import_tensorflow()  # the builder knows its arguments
    sweep, preset = axes.sweep(recipe, FLAGS.what, FLAGS.grid, FLAGS.search, given)
    sweep = dataclasses.replace(sweep, start=_start(sweep, strategy))
    name = cli.file_name(FLAGS.name or sweep.name, "--name")
    output = cli.output().resolve()
    job = Job(sweep, output, output / "explore" / name, "scripts.train", Path.cwd())
    job.folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(job.folder / ".lock", timeout=0):
            points = tune.run(job, where, FLAGS.trials, cli.say)
            return _write(table.rows(points, output, preset, _count), job)
    except Timeout as error:
        raise ZooError("this sweep is running already", where=job.folder) from error


def _start(sweep: Sweep, strategy: str) -> Shared:
    recipe, apart = sweep.recipe, {axis.name for axis in sweep.axes}
    own = [] if sweep.searched else [sweep.point(values).name for values in sweep.grid()]
    init_sha256 = teacher_sha256 = data_sha256 = None
    if FLAGS.init_from:
        init_sha256 = initial.load(FLAGS.init_from, cli.output(), own).sha256
    if recipe.teacher and "teacher" not in apart:
        found = resolve.find("--teacher", recipe.teacher, cli.output(), own)
        teacher_sha256 = resolve.sha256(found)
    if recipe.dataset == "image_folder" and not apart & {"dataset", "data_dir"}:
        data_sha256 = image_folder.scan(registry.folder(recipe.data_dir)).digest
    return Shared(FLAGS.init_from or "", init_sha256, strategy, teacher_sha256, data_sha256)


def _count(config: ModelConfig) -> tuple[int, int]:
    from zoo.models import macs

    model = build(config)
    return macs.trainable_parameters(model), macs.macs(model)


def _write(rows: list[table.SweepRow], job: Job) -> int:
    title = f"Exploration of {job.sweep.recipe.model} on {job.sweep.recipe.dataset}"
    drawn = ""
    if any(row.accuracy is not None for row in rows):
        try:
            write_text(job.folder / "picture.svg", chart.svg(rows, job.sweep.axes, title))
            drawn = "picture.svg"
        except ImportError:
            cli.say("no picture without: pip install 'mobile-model-zoo[report]'")
    page = table.markdown(rows, title, " ".join(Provenance.here().command), drawn)
    write_text(job.folder / "table.md", page)
    write_text(job.folder / "table.csv", table.as_csv(rows))
    cli.say(page)
    failed = [row for row in rows if row.reason]
    cli.say(f"{len(rows) - len(failed)} of {len(rows)} points trained → {job.folder}")
    return 1 if failed else 0


if __name__ == "__main__":
    cli.run(main)
