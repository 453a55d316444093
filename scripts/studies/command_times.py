"""Measures how long the commands take that people wait for, from typing to the last line.

    python -m scripts.studies.command_times --markdown=docs/speed.md

Each run is a new process; the commands take turns, so that a busy moment does not hit one of them
alone. The programs and models are in the disk cache after the first, uncounted turn. `--help` is
measured for every command, and the slowest is shown.

--markdown replaces the text between the lines <!-- commands --> and <!-- /commands --> of a page.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from absl import flags

from scripts.common import cli, console
from scripts.common.markdown import replace_between_marks
from zoo.errors import ZooError
from zoo.io.provenance import Provenance
from zoo.runtime import host

FLAGS = flags.FLAGS
flags.DEFINE_integer("runs", 5, "number of runs of each command", lower_bound=1)
flags.DEFINE_string("model", "resnet20-fashion_mnist-int8", "model of the release to use")
flags.DEFINE_string("image", "docs/ankle_boot.png", "image to classify")
flags.DEFINE_string(
    "markdown", None, "page with the lines <!-- commands --> and <!-- /commands -->"
)

_HELP_GOAL = 0.5
_START = "from scripts.common.console import run; run()"


def main(_: list[str]) -> None:
    """Prints the table, or writes it to --markdown."""
    goals: dict[tuple[str, ...], float] = {
        ("list",): 0.5,
        ("search", "--precision=int8"): 0.5,
        ("inspect", f"release/artifacts/{FLAGS.model}.tflite"): 1.0,
        ("classify", FLAGS.model, FLAGS.image): 1.5,
    }
    helps = [(name, "--help") for names in console.GROUPS.values() for name in names]
    seconds: dict[tuple[str, ...], list[float]] = {words: [] for words in (*goals, *helps)}
    for turn in range(1 + FLAGS.runs):
        for words, taken in seconds.items():
            elapsed = _seconds(words)
            if turn:
                taken.append(elapsed)
    slowest = max(helps, key=lambda words: statistics.median(seconds[words]))
    table = "\n".join(
        [
            f"`{' '.join(Provenance.here().command)}` on {host.device().name}, "
            f"{datetime.now(UTC).date()}; {FLAGS.runs} runs of each, every one a new process.",
            "",
            "| command | goal, s | median, s | slowest, s |",
            "|---|---:|---:|---:|",
            *(_row(f"`zoo {' '.join(words)}`", goals[words], seconds[words]) for words in goals),
            _row(
                f"`--help`, slowest of {len(helps)}: `zoo {' '.join(slowest)}`",
                _HELP_GOAL,
                seconds[slowest],
            ),
        ]
    )
    if FLAGS.markdown:
        replace_between_marks(Path(FLAGS.markdown), "commands", table + "\n")
    cli.say(table)


def _seconds(words: Sequence[str]) -> float:
    begin = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", _START, *words], capture_output=True, text=True, check=False
    )
    elapsed = time.monotonic() - begin
    if done.returncode:
        raise ZooError(
            "the command failed",
            where=f"zoo {' '.join(words)}",
            got=done.stderr.strip().rpartition("\n")[2] or f"exit code {done.returncode}",
        )
    return elapsed


def _row(label: str, goal: float, taken: Sequence[float]) -> str:
    return f"| {label} | {goal:g} | {statistics.median(taken):.2f} | {max(taken):.2f} |"


if __name__ == "__main__":
    cli.run(main)
