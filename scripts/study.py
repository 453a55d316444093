"""Trains the networks of a study file in the background, scores them and publishes the results.

    zoo study cifar10_jpeg.toml --into=FOLDER --plan
    zoo study cifar10_jpeg.toml --into=FOLDER --jobs=2 --background
    zoo study cifar10_jpeg.toml --into=FOLDER --status
    zoo study cifar10_jpeg.toml --into=FOLDER --pause        then --continue

A study file lists questions, and for each the networks to compare, their epochs and seeds. The runs
are trained in that order by `zoo train`, at the lowest priority. The same command again, also after
kill -9 and with --into moved to another computer, goes on after the last finished epoch, and ends
with the same weights. Each trained network is converted to float32 and int8 and scored on the test
split. With --release it is published there: its training record, and with the first seed its files,
after `zoo prove` has run them on the engines of --engines. --commit also commits the release to its
git repository, so that a lost computer costs one run at most. A failed run is told with its reason
and the others are trained; the exit code is then 1.

--plan measures every network for some seconds, prints how long the study would take, and checks
that against `hours` of the file. --pause stops the commands at once, for example while something
is timed; they stay in memory. --stop ends them.

The file, in TOML:

    title = "Bypasses"
    recipe = "short"                     # of zoo train
    hours = 40                           # CPU hours that the study may take
    threads = 1                          # CPU threads per run
    [flags]                              # flags of zoo train that differ from the recipe
    dataset = "cifar10_jpeg"
    [[questions]]
    name = "bypass"
    title = "SqueezeNet with and without bypasses"
    models = ["squeezenet_v1_0", "squeezenet_v1_0_simple_bypass"]
    epochs = 20
    seeds = {squeezenet_v1_0 = [1, 2, 3]}          # the others: seed 1
    grid = {squeeze_ratio = [0.125, 0.25]}         # builder arguments, all combinations
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from absl import flags

from scripts.common import cli, help
from zoo.errors import ZooError
from zoo.runtime.engines import COMPARED
from zoo.sweeps.study import control, estimates, plan, status
from zoo.sweeps.study.plan import Study
from zoo.sweeps.study.runner import Place, Runner

FLAGS = flags.FLAGS
flags.DEFINE_string("into", None, "folder of the runs, kept between calls")
flags.DEFINE_integer("jobs", 1, "number of runs trained at the same time", lower_bound=1)
flags.DEFINE_bool("lowest_priority", True, "give way to every other program")
flags.DEFINE_bool("background", False, "return at once; the output goes to study.log in --into")
flags.DEFINE_bool("score", True, "convert trained networks and score them on the test split")
flags.DEFINE_string("release", None, "folder of the release to publish to (default: none)")
flags.DEFINE_list(
    "engines",
    list(COMPARED),
    "engines on which published models must compute what they do on the CPU (empty: none)",
)
flags.DEFINE_bool("commit", False, "commit the release after each publication")
flags.DEFINE_bool("plan", False, "only measure the speed and print how long it would take")
flags.DEFINE_bool("status", False, "only print where each run stands")
flags.DEFINE_bool("pause", False, "pause the study that runs in --into")
flags.DEFINE_bool("continue", False, "continue the paused study")
flags.DEFINE_bool("stop", False, "end the study that runs in --into")
help.group(
    "Study",
    "into",
    "jobs",
    "lowest_priority",
    "background",
    "score",
    "release",
    "engines",
    "commit",
)
help.group("Instead of training", "plan", "status", "pause", "continue", "stop")

# Flag → what it does to the study that runs, and what is said when it is done.
_CONTROLS = {
    "pause": (control.pause, "paused"),
    "continue": (control.resume, "continued"),
    "stop": (control.stop, "stopped"),
}
_ACTIONS = ("plan", "status", *_CONTROLS)
_LOWEST = 19  # niceness
_HEADINGS = ("state", "epochs", "validation %", "images/s", "hours left", "reason")
_LINE = "{:<{width}}  {:<9}  {:>8}  {:>12}  {:>8}  {:>10}  {}"


def main(words: list[str]) -> int:
    """Trains the study, or does one of the other actions; returns 1 if a run failed."""
    chosen = [name for name in _ACTIONS if FLAGS[name].value]
    if len(chosen) > 1:
        raise ZooError(
            f"--{chosen[0]} and --{chosen[1]} can't be combined", remedy="pass only one of them"
        )
    if len(words) != 2:
        raise ZooError("expected one study file", got=" ".join(words[1:]) or "none")
    study = plan.load(Path(words[1]))
    release = Path(FLAGS.release).resolve() if FLAGS.release else None
    if FLAGS.commit and release is None:
        raise ZooError("--commit needs --release")
    if release is not None and not FLAGS.score:
        raise ZooError("--release and --noscore can't be combined", remedy="pass only one of them")
    place = Place(
        into=Path(cli.required("into")).resolve(),
        score=FLAGS.score,
        release=release,
        commit=FLAGS.commit,
        engines=tuple(cli.choices("engines", COMPARED)) if FLAGS.engines else (),
    )
    action = chosen[0] if chosen else "train"
    if action in _CONTROLS:
        act, done = _CONTROLS[action]
        act(place.into)
        cli.say(done)
        return 0
    if action == "plan":
        return _plan(study, place.into)
    if action == "status":
        _status(study, place)
        return 0
    if FLAGS.background:
        _in_background(place.into)
        return 0
    return _train(study, place)


def _train(study: Study, place: Place) -> int:
    if FLAGS.lowest_priority:
        _yield_to_others()
    runner = Runner(study, place, cli.say, FLAGS.jobs)
    with control.controlled(runner):
        failed = runner.run()
    if runner.stopped:
        cli.say("stopped; the same command again goes on")
        return 1
    cli.say(f"{len(study.runs) - failed} of {len(study.runs)} runs finished → {place.into}")
    return 1 if failed else 0


def _yield_to_others() -> None:
    """Gives this process and its children the lowest priority."""
    os.nice(_LOWEST)
    if hasattr(os, "SCHED_IDLE"):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def _in_background(into: Path) -> None:
    """Starts the same command again, detached from this terminal."""
    if control.state(into) is not None:
        raise ZooError("this study is already running", where=into, remedy="see --status")
    into.mkdir(parents=True, exist_ok=True)
    arguments = [word for word in sys.argv[1:] if word.lstrip("-") != "background"]
    log = into / "study.log"
    with log.open("ab") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "scripts.study", *arguments],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )
    cli.say(f"process {process.pid} trains in the background, see {log} and --status")


def _plan(study: Study, into: Path) -> int:
    """Prints what each question would take; returns 1 if that is more than the file allows."""
    known = estimates.measure(study, into, cli.say)
    total_h = 0.0
    for question in study.file.questions:
        hours = 0.0
        runs = [run for run in study.runs if run.question is question]
        for run in runs:
            estimate = estimates.of(run, study, known)
            if estimate is not None:
                recipe = run.point.recipe
                seconds = recipe.epochs * estimate.epoch_s(recipe.epoch_images)
                hours += seconds * study.file.threads / 3600
        cli.say(
            f"{question.name}: {len(runs)} runs of {question.epochs} epochs, "
            f"{hours:.1f} CPU hours ({hours / question.epochs:.2f} per epoch)"
        )
        total_h += hours
    cli.say(f"in all {total_h:.1f} of {study.file.hours:g} CPU hours on {known.cpu}")
    if total_h > study.file.hours:
        cli.complain(
            ZooError(
                "the study takes longer than its file allows",
                expected=f"at most {study.file.hours:g} CPU hours",
                got=f"{total_h:.1f}",
                remedy="reduce the epochs of a question for all of its networks",
            )
        )
        return 1
    return 0


def _status(study: Study, place: Place) -> None:
    known = estimates.read(place.into)
    seconds, images = {}, None
    for run in study.runs:
        if estimate := estimates.of(run, study, known):
            seconds[run.name] = estimate.epoch_s(run.point.recipe.epoch_images)
            images = estimate.train_images
    rows = status.of(study, place, images, seconds)
    width = max(len(row.run.name) for row in rows)
    cli.say(_LINE.format("run", *_HEADINGS, width=width))
    for row in rows:
        cells = (
            row.state,
            f"{row.epochs_done:.1f}".removesuffix(".0") + f"/{row.run.point.recipe.epochs}",
            _cell(row.accuracy, 100, 2),
            _cell(row.images_per_s, 1, 0),
            _cell(row.left_s, 1 / 3600, 1),
            row.reason,
        )
        cli.say(_LINE.format(row.run.name, *cells, width=width).rstrip())
    now = control.state(place.into)
    left = [row.left_s for row in rows]
    hours = sum(value for value in left if value is not None) / 3600 / FLAGS.jobs
    unknown = sum(value is None for value in left)
    cli.say(
        f"{now.state if now else 'not running'}; {hours:.1f} h of training left"
        + (f", without {unknown} runs of unknown speed" if unknown else "")
        + (f", {FLAGS.jobs} runs at a time" if FLAGS.jobs > 1 else "")
    )


def _cell(value: float | None, factor: float, digits: int) -> str:
    return "" if value is None else f"{value * factor:.{digits}f}"


if __name__ == "__main__":
    cli.run(main, positional=True)
