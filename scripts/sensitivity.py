"""Scans how much each layer of a trained run bears, and proposes a plan for scripts.compress.

    python -m scripts.sensitivity --run=RUN --what=sparsity --uniform=0.8 --plan=plan.json
    python -m scripts.compress --run=RUN --scheme=prune --plan=plan.json
    python -m scripts.sensitivity --run=RUN --what=bits --target_bytes=90000 --chart=scan.svg

One layer at a time is changed, to each level: sparsity (the smallest weights become zero), bits
(2 to that power clusters) or rank (its share of the largest rank that saves weights). Each time the
network is scored on validation images, without fine-tuning: accuracy lost, and the divergence of
its probabilities from the trained network's. Layers whose divergence rises little for the bytes
that they save are changed most: the proposal is the least sum of divergences within the target.

The target is --target_bytes of coded int8 weights, or the size of the uniform recipe --uniform. The
uniform recipe and the proposal are then scored with all their layers changed. The exit code is 1
where the proposal diverges more than the uniform recipe. OUTPUT/sensitivity keeps the scan for the
page of scripts.report.
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
flags.DEFINE_string("run", None, "name of the run to scan, under OUTPUT/runs")
flags.DEFINE_string("what", "sparsity", "sparsity, bits or rank")
flags.DEFINE_integer("images", 2000, "validation images, the same in each run", lower_bound=1)
flags.DEFINE_float("uniform", None, "a level of the scan: all layers alike, to compare with")
flags.DEFINE_float("target_bytes", None, "wanted size (default: that of the uniform recipe)")
flags.DEFINE_string("plan", None, "write the proposal to this file, for scripts.compress --plan")
flags.DEFINE_string("chart", None, "write the scan to this .svg")
flags.DEFINE_string("markdown", None, "write the scan and the comparison to this .md")
flags.DEFINE_bool("json", False, "print one JSON object instead of a table")


def main(_: list[str]) -> int:
    """Scans --run."""
    name = cli.file_name(cli.required("run"), "--run")
    folder = cli.output() / "runs" / name
    run = runs.load(folder)
    dataset = data.of_run(run)
    import_tensorflow()
    from zoo.compression.sensitivity.report import ScanRequest, report

    what = cli.choice("what", ("sparsity", "bits", "rank"))
    if run.low_rank is not None and what == "rank":
        raise ZooError("its layers are split already", where=name, expected="a run before low_rank")
    wanted = ScanRequest(what, FLAGS.uniform, FLAGS.target_bytes, FLAGS.images)
    found = report(runs.keras_model(run, folder), dataset, wanted, name, cli.say)
    scan = cli.output() / "sensitivity" / f"{name}-{what}.json"
    write_text(scan, json.dumps(found.as_json(), indent=1) + "\n")
    _write(found)
    cli.say(json.dumps(found.as_json()) if FLAGS.json else found.text())
    return 0 if found.better else 1


def _write(found: SensitivityReport) -> None:
    if FLAGS.plan:
        write_text(Path(FLAGS.plan), json.dumps(found.plan(), indent=1) + "\n")
    if FLAGS.chart:
        write_text(Path(FLAGS.chart), found.svg())
    if FLAGS.markdown:
        picture = Path(FLAGS.chart) if FLAGS.chart else None
        write_text(Path(FLAGS.markdown), found.markdown(picture))


if __name__ == "__main__":
    cli.run(main)
