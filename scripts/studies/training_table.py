"""The table of what was trained here, from artifacts, their manifests and result lines.

    python -m scripts.studies.training_table --output=release --markdown=docs/training.md

A row a trained network that nothing was compressed of: its data and epochs, the accuracy on the
whole test set of its float16 and its int8 file through LiteRT, with the 95 % interval that chance
alone gives, and the time of an inference of int8 by that of float16, both with XNNPACK and in the
same run of scripts.benchmark. What was not measured is told as such. Published figures stand in
their own column.

Then the questions that the networks were made for, each on the data set that most of them were
trained on: what stands in a shift's place, what channel-wise squeeze-and-excitation gives, and
what bypasses give. Times there are ratios to the first network's of the table;
float16, marked as such, stands for float32 where a release leaves that out.

--markdown writes the file between the lines <!-- table --> and <!-- /table -->, and leaves what
stands around them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from absl import flags

from scripts.common import cli
from zoo.catalog import model_spec
from zoo.catalog.comparisons import QUESTIONS
from zoo.data import names
from zoo.errors import ZooError
from zoo.io.files import read_bytes, write_text
from zoo.report import build
from zoo.report.rows import ReportRow, TimedResult
from zoo.schema.artifact import Artifact
from zoo.stats import wilson

FLAGS = flags.FLAGS
cli.define_output()
flags.DEFINE_string("markdown", None, "a file with <!-- table --> and <!-- /table --> in it")

_MARKS = ("<!-- table -->\n", "<!-- /table -->\n")
_HEADER = (
    "| network | data | parameters | M MACs | epochs, seed | validation % | test %, float16 | "
    "test %, int8 | float16 kB | int8 kB | int8 / float16 time | published top-1 |\n"
    "|---|---|---:|---:|---|---:|---:|---:|---:|---:|---:|---|\n"
)

_QUESTION_HEADER = (
    "| network | epochs × images, seed | parameters | M MACs | test %, float32 | test %, int8 | "
    "int8 kB | float32 time | int8 time | published top-1 |\n"
    "|---|---|---:|---:|---:|---:|---:|---:|---:|---|\n"
)

FilesByPrecision = dict[str, ReportRow]  # precision → file, of one network


def main(_: list[str]) -> None:
    """Prints the tables, or writes them."""
    output = cli.output()
    networks: dict[tuple[str, str, str], FilesByPrecision] = {}
    for row in build.load(output).rows:
        if (made := row.artifact) and not made.scheme:
            key = (made.dataset, made.model, made.parent_sha256)
            networks.setdefault(key, {})[made.precision] = row
    lines = [_line(files, output) for _, files in sorted(networks.items())]
    if not lines:
        raise ZooError(
            "no artifact of a trained network",
            where=output / "artifacts",
            remedy="run python -m scripts.train and scripts.convert first, or give --output",
        )
    table = _HEADER + "".join(lines) + "".join(_questions(networks, output))
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


def _questions(
    networks: dict[tuple[str, str, str], FilesByPrecision], output: Path
) -> Iterator[str]:
    """The table of each question that two or more networks on one data set answer."""
    for title, models in QUESTIONS.items():
        found: dict[str, dict[str, FilesByPrecision]] = {}
        for (dataset, model, _), files in networks.items():
            if model in models:
                found.setdefault(dataset, {})[model] = files
        for dataset, there in sorted(found.items()):
            if len(there) < 2:
                continue
            yield f"\n### {title} ({names.title(dataset)})\n\n{_QUESTION_HEADER}"
            chosen = [there[model] for model in models if model in there]
            yield from (_answer(files, chosen[0], output) for files in chosen)


def _answer(files: FilesByPrecision, first: FilesByPrecision, output: Path) -> str:
    made = _artifact(files)
    recipe, spec = made.recipe, model_spec(made.model)
    images = f"{recipe.epoch_images:,}" if recipe.epoch_images else "all"
    (whole, as_float16), (to, to_float16) = _whole(files), _whole(first)
    int8 = files.get("int8")
    cells = [
        f"`{made.model}`",
        f"{recipe.epochs} × {images}, {recipe.seed}",
        f"{made.parameters:,}",
        _macs(output, next(iter(files.values()))),
        _score(whole) + as_float16,
        _score(int8),
        f"{int8.size_bytes / 1e3:.0f}" if int8 and int8.size_bytes else "not converted",
        _ratio(whole, to) + (as_float16 or to_float16),
        _ratio(int8, first.get("int8")),
        ", ".join(f"{p.top1:g} {p.dataset}" for p in spec.published) or "none",
    ]
    return f"| {' | '.join(cells)} |\n"


def _whole(files: FilesByPrecision) -> tuple[ReportRow | None, str]:
    """The float32 file, else the float16 one; and the mark of the latter.

    On this computer float16 is widened once and computes in float32: the same times.
    """
    if row := files.get("float32"):
        return row, ""
    row = files.get("float16")
    return row, " (float16)" if row else ""


def _artifact(files: FilesByPrecision) -> Artifact:
    return next(row.artifact for row in files.values() if row.artifact)


def _line(files: FilesByPrecision, output: Path) -> str:
    made = _artifact(files)
    recipe, spec = made.recipe, model_spec(made.model)
    float16, int8 = files.get("float16"), files.get("int8")
    name = f"`{made.model}`" + (f", width {recipe.width:g}" if recipe.width != 1 else "")
    images = f" × {recipe.epoch_images:,}" if recipe.epoch_images else ""
    how = f"{recipe.epochs}{images}, {recipe.seed}"
    cells = [
        name,
        names.title(made.dataset),
        f"{made.parameters:,}",
        _macs(output, next(iter(files.values()))),
        f"{how}, taught by {recipe.teacher}" if recipe.teacher else how,
        f"{100 * made.validation_accuracy:.2f}",
        _score(float16),
        _score(int8),
        *(
            f"{row.size_bytes / 1e3:.0f}" if row and row.size_bytes else "not converted"
            for row in (float16, int8)
        ),
        _ratio(int8, float16),
        ", ".join(f"{p.top1:g} {p.dataset}" for p in spec.published) or "none",
    ]
    return f"| {' | '.join(cells)} |\n"


def _macs(output: Path, row: ReportRow) -> str:
    """In millions, counted from the file."""
    from converters.inspection import macs
    from converters.release.read import content
    from converters.tflite.reader import read

    path = output / "artifacts" / f"{row.name}.tflite"
    return f"{macs.total(read(content(path), path.name)) / 1e6:.1f}"


def _score(row: ReportRow | None) -> str:
    if row is None or row.score is None:
        return "not scored"
    if row.score.top1 is None:
        return f"failed: {row.score.failure}"
    low, high = wilson(row.score.top1, row.score.record.images)
    return f"{100 * row.score.top1:.2f} ({100 * low:.1f}–{100 * high:.1f})"


def _ratio(row: ReportRow | None, to: ReportRow | None) -> str:
    """Of the times with XNNPACK on this computer."""
    if row is None or to is None:
        return "not timed"
    for key, one in row.outcomes.items():
        other = to.outcomes.get(key)
        if key[0].kind == "host" and key[0].runtime == "litert" and key[1] == "xnnpack":
            return _of(one, other)
    return "not timed"


def _of(one: TimedResult, other: TimedResult | None) -> str:
    if other is None or one.latency_ms is None or other.latency_ms is None:
        return "not timed"
    return f"{one.latency_ms / other.latency_ms:.2f}"


if __name__ == "__main__":
    cli.run(main)
