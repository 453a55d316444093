"""Generates the table of trained networks from artifacts, manifests and result lines.

    python -m scripts.studies.training_table --output=release --markdown=docs/training.md

One row per trained, uncompressed network: dataset and epochs; top-1 accuracy of its float16 and
int8 files on the whole test set through LiteRT, with 95 % confidence intervals for the finite test
set; and the latency of int8 relative to float16, both with XNNPACK in the same run of
`zoo benchmark`. Missing measurements are marked. Published figures have a column of their own.

Below it, one table per comparison and dataset, if at least two of its networks were trained on it:
alternatives to the shift, channel-wise squeeze-and-excitation, and bypasses. Latencies there are
relative to the first network of the table; (float16) marks rows without a float32 file.

--markdown replaces the text between the lines <!-- table --> and <!-- /table --> of a file.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from absl import flags

from scripts.common import cli
from scripts.common.markdown import replace_between_marks
from zoo.catalog import model_spec
from zoo.catalog.comparisons import QUESTIONS
from zoo.data import names
from zoo.errors import ZooError
from zoo.report import build
from zoo.report.rows import ReportRow, TimedResult
from zoo.schema.artifact import Artifact
from zoo.stats import wilson

FLAGS = flags.FLAGS
cli.define_output()
flags.DEFINE_string("markdown", None, "file with the lines <!-- table --> and <!-- /table -->")

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

FilesByPrecision = dict[str, ReportRow]  # precision → file of one network


def main(_: list[str]) -> None:
    """Prints the tables, or writes them to --markdown."""
    output = cli.output()
    networks: dict[tuple[str, str, str], FilesByPrecision] = {}
    for row in build.load(output).rows:
        if (artifact := row.artifact) and not artifact.scheme:
            key = (artifact.dataset, artifact.model, artifact.parent_sha256)
            networks.setdefault(key, {})[artifact.precision] = row
    lines = [_line(files, output) for _, files in sorted(networks.items())]
    if not lines:
        raise ZooError(
            "no artifact of an uncompressed network",
            where=output / "artifacts",
            remedy="run zoo train and zoo convert first, or pass --output",
        )
    table = _HEADER + "".join(lines) + "".join(_questions(networks, output))
    if not FLAGS.markdown:
        cli.say(table)
        return
    path = Path(FLAGS.markdown)
    replace_between_marks(path, "table", table)
    cli.say(f"{path}: {len(lines)} runs")


def _questions(
    networks: dict[tuple[str, str, str], FilesByPrecision], output: Path
) -> Iterator[str]:
    """Yields the table of each question for each dataset with at least two of its networks."""
    for title, models in QUESTIONS.items():
        by_dataset: dict[str, dict[str, FilesByPrecision]] = {}
        for (dataset, model, _), files in networks.items():
            if model in models:
                by_dataset.setdefault(dataset, {})[model] = files
        for dataset, available in sorted(by_dataset.items()):
            if len(available) < 2:
                continue
            yield f"\n### {title} ({names.title(dataset)})\n\n{_QUESTION_HEADER}"
            chosen = [available[model] for model in models if model in available]
            yield from (_answer(files, chosen[0], output) for files in chosen)


def _answer(files: FilesByPrecision, first: FilesByPrecision, output: Path) -> str:
    artifact = _artifact(files)
    recipe, spec = artifact.recipe, model_spec(artifact.model)
    images = f"{recipe.epoch_images:,}" if recipe.epoch_images else "all"
    (row, mark), (first_row, first_mark) = _uncompressed(files), _uncompressed(first)
    int8 = files.get("int8")
    cells = [
        f"`{artifact.model}`",
        f"{recipe.epochs} × {images}, {recipe.seed}",
        f"{artifact.parameters:,}",
        _macs(output, next(iter(files.values()))),
        _score(row) + mark,
        _score(int8),
        f"{int8.size_bytes / 1e3:.0f}" if int8 and int8.size_bytes else "not converted",
        _ratio(row, first_row) + (mark or first_mark),
        _ratio(int8, first.get("int8")),
        ", ".join(f"{p.top1:g} {p.dataset}" for p in spec.published) or "none",
    ]
    return f"| {' | '.join(cells)} |\n"


def _uncompressed(files: FilesByPrecision) -> tuple[ReportRow | None, str]:
    """Returns the float32 file and "", or else the float16 file and a mark.

    Their latencies are the same on this computer, since float16 weights are converted to float32
    when the file is loaded.
    """
    if row := files.get("float32"):
        return row, ""
    row = files.get("float16")
    return row, " (float16)" if row else ""


def _artifact(files: FilesByPrecision) -> Artifact:
    return next(row.artifact for row in files.values() if row.artifact)


def _line(files: FilesByPrecision, output: Path) -> str:
    artifact = _artifact(files)
    recipe, spec = artifact.recipe, model_spec(artifact.model)
    float16, int8 = files.get("float16"), files.get("int8")
    name = f"`{artifact.model}`" + (f", width {recipe.width:g}" if recipe.width != 1 else "")
    images = f" × {recipe.epoch_images:,}" if recipe.epoch_images else ""
    training = f"{recipe.epochs}{images}, {recipe.seed}"
    cells = [
        name,
        names.title(artifact.dataset),
        f"{artifact.parameters:,}",
        _macs(output, next(iter(files.values()))),
        f"{training}, teacher {recipe.teacher}" if recipe.teacher else training,
        f"{100 * artifact.validation_accuracy:.2f}",
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
    """Returns the multiply-accumulates of a file in millions."""
    from converters.inspection import macs
    from converters.release.read import content
    from converters.tflite.reader import read

    path = output / "artifacts" / f"{row.name}.tflite"
    return f"{macs.total(read(content(path), path.name)) / 1e6:.1f}"


def _score(row: ReportRow | None) -> str:
    if row is None or row.score is None:
        return "no test accuracy"
    if row.score.top1 is None:
        return f"failed: {row.score.failure}"
    low, high = wilson(row.score.top1, row.score.images)
    return f"{100 * row.score.top1:.2f} ({100 * low:.1f}–{100 * high:.1f})"


def _ratio(row: ReportRow | None, to: ReportRow | None) -> str:
    """Returns the ratio of the latencies with LiteRT and XNNPACK on a host."""
    if row is None or to is None:
        return "not timed"
    for key, outcome in row.outcomes.items():
        other = to.outcomes.get(key)
        if key[0].kind == "host" and key[0].runtime == "litert" and key[1] == "xnnpack":
            return _divided(outcome, other)
    return "not timed"


def _divided(outcome: TimedResult, other: TimedResult | None) -> str:
    if other is None or outcome.latency_ms is None or other.latency_ms is None:
        return "not timed"
    return f"{outcome.latency_ms / other.latency_ms:.2f}"


if __name__ == "__main__":
    cli.run(main)
