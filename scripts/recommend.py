"""Tells which of the measured models is practically best on one device, and why the others lost.

    python -m scripts.recommend --device=host --max_ms=5
    python -m scripts.recommend --device=PHONE --fps=30 --max_kb=500 --min_top1=90

From OUTPUT/results.jsonl and OUTPUT/artifacts: the models on the front of accuracy, download size,
latency and net energy that keep within the budget, the most accurate first. With --chip also how
far each latency is from that chip's roofline, a lower bound.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from converters.inspection.roofline import CHIPS, chip
from scripts.common import cli
from zoo.errors import ZooError

if TYPE_CHECKING:
    from zoo.report.recommend import Choice

FLAGS = flags.FLAGS
cli.define_output()
flags.DEFINE_string("device", "", "host, a phone's id as reports show it, or a device's name")
flags.DEFINE_string("dataset", "", "where there are models of several")
flags.DEFINE_float("max_ms", None, "milliseconds an inference may take", lower_bound=0)
flags.DEFINE_float("fps", None, "instead of --max_ms: inferences a second", lower_bound=1e-3)
flags.DEFINE_float("max_kb", None, "kilobytes that the download may have", lower_bound=0)
flags.DEFINE_float("max_mj", None, "net millijoules an inference may take", lower_bound=0)
flags.DEFINE_float("min_top1", None, "percent of the test images", 0, 100)
flags.DEFINE_string("chip", None, f"show the share of its roofline: {', '.join(CHIPS)}")


def main(_: list[str]) -> int:
    """Prints the front and the reasons; 1 where nothing keeps within the budget."""
    from zoo.report import build
    from zoo.report.recommend import Budget, recommend

    if FLAGS.chip:
        chip(FLAGS.chip)
    if FLAGS.fps and FLAGS.max_ms is not None:
        raise ZooError("--fps and --max_ms are two ways to say one thing", remedy="give one")
    budget = Budget(
        max_ms=1000 / FLAGS.fps if FLAGS.fps else FLAGS.max_ms,
        max_kb=FLAGS.max_kb,
        max_mj=FLAGS.max_mj,
        min_top1=None if FLAGS.min_top1 is None else FLAGS.min_top1 / 100,
    )
    found = recommend(build.load(cli.output()), FLAGS.device, FLAGS.dataset, budget)
    cli.say(f"On {found.device}, {found.dataset}:")
    for number, one in enumerate(found.front):
        cli.say(f"  {'best' if number == 0 else 'or'}: {_described(one)}")
    if not found.front:
        cli.say("  nothing keeps within the budget")
    if found.lost:
        cli.say("Lost:")
    for lost in found.lost:
        cli.say(f"  {lost.candidate.title}: {lost.reason}")
    return 0 if found.front else 1


def _described(one: Choice) -> str:
    words = [f"{100 * (one.accuracy or 0):.2f} %", f"{one.latency_ms:.3f} ms"]
    words += [f"{one.size_mb:.3f} MB"] if one.size_mb is not None else ["size unknown"]
    words += [f"{one.energy_mj:.3g} mJ"] if one.energy_mj is not None else ["energy not measured"]
    if FLAGS.chip and (share := _share(one)):
        words.append(share)
    return f"{one.title}: {', '.join(words)}"


def _share(one: Choice) -> str:
    from converters.inspection.roofline import estimate
    from converters.tflite.reader import read
    from zoo.io.files import sha256_of

    path = Path(cli.output(), "artifacts", f"{one.name}.tflite")
    if not path.is_file() or sha256_of(path) != one.sha256 or not one.latency_ms:
        return ""
    bound = estimate(read(path.read_bytes(), path), FLAGS.chip)
    return f"{100 * bound.us / (1000 * one.latency_ms):.0f} % of {FLAGS.chip}'s roofline"


if __name__ == "__main__":
    cli.run(main)
