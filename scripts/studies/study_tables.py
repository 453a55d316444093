"""Makes the tables and charts of a study from the training records of a release.

    python -m scripts.studies.study_tables --study=zoo/catalog/studies/cifar10_jpeg.toml \\
        --release=release --markdown=docs/training.md

One table and one chart per question. Test accuracies are those of the converted files on the whole
test split; with several seeds their mean and standard deviation, with one its 95 % interval for the
finite test set. The difference to the first network is over the same images, with a paired 95 %
interval; with several seeds, an image counts by the share of seeds that classify it correctly.
Runs that are not finished are named.

--markdown replaces the text between the lines <!-- study --> and <!-- /study --> of a page and
writes the charts, study_NAME.svg, beside it.
"""

from __future__ import annotations

from pathlib import Path

from absl import flags

from converters.release import histories
from converters.studies import study_table
from scripts.common import cli
from scripts.common.markdown import replace_between_marks
from zoo.errors import ZooError
from zoo.io.files import write_text
from zoo.io.provenance import Provenance
from zoo.sweeps.study import plan

FLAGS = flags.FLAGS
flags.DEFINE_string("study", None, "the study file")
flags.DEFINE_string("release", "release", "folder of the release with the training records")
flags.DEFINE_string("markdown", None, "page with the lines <!-- study --> and <!-- /study -->")


def main(_: list[str]) -> None:
    """Prints the tables, or writes them and the charts."""
    study = plan.load(Path(cli.required("study")))
    records = histories.load(Path(FLAGS.release))
    page = Path(FLAGS.markdown) if FLAGS.markdown else None
    parts = [f"`{' '.join(Provenance.here().command)}`"]
    finished = 0
    for question in study.file.questions:
        rows = study_table.networks(question, study, records)
        finished += sum(len(row.records) for row in rows)
        parts += [f"### {question.title}", study_table.table(rows).rstrip()]
        if page and any(row.records for row in rows):
            chart = page.with_name(f"study_{question.name}.svg")
            write_text(chart, study_table.chart(question, rows))
            parts.append(f"![Validation accuracy against epochs]({chart.name})")
    if not finished:
        raise ZooError(
            "no finished run of this study",
            where=Path(FLAGS.release) / "runs",
            remedy="train it with zoo study, and publish with --release",
        )
    text = "\n\n".join(parts) + "\n"
    if page:
        replace_between_marks(page, "study", text)
        cli.say(f"{page}: {finished} of {len(study.runs)} runs")
    else:
        cli.say(text)


if __name__ == "__main__":
    cli.run(main)
