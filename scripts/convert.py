"""Converts finished runs to TFLite in one or several precisions.

    python -m scripts.convert --run=squeezenet_v1_1-fashion_mnist-pruned
    python -m scripts.convert --run=squeezenet_v1_1-fashion_mnist-pruned-qat --precision=int8_qat
    python -m scripts.convert --run=squeezenet_v1_1-fashion_mnist --precision=int8 --raw_input

Leaves OUTPUT/artifacts/NAME.tflite, its manifest NAME.json and lines in OUTPUT/results.jsonl. Each
.tflite holds its own card: labels, preprocessing, where it comes from and how good it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path

from absl import flags

from converters.conversion import precisions
from scripts.common import cli
from zoo import runs
from zoo.errors import ZooError
from zoo.io.provenance import Provenance
from zoo.io.tf_import import import_tensorflow
from zoo.schema.run import Run

FLAGS = flags.FLAGS
cli.define_output()
flags.DEFINE_list("run", [], "names of runs, under OUTPUT/runs")
flags.DEFINE_list(
    "precision",
    None,
    f"of {', '.join(precisions.PRECISIONS)} (default: all that each run can have but int16x8)",
)
cli.former_flag("precisions", "precision")
flags.DEFINE_bool(
    "raw_input", False, "take uint8 pixels as an image decoder gives them; the graph normalizes"
)
flags.DEFINE_integer("jobs", 1, "runs converted at a time, each in a process", lower_bound=1)


def main(_: list[str]) -> int:
    """Converts each of --run to --precision; checks every pair before the first conversion."""
    chosen = None
    if FLAGS.precision is not None:
        chosen = cli.choices("precision", precisions.PRECISIONS)
    if not FLAGS.run:
        raise ZooError("--run is missing", remedy="give --run, see --help")
    work = []
    for name in dict.fromkeys(FLAGS.run):
        run = runs.load(cli.output() / "runs" / cli.file_name(name, "--run"))
        wanted = chosen or precisions.usual(run)
        for precision in wanted:
            precisions.check(run, precision, FLAGS.raw_input)
        work.append((run, wanted))
    provenance = Provenance.here()
    if FLAGS.jobs == 1 or len(work) == 1:
        for run, wanted in work:
            _export(run, wanted, cli.output(), provenance, FLAGS.raw_input)
        return 0
    # TensorFlow's threads don't survive a fork.
    failures = 0
    with ProcessPoolExecutor(min(FLAGS.jobs, len(work)), get_context("spawn")) as pool:
        jobs = [
            pool.submit(_export, run, wanted, cli.output(), provenance, FLAGS.raw_input)
            for run, wanted in work
        ]
        for (run, _wanted), job in zip(work, jobs, strict=True):
            try:
                job.result()
            except (ZooError, BrokenProcessPool) as error:
                failures += 1
                cli.say(f"{run.name} failed: {error}")
    return 1 if failures else 0


def _export(
    run: Run, wanted: Sequence[str], output: Path, provenance: Provenance, raw_input: bool
) -> None:
    import_tensorflow()
    from converters import export

    export.write(run, wanted, output, provenance, cli.say, raw_input)


if __name__ == "__main__":
    cli.run(main)
