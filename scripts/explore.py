"""Trains many variants of a network or a recipe and compares them.

    zoo explore --what=squeeze_ratio
    zoo explore --model=shiftresnet20_e3 --grid=expansion=1,3,6,9 --jobs=2
    zoo explore --recipe=digits_quick --search=learning_rate=0.01:0.3:log --trials=12
    zoo explore --model=resnet20 --dataset=image_folder --data_dir=FOLDER \\
        --init_from=resnet20-fashion_mnist --search=learning_rate=0.001:0.1:log

--what runs an experiment of the SqueezeNet paper: squeeze_ratio, expand3x3 (the share of 3×3
filters) or bypass, with squeezenet_v1_0 unless --model is given. It may also be any argument or
field with a closed list of values. --grid trains all combinations of the given values, --search
lets Optuna choose --trials points. Both take any argument of the model's builder and any field of a
recipe, including model and dataset. The flags of `zoo train` apply to all points.

Ray trains each point in its own process: --jobs at a time on this computer, where Ray listens only
on 127.0.0.1, or on the cluster at --address, whose machines need this package and a shared --output
folder. The same command again resumes, also after kill -9: finished runs are not repeated, failed
ones are.

Writes the runs to OUTPUT/runs, and table.md, table.csv, chart.svg and the training logs to
OUTPUT/explore/NAME. The exit code is 1 if a point failed; the others are still trained.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from absl import flags
from filelock import FileLock, Timeout

from scripts.common import cli, help, recipe_flags
from zoo import data
from zoo.catalog import DEFAULT_RECIPE, RECIPES, arguments, build, model_spec
from zoo.data import image_folder, registry
from zoo.errors import ZooError
from zoo.io.files import write_text
from zoo.io.provenance import Provenance
from zoo.io.tf_import import import_tensorflow
from zoo.schema.run import ModelConfig
from zoo.sweeps import axes, chart, ray_cluster, table, tune
from zoo.sweeps.sweep import Shared, Sweep
from zoo.sweeps.trial import Job

FLAGS = flags.FLAGS
cli.define_output()
recipe_flags.define()
flags.DEFINE_string(
    "what", None, f"{', '.join(axes.PRESETS)}, or an argument with a closed list of values"
)
flags.DEFINE_multi_string("grid", [], "values to combine, NAME=VALUE,VALUE,…")
flags.DEFINE_multi_string("search", [], "range to search, NAME=LOW:HIGH or NAME=LOW:HIGH:log")
flags.DEFINE_integer("trials", 12, "number of points that --search trains", lower_bound=1)
flags.DEFINE_list("arguments", [], "builder arguments of all points, NAME:VALUE,…")
flags.DEFINE_string("init_from", None, "initial weights of all points, as in zoo train")
flags.DEFINE_string("strategy", "none", "none, or mirrored: use all GPUs of a training run")
flags.DEFINE_string("name", None, "name of the sweep (default: MODEL-DATASET-AXES)")
flags.DEFINE_integer("jobs", 1, "number of training runs in parallel", lower_bound=1)
flags.DEFINE_float("gpus", 0.0, "GPUs per training run; below 1, a share of one GPU", lower_bound=0)
flags.DEFINE_string("address", "", "address of a running Ray cluster (default: start Ray here)")
help.group("Points", "what", "grid", "search", "trials", "arguments", "init_from")
help.group("Execution", "name", "output", "strategy", "jobs", "gpus", "address")


def main(_: list[str]) -> int:
    """Trains the points that are missing, then writes the table and the chart."""
    where = ray_cluster.RayCluster(FLAGS.address, FLAGS.jobs, FLAGS.gpus)
    ray_cluster.load(where)
    recipe = recipe_flags.chosen(RECIPES[DEFAULT_RECIPE])
    recipe = dataclasses.replace(recipe, name=FLAGS.recipe or DEFAULT_RECIPE)
    if FLAGS.what in axes.PRESETS and not FLAGS.model:
        recipe = dataclasses.replace(recipe, model="squeezenet_v1_0")
    model_spec(recipe.model)
    data.check_name(recipe.dataset)
    shared = arguments.pairs(FLAGS.arguments)
    strategy = cli.choice("strategy", ("none", "mirrored"))
    import_tensorflow()  # needed for the signatures of the builders
    sweep, preset = axes.sweep(recipe, FLAGS.what, FLAGS.grid, FLAGS.search, shared)
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
        raise ZooError("this sweep is already running", where=job.folder) from error


def _start(sweep: Sweep, strategy: str) -> Shared:
    from zoo.pretrained import initial, resolve

    recipe, varied = sweep.recipe, {axis.name for axis in sweep.axes}
    names = [] if sweep.searched else [sweep.point(values).name for values in sweep.grid()]
    init_sha256 = teacher_sha256 = data_sha256 = None
    if FLAGS.init_from:
        init_sha256 = initial.load(FLAGS.init_from, cli.output(), names).sha256
    if recipe.teacher and "teacher" not in varied:
        teacher = resolve.find("--teacher", recipe.teacher, cli.output(), names)
        teacher_sha256 = resolve.sha256(teacher)
    if recipe.dataset == "image_folder" and not varied & {"dataset", "data_dir"}:
        data_sha256 = image_folder.scan(registry.folder(recipe.data_dir)).digest
    return Shared(FLAGS.init_from or "", init_sha256, strategy, teacher_sha256, data_sha256)


def _count(config: ModelConfig) -> tuple[int, int]:
    from zoo.models import macs

    model = build(config)
    return macs.trainable_parameters(model), macs.macs(model)


def _write(rows: list[table.SweepRow], job: Job) -> int:
    title = f"Exploration of {job.sweep.recipe.model} on {job.sweep.recipe.dataset}"
    chart_file = ""
    if any(row.accuracy is not None for row in rows):
        try:
            write_text(job.folder / "chart.svg", chart.svg(rows, job.sweep.axes, title))
            chart_file = "chart.svg"
        except ImportError:
            cli.say("no chart; to draw it, pip install 'mobile-model-zoo[report]'")
    page = table.markdown(rows, title, " ".join(Provenance.here().command), chart_file)
    write_text(job.folder / "table.md", page)
    write_text(job.folder / "table.csv", table.as_csv(rows))
    cli.say(page)
    failed = [row for row in rows if row.reason]
    cli.say(f"{len(rows) - len(failed)} of {len(rows)} points trained → {job.folder}")
    return 1 if failed else 0


if __name__ == "__main__":
    cli.run(main)
