"""Runs the whole chain: train, prune, QAT, convert, score, time and report.

    zoo demo
    zoo demo --dataset=digits

Each stage is a command of its own, printed before it runs. The same command again resumes an
interrupted demo. `make demo` also sets up the environment; DEMO_FLAGS=… passes flags.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from absl import flags

from scripts.common import cli
from zoo import data
from zoo.catalog import RECIPES
from zoo.errors import ZooError

FLAGS = flags.FLAGS
flags.DEFINE_string("output", "output/demo", "folder of everything that the demo writes")
_RECIPES = {"fashion_mnist": "fashion_mnist_demo", "digits": "digits_quick"}
flags.DEFINE_enum("dataset", "fashion_mnist", list(_RECIPES), "dataset to train on")


def main(_: list[str]) -> int:
    """Runs all stages; returns the exit code of the first one that failed, else 0."""
    began = time.monotonic()
    recipe = RECIPES[_RECIPES[_available()]]
    run = f"{recipe.model}-{recipe.dataset}"
    chain = (
        ("train", f"--recipe={recipe.name}"),
        ("compress", f"--run={run}", "--scheme=prune"),
        ("compress", f"--run={run}-pruned", "--scheme=qat"),
        ("convert", f"--run={run}", "--precision=float32"),
        ("convert", f"--run={run}-pruned,{run}-pruned-qat"),
        ("benchmark", "--device=all", "--min_secs=0.3"),
        ("report",),
    )
    worst = 0
    for number, (script, *rest) in enumerate(chain, start=1):
        arguments = ["-m", f"scripts.{script}", *rest, f"--output={FLAGS.output}"]
        minutes = (time.monotonic() - began) / 60
        cli.say(f"\n── {number}/{len(chain)} · {minutes:.1f} min · python {' '.join(arguments)}")
        code = _run(arguments)
        worst = worst or code
        # Exit code 1 of the benchmark means a failed case, which the report shows, so continue.
        if code and not (script == "benchmark" and code == 1):
            return code
    cli.say(f"done in {(time.monotonic() - began) / 60:.1f} minutes")
    return worst


def _available() -> str:
    """Returns --dataset, or "digits" with a message if it is not available."""
    try:
        data.fetch(FLAGS.dataset, cli.say)
    except ZooError as error:
        if FLAGS.dataset == "digits":
            raise
        cli.say(f"falling back to scikit-learn's digits: {error}")
        return "digits"
    return FLAGS.dataset


def _run(arguments: list[str]) -> int:
    """Runs a stage in this terminal; after Ctrl-C, which it receives too, waits for its cleanup."""
    with subprocess.Popen([sys.executable, *arguments], cwd=Path.cwd()) as stage:
        try:
            return stage.wait()
        except KeyboardInterrupt:
            stage.wait(timeout=60)
            raise


if __name__ == "__main__":
    cli.run(main)
