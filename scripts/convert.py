"""Converts finished runs to TFLite, in one or several precisions.

    zoo convert --run=squeezenet_v1_1-fashion_mnist-pruned
    zoo convert --run=squeezenet_v1_1-fashion_mnist-pruned-qat --precision=int8_qat
    zoo convert --run=squeezenet_v1_1-fashion_mnist --precision=int8 --raw_input

Writes OUTPUT/artifacts/NAME.tflite with its manifest NAME.json, and lines in OUTPUT/results.jsonl.
Each .tflite contains a model card as metadata: labels, preprocessing, origin and accuracy.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path

from absl import flags

from scripts.common import cli
from zoo import runs
from zoo.catalog import precisions
from zoo.errors import ZooError
from zoo.io.provenance import Provenance
from zoo.io.tf_import import import_tensorflow
from zoo.schema.run import Run

FLAGS = flags.FLAGS
cli.define_output()
flags.DEFINE_list("run", [], "names of the runs to convert, in OUTPUT/runs")
flags.DEFINE_list(
    "precision",
    None,
    f"any of {', '.join(precisions.PRECISIONS)} "
    f"(default: all that the run supports, except {', '.join(precisions.ON_REQUEST)})",
)
cli.former_flag("precisions", "precision")
flags.DEFINE_bool("raw_input", False, "take uint8 pixels as input and normalize them in the graph")
flags.DEFINE_integer(
    "jobs", 1, "number of runs converted in parallel, each in its own process", lower_bound=1
)


def main(_: list[str]) -> int:
    """Converts the runs, after checking that each one supports the precisions."""
    chosen = None
    if FLAGS.precision is not None:
        chosen = cli.choices("precision", precisions.PRECISIONS)
    if not FLAGS.run:
        raise ZooError("--run is required", remedy="pass --run, see --help")
    work = []
    for name in dict.fromkeys(FLAGS.run):
        run = runs.load(cli.output() / "runs" / cli.file_name(name, "--run"))
        names = chosen or precisions.usual(run)
        for precision in names:
            precisions.check(run, precision, FLAGS.raw_input)
        work.append((run, names))
    provenance = Provenance.here()
    if FLAGS.jobs == 1 or len(work) == 1:
        for run, names in work:
            _export(run, names, cli.output(), provenance, FLAGS.raw_input)
        return 0
    # TensorFlow's threads do not survive a fork.
    failures = 0
    with ProcessPoolExecutor(min(FLAGS.jobs, len(work)), get_context("spawn")) as pool:
        jobs = [
            pool.submit(_export, run, names, cli.output(), provenance, FLAGS.raw_input)
            for run, names in work
        ]
        for (run, _names), job in zip(work, jobs, strict=True):
            try:
                job.result()
            except (ZooError, BrokenProcessPool) as error:
                failures += 1
                cli.say(f"{run.name} failed: {error}")
    return 1 if failures else 0


def _export(
    run: Run, names: Sequence[str], output: Path, provenance: Provenance, raw_input: bool
) -> None:
    import_tensorflow()
    from converters import export

    export.write(run, names, output, provenance, cli.say, raw_input)


if __name__ == "__main__":
    cli.run(main)
