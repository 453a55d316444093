"""Converts finished runs to TFLite in one or several precisions.

    python -m scripts.convert --run=squeezenet_v1_1-fashion_mnist-pruned
    python -m scripts.convert --run=squeezenet_v1_1-fashion_mnist-pruned-qat --precisions=int8_qat

Leaves OUTPUT/artifacts/NAME.tflite, its manifest NAME.json and lines in OUTPUT/results.jsonl.
"""

from __future__ import annotations

from absl import flags

from converters import precisions
from scripts import cli
from zoo import runs
from zoo.errors import ZooError
from zoo.provenance import Provenance

FLAGS = flags.FLAGS
cli.define_output()
flags.DEFINE_list("run", [], "names of runs, under OUTPUT/runs")
flags.DEFINE_list(
    "precisions",
    None,
    f"of {', '.join(precisions.PRECISIONS)} (default: all that each run can have)",
)


def main(_: list[str]) -> None:
    """Converts each of --run to --precisions; checks every pair before the first conversion."""
    chosen = None
    if FLAGS.precisions is not None:
        chosen = cli.choices("precisions", precisions.PRECISIONS)
    if not FLAGS.run:
        raise ZooError("--run is missing", remedy="give --run, see --help")
    work = []
    for name in dict.fromkeys(FLAGS.run):
        run = runs.load(cli.output() / "runs" / cli.file_name(name, "--run"))
        wanted = chosen or precisions.possible(run)
        for precision in wanted:
            precisions.check(run, precision)
        work.append((run, wanted))
    cli.import_tensorflow()
    from converters import publish

    for run, wanted in work:
        publish.export(run, wanted, cli.output(), Provenance.here(), cli.say)


if __name__ == "__main__":
    cli.run(main)
