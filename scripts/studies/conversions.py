"""Converts catalog networks to every precision and tells where each runs and how close it stays.

    python -m scripts.studies.conversions --images=../shared/data/imagenet_sample_1000.tar \\
        --markdown=docs/conversions.md

For each network and precision: whether it converts, how many of its operators XNNPACK takes on
LiteRT and on tflite_runtime, whether the GPU delegate takes all, the oldest runtime, and the
difference from Keras on real pictures. The networks have random weights, with batch normalization
settled on the pictures. A row is added to OUTPUT/conversions.jsonl as soon as it is there; a second
call goes on with what is missing.
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from absl import flags
from pydantic import ValidationError

from android_bench.host import bench
from converters.conversion import precisions
from converters.studies import coverage_table
from converters.studies.coverage_table import CoverageRow
from scripts.common import cli
from zoo.catalog import MODELS
from zoo.errors import ZooError
from zoo.io.files import read_bytes, write_text
from zoo.io.provenance import Provenance
from zoo.io.tf_import import import_tensorflow
from zoo.runtime.interpreter import RUNTIMES
from zoo.runtime.sandbox import Sandbox

Rows = dict[tuple[str, str], CoverageRow]
FLAGS = flags.FLAGS
cli.define_output()
flags.DEFINE_list("model", None, "catalog names (default: all)")
flags.DEFINE_list("precision", list(precisions.PRECISIONS), "which")
flags.DEFINE_string("images", None, "an uncompressed .tar or a folder of JPEGs named by synset")
flags.DEFINE_string("markdown", None, "write the table to this file")
flags.DEFINE_bool("table_only", False, "convert nothing, only make the table")


def main(_: list[str]) -> None:
    """Adds the missing rows, then writes the table."""
    models = cli.choices("model", MODELS) if FLAGS.model else list(MODELS)
    wanted = cli.choices("precision", precisions.PRECISIONS)
    log = cli.output() / "conversions.jsonl"
    rows = _read(log)
    if not FLAGS.table_only:
        _add(models, wanted, rows, log)
        rows = _read(log)
    if FLAGS.markdown:
        order = list(MODELS)
        found = sorted(rows.values(), key=lambda row: order.index(row.model))
        made_by = (
            f"The rows come from `python -m scripts.studies.conversions --images=TAR` on "
            f"{bench.device().name}, one thread, with 48 ImageNet pictures; this page was made by "
            f"`{' '.join(Provenance.here().command)}`, {datetime.now(UTC).date()}."
        )
        told = [coverage_table.HEADING, made_by, "", *coverage_table.summary(found)]
        write_text(Path(FLAGS.markdown), coverage_table.markdown(found, "\n".join(told)))
        cli.say(f"{len(rows)} rows → {FLAGS.markdown}")


def _add(models: list[str], wanted: list[str], rows: Rows, log: Path) -> None:
    path = Path(cli.required("images"))
    import_tensorflow()
    from converters.studies import coverage

    pictures = coverage.SampleImages(path)
    log.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack, log.open("a") as file:
        runners = {}
        for runtime in RUNTIMES:
            try:
                runners[runtime] = stack.enter_context(Sandbox(runtime))
            except ZooError as error:
                cli.say(str(error))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for number, name in enumerate(models, start=1):
            missing = [p for p in wanted if (name, p) not in rows]
            if not missing:
                continue
            for row in coverage.examine(name, missing, pictures, runners, folder):
                file.write(row.model_dump_json() + "\n")
                file.flush()
                cli.say(f"[{number}/{len(models)}] {coverage_table.line(row)}")


def _read(log: Path) -> Rows:
    if not log.exists():
        return {}
    data = read_bytes(log, "the rows", 64 * 2**20, "remove it and begin again")
    try:
        rows = [CoverageRow.model_validate_json(line) for line in data.splitlines() if line.strip()]
    except ValidationError as error:
        raise ZooError(
            "the rows can't be read", where=log, got=error, remedy="remove it and begin again"
        ) from error
    return {(row.model, row.precision): row for row in rows}


if __name__ == "__main__":
    cli.run(main)
