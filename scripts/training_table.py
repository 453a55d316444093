"""The table of what was trained here, from runs, artifacts and result lines.

    python -m scripts.convert --run=RUN,RUN --precisions=float32,int8
    python -m scripts.benchmark --device=host
    python -m scripts.training_table --markdown=docs/training.md

A row a trained run: its network, data and epochs, the accuracy on the whole test set of its float32
and its int8 file through LiteRT, with the 95 % interval that chance alone gives, and the time of an
inference of int8 by that of float32, both with XNNPACK and in the same run of scripts.benchmark.
What was not measured is told as such. Published figures stand in their own column.

--markdown writes the file between the lines <!-- table --> and <!-- /table -->, and leaves what
stands around them.
"""

from __future__ import annotations

from pathlib import Path

from absl import flags

from android_bench import report
from android_bench.report_data import Outcome, Report, Row
from scripts import cli
from zoo import runs
from zoo.catalog import model_spec
from zoo.errors import ZooError
from zoo.files import read_bytes, write_text
from zoo.intervals import wilson
from zoo.types import Run

FLAGS = flags.FLAGS
cli.define_output()
flags.DEFINE_string("markdown", None, "a file with <!-- table --> and <!-- /table --> in it")

_MARKS = ("<!-- table -->\n", "<!-- /table -->\n")
_TITLES = {"fashion_mnist": "Fashion-MNIST", "cifar10_jpeg": "CIFAR-10 (JPEG)"}
_HEADER = (
    "| network | data | parameters | M MACs | epochs, seed | validation % | test %, float32 | "
    "test %, int8 | int8 kB | int8 / float32 time | published top-1 |\n"
    "|---|---|---:|---:|---|---:|---:|---:|---:|---:|---|\n"
)


def main(_: list[str]) -> None:
    """Prints the table, or writes it."""
    output = cli.output()
    trained = [runs.load(path.parent) for path in sorted(output.glob("runs/*/run.json"))]
    found = report.load(output)
    lines = [
        _line(run, _files(found, run), output)
        for run in sorted(trained, key=lambda run: (run.dataset, run.config.model))
        if run.stage == "train"
    ]
    if not lines:
        raise ZooError(
            "no trained run", where=output / "runs", remedy="run python -m scripts.train"
        )
    table = _HEADER + "".join(lines)
    if not FLAGS.markdown:
        cli.say(table)
        return
    path = Path(FLAGS.markdown)
    text = read_bytes(path, "the page", 2**20, "make it, with the two marks in it").decode()
    before, mark, rest = text.partition(_MARKS[0])
    old, end, after = rest.partition(_MARKS[1])
    if not mark or not end or _MARKS[0] in old:
        raise ZooError("the page has no place for the table", where=path, expected=" ".join(_MARKS))
    write_text(path, f"{before}{mark}\n{table}\n{end}{after}")
    cli.say(f"{path}: {len(lines)} runs")


def _files(found: Report, run: Run) -> dict[str, Row]:
    """Precision → the run's file of it, as the report has it."""
    return {
        row.precision: row
        for row in found.rows
        if row.artifact and row.artifact.parent_sha256 == run.weights_sha256
    }


def _line(run: Run, files: dict[str, Row], output: Path) -> str:
    spec, recipe = model_spec(run.config.model), run.recipe
    float32, int8 = files.get("float32"), files.get("int8")
    name = run.config.model
    if run.config.width != 1:
        name += f", width {run.config.width:g}"
    name += "".join(f", {key} {value}" for key, value in run.config.arguments.items())
    cells = [
        f"`{name}`",
        _TITLES.get(run.dataset, run.dataset),
        f"{float32.artifact.parameters:,}" if float32 and float32.artifact else "not converted",
        _macs(output, float32),
        f"{recipe.epochs}, {recipe.seed}" + (f", from {run.init_from}" if run.init_from else "")
        + (f", taught by {recipe.teacher}" if recipe.teacher else ""),
        f"{100 * run.validation_accuracy:.2f}",
        _score(float32),
        _score(int8),
        f"{int8.size_bytes / 1e3:.0f}" if int8 and int8.size_bytes else "not converted",
        _ratio(int8, float32),
        ", ".join(f"{p.top1:g} {p.dataset}" for p in spec.published) or "none",
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |\n"


def _macs(output: Path, row: Row | None) -> str:
    """In millions, counted from the file."""
    from converters.inspection import macs
    from converters.inspection.reading import read

    if row is None:
        return ""
    path = output / "artifacts" / f"{row.name}.tflite"
    content = read_bytes(path, "the model", 2**30, "convert it again")
    return f"{macs.total(read(content, path.name)) / 1e6:.1f}"


def _score(row: Row | None) -> str:
    if row is None or row.score is None:
        return "not scored"
    if row.score.top1 is None:
        return f"failed: {row.score.failure}"
    low, high = wilson(row.score.top1, row.score.record.images)
    return f"{100 * row.score.top1:.2f} ({100 * low:.1f}–{100 * high:.1f})"


def _ratio(int8: Row | None, float32: Row | None) -> str:
    if int8 is None or float32 is None:
        return ""
    for key, one in int8.outcomes.items():
        other = float32.outcomes.get(key)
        if key[0].kind == "host" and key[0].runtime == "litert" and key[1] == "xnnpack":
            return _of(one, other)
    return "not timed"


def _of(one: Outcome, other: Outcome | None) -> str:
    if other is None or one.latency_ms is None or other.latency_ms is None:
        return "not timed"
    return f"{one.latency_ms / other.latency_ms:.2f}"


if __name__ == "__main__":
    cli.run(main)
