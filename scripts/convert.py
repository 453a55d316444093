"""Converts a finished run to TFLite in one or several precisions.

    python -m scripts.convert --run=squeezenet_v1_1-fashion_mnist-pruned
    python -m scripts.convert --run=squeezenet_v1_1-fashion_mnist-pruned-qat --precisions=int8_qat

Leaves OUTPUT/artifacts/NAME.tflite, its manifest NAME.json and lines in OUTPUT/results.jsonl.
"""

from __future__ import annotations

from absl import flags

from converters import precisions
from scripts import cli
from zoo import runs
from zoo.provenance import Provenance

FLAGS = flags.FLAGS
cli.define_output()
flags.DEFINE_string("run", None, "name of the run, under OUTPUT/runs")
flags.DEFINE_list(
    "precisions",
    None,
    f"of {', '.join(precisions.PRECISIONS)} (default: all that the run can have)",
)


def main(_: list[str]) -> None:
    """Converts --run to --precisions."""
    run = runs.load(cli.output() / "runs" / cli.file_name(cli.required("run"), "--run"))
    wanted = precisions.possible(run)
    if FLAGS.precisions is not None:
        wanted = tuple(cli.choices("precisions", precisions.PRECISIONS))
    for precision in wanted:
        precisions.check(run, precision)
    cli.import_tensorflow()
    from converters import publish

    publish.export(run, wanted, cli.output(), Provenance.here(), cli.say)


if __name__ == "__main__":
    cli.run(main)
