"""Recommends the best measured models for a device within a budget.

    zoo recommend --device=host --max_ms=5
    zoo recommend --device=SERIAL --fps=30 --max_kb=500 --min_top1=90

Reads OUTPUT/results.jsonl and OUTPUT/artifacts. Prints the models within the budget that are on the
Pareto front of accuracy, size with gzip, latency and net energy, most accurate first, and why the
others were rejected. --chip also compares each latency with the lower bound of that chip's
roofline. The exit code is 1 if no model meets the budget.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from converters.inspection.chips import CHIPS, chip
from scripts.common import cli, help
from zoo.errors import ZooError

if TYPE_CHECKING:
    from zoo.report.recommend import Choice, Recommendation

FLAGS = flags.FLAGS
cli.define_output()
flags.DEFINE_string(
    "device",
    "",
    "host; phone; the serial of a phone, not its Wi-Fi address; or the id or the name of a device, "
    "as in reports; needed if several were measured",
)
flags.DEFINE_string("dataset", "", "dataset of the models; needed if there are several")
flags.DEFINE_float("max_ms", None, "maximum latency per inference, in milliseconds", lower_bound=0)
flags.DEFINE_float(
    "fps",
    None,
    "minimum throughput in inferences per second, instead of --max_ms",
    lower_bound=1e-3,
)
flags.DEFINE_float(
    "max_kb", None, "maximum size with gzip, in kilobytes of 1000 bytes", lower_bound=0
)
flags.DEFINE_float(
    "max_mj", None, "maximum net energy per inference, in millijoules", lower_bound=0
)
flags.DEFINE_float("min_top1", None, "minimum top-1 test accuracy, in percent", 0, 100)
flags.DEFINE_string("chip", None, f"chip of the roofline estimate: {', '.join(CHIPS)}")
help.group("Budget", "max_ms", "fps", "max_kb", "max_mj", "min_top1")


def main(_: list[str]) -> int:
    """Prints the front and the rejected models; returns 1 if no model meets the budget."""
    from zoo.report import build
    from zoo.report.recommend import Budget, recommend

    if FLAGS.chip:
        chip(FLAGS.chip)
    if FLAGS.fps and FLAGS.max_ms is not None:
        raise ZooError("--fps and --max_ms can't be combined", remedy="pass only one of them")
    budget = Budget(
        max_ms=1000 / FLAGS.fps if FLAGS.fps else FLAGS.max_ms,
        max_kb=FLAGS.max_kb,
        max_mj=FLAGS.max_mj,
        min_top1=None if FLAGS.min_top1 is None else FLAGS.min_top1 / 100,
    )
    result = recommend(build.load(cli.output()), FLAGS.device, FLAGS.dataset, budget)
    cli.say(f"On {result.device}, {result.dataset or 'dataset unknown'}:")
    for number, choice in enumerate(result.front):
        cli.say(f"  {'best' if number == 0 else 'or'}: {_described(choice)}")
    if not result.front:
        cli.say(f"  {_nothing(result)}")
    if result.lost:
        cli.say("Rejected:")
    for rejected in result.lost:
        cli.say(f"  {rejected.candidate.title}: {rejected.reason}")
    return 0 if result.front else 1


def _nothing(result: Recommendation) -> str:
    candidates = [rejected.candidate for rejected in result.lost]
    if any(c.accuracy is not None and c.latency_ms is not None for c in candidates):
        return "no model meets the budget"
    return "no file has both a latency and a test accuracy; run zoo benchmark to measure them"


def _described(choice: Choice) -> str:
    source = " (from the manifest)" if choice.stated else ""
    values = [f"{100 * (choice.accuracy or 0):.2f} %{source}", f"{choice.latency_ms:.3f} ms"]
    values.append(
        "size unknown" if choice.size_kb is None else f"{choice.size_kb:,.1f} kB with gzip"
    )
    values.append(
        "energy not measured" if choice.energy_mj is None else f"{choice.energy_mj:.3g} mJ"
    )
    if FLAGS.chip and (share := _roofline_share(choice)):
        values.append(share)
    return f"{choice.title}: {', '.join(values)}"


def _roofline_share(choice: Choice) -> str:
    from converters.inspection.roofline import estimate
    from converters.tflite.reader import read
    from zoo.io.files import sha256_of

    path = Path(cli.output(), "artifacts", f"{choice.name}.tflite")
    if not path.is_file() or sha256_of(path) != choice.sha256 or not choice.latency_ms:
        return ""
    bound = estimate(read(path.read_bytes(), path), FLAGS.chip)
    return f"{100 * bound.us / (1000 * choice.latency_ms):.0f} % of {FLAGS.chip}'s roofline"


if __name__ == "__main__":
    cli.run(main)
