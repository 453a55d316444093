"""Measures how sensitive each layer is to compression, and proposes a plan for `zoo compress`.

    zoo sensitivity --run=RUN --what=sparsity --uniform=0.8 --plan=plan.json
    zoo compress --run=RUN --scheme=prune --plan=plan.json
    zoo sensitivity --run=RUN --what=bits --target_bytes=90000 --chart=scan.svg

The scan changes one layer at a time, to each level of sparsity (the smallest weights become zero),
bits (the weights take 2^bits values by clustering) or rank (a share of the largest rank that saves
weights). It scores the network without fine-tuning on validation images: loss of accuracy, and KL
divergence from the probabilities of the trained network. The proposal compresses most where the
divergence grows least per saved byte: it has the smallest sum of divergences within the target.

The target is --target_bytes of coded int8 weights, or the size of the uniform recipe, which changes
all layers to the level --uniform. Both are then scored with all their layers changed. The exit code
is 1 if the proposal diverges more than the uniform recipe. The scan is saved in OUTPUT/sensitivity
for `zoo report`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from scripts.common import cli
from zoo import data, runs
from zoo.errors import ZooError
from zoo.io.files import write_text
from zoo.io.tf_import import import_tensorflow

if TYPE_CHECKING:
    from zoo.compression.sensitivity.report import SensitivityReport

FLAGS = flags.FLAGS
cli.define_output()
flags.DEFINE_string("run", None, "name of the run to scan, in OUTPUT/runs")
flags.DEFINE_string("what", "sparsity", "what is changed: sparsity, bits or rank")
flags.DEFINE_integer(
    "images", 2000, "number of validation images; always the same ones", lower_bound=1
)
flags.DEFINE_float(
    "uniform", None, "level of the uniform recipe (default: the middle of the scale)"
)
flags.DEFINE_float(
    "target_bytes",
    None,
    "maximum size of the coded weights, in bytes (default: that of the uniform recipe)",
)
flags.DEFINE_string("plan", None, "write the proposal to this JSON file, for zoo compress --plan")
flags.DEFINE_string("chart", None, "write a chart of the scan to this .svg file")
flags.DEFINE_string("markdown", None, "write the scan and the comparison to this .md file")
flags.DEFINE_bool("json", False, "print one JSON object instead of a table")


def main(_: list[str]) -> int:
    """Scans the run; returns 1 if the proposal is worse than the uniform recipe."""
    name = cli.file_name(cli.required("run"), "--run")
    folder = cli.output() / "runs" / name
    run = runs.load(folder)
    dataset = data.of_run(run)
    import_tensorflow()
    from zoo.compression.sensitivity.report import ScanRequest, report

    what = cli.choice("what", ("sparsity", "bits", "rank"))
    if run.low_rank is not None and what == "rank":
        raise ZooError("the run is already low_rank", where=name, expected="a run before low_rank")
    request = ScanRequest(what, FLAGS.uniform, FLAGS.target_bytes, FLAGS.images)
    result = report(runs.keras_model(run, folder), dataset, request, name, cli.say)
    scan = cli.output() / "sensitivity" / f"{name}-{what}.json"
    write_text(scan, json.dumps(result.as_json(), indent=1) + "\n")
    _write(result)
    cli.say(json.dumps(result.as_json()) if FLAGS.json else result.text())
    return 0 if result.better else 1


def _write(result: SensitivityReport) -> None:
    if FLAGS.plan:
        write_text(Path(FLAGS.plan), json.dumps(result.plan(), indent=1) + "\n")
    if FLAGS.chart:
        write_text(Path(FLAGS.chart), result.svg())
    if FLAGS.markdown:
        chart = Path(FLAGS.chart) if FLAGS.chart else None
        write_text(Path(FLAGS.markdown), result.markdown(chart))


if __name__ == "__main__":
    cli.run(main)
