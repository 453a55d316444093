"""Converts catalog networks to every precision and shows where each runs and how exact it is.

    python -m scripts.studies.conversions --images=IMAGES.tar --markdown=docs/conversions.md

For each network and precision: whether it converts, how many operators XNNPACK takes on LiteRT and
on tflite_runtime, whether the GPU delegate takes all of them, the oldest runtime that loads the
file, and the difference from Keras on real images. The networks have random weights, with batch
normalization statistics from the images. Each row is appended to OUTPUT/conversions.jsonl as soon
as it is complete; the same command again adds the missing ones.
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from absl import flags
from pydantic import ValidationError

from converters.studies import coverage_table
from converters.studies.coverage_table import CoverageRow
from scripts.common import cli
from zoo.catalog import MODELS, precisions
from zoo.errors import ZooError
from zoo.io.files import read_bytes, write_text
from zoo.io.provenance import Provenance
from zoo.io.tf_import import import_tensorflow
from zoo.runtime import host
from zoo.runtime.engines import INTERPRETERS
from zoo.runtime.sandbox import Sandbox

Rows = dict[tuple[str, str], CoverageRow]
FLAGS = flags.FLAGS
cli.define_output()
flags.DEFINE_list("model", None, "names in the catalog (default: all)")
flags.DEFINE_list("precision", list(precisions.PRECISIONS), "precisions to convert to")
flags.DEFINE_string("images", None, "uncompressed .tar or folder of JPEGs named by synset")
flags.DEFINE_string("markdown", None, "write the page to this file")
flags.DEFINE_bool("table_only", False, "convert nothing, only write the page")


def main(_: list[str]) -> None:
    """Adds the missing rows, then writes the page."""
    models = cli.choices("model", MODELS) if FLAGS.model else list(MODELS)
    names = cli.choices("precision", precisions.PRECISIONS)
    log = cli.output() / "conversions.jsonl"
    rows = _read(log)
    if not FLAGS.table_only:
        _add(models, names, rows, log)
        rows = _read(log)
    if FLAGS.markdown:
        order = list(MODELS)
        ordered = sorted(rows.values(), key=lambda row: order.index(row.model))
        made_by = (
            f"The rows come from `python -m scripts.studies.conversions --images=IMAGES.tar` on "
            f"{host.device().name}, one thread, with 48 ImageNet images; this page was generated "
            f"by `{' '.join(Provenance.here().command)}`, {datetime.now(UTC).date()}."
        )
        lines = [
            coverage_table.heading(ordered, order),
            made_by,
            "",
            *coverage_table.summary(ordered),
        ]
        write_text(Path(FLAGS.markdown), coverage_table.markdown(ordered, "\n".join(lines)))
        cli.say(f"{len(rows)} rows → {FLAGS.markdown}")


def _add(models: list[str], names: list[str], rows: Rows, log: Path) -> None:
    path = Path(cli.required("images"))
    import_tensorflow()
    from converters.studies import coverage

    images = coverage.SampleImages(path)
    log.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack, log.open("a") as file:
        runners = {}
        for runtime in INTERPRETERS:
            try:
                runners[runtime] = stack.enter_context(Sandbox(runtime))
            except ZooError as error:
                cli.say(str(error))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for number, name in enumerate(models, start=1):
            missing = [p for p in names if (name, p) not in rows]
            if not missing:
                continue
            for row in coverage.examine(name, missing, images, runners, folder):
                file.write(row.model_dump_json() + "\n")
                file.flush()
                cli.say(f"[{number}/{len(models)}] {coverage_table.line(row)}")


def _read(log: Path) -> Rows:
    if not log.exists():
        return {}
    data = read_bytes(log, "the rows", 64 * 2**20, "delete the file and start again")
    try:
        rows = [CoverageRow.model_validate_json(line) for line in data.splitlines() if line.strip()]
    except ValidationError as error:
        raise ZooError(
            "the rows are not valid", where=log, got=error, remedy="delete the file and start again"
        ) from error
    return {(row.model, row.precision): row for row in rows}


if __name__ == "__main__":
    cli.run(main)
