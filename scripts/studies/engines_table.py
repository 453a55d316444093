"""Makes the table of what each engine computes of the files of a release.

    python -m scripts.studies.engines_table --release=release --markdown=docs/engines.md

The rows are the results of `zoo prove --output=RELEASE`; nothing is run. --markdown replaces the
text between the lines <!-- engines --> and <!-- /engines --> of a page.
"""

from __future__ import annotations

from pathlib import Path

from absl import flags

from converters.release.build import manifests
from converters.studies import engines_table
from scripts.common import cli
from scripts.common.markdown import replace_between_marks
from zoo.errors import ZooError
from zoo.io.provenance import Provenance
from zoo.schema.engine_check import EngineCheck
from zoo.schema.json_files import read_records

FLAGS = flags.FLAGS
flags.DEFINE_string("release", "release", "folder of the release")
flags.DEFINE_string("markdown", None, "page with the lines <!-- engines --> and <!-- /engines -->")


def main(_: list[str]) -> None:
    """Prints the table, or writes it into the page."""
    release = Path(FLAGS.release)
    artifacts, _checkpoints = manifests(release)
    records, _problems = read_records(release / "results.jsonl")
    checks = [record for record in records if isinstance(record, EngineCheck)]
    if not checks:
        raise ZooError(
            "no result of an engine",
            where=release / "results.jsonl",
            remedy=f"run zoo prove --output={release}",
        )
    versions = sorted(
        {f"{c.configuration.runtime} {c.configuration.runtime_version}" for c in checks}
    )
    devices = sorted(
        {
            c.placement.accelerator.in_words
            for c in checks
            if c.placement and c.placement.accelerator
        }
    )
    right = ", ".join(
        f"{name} ({delegate}) {count}"
        for (name, delegate), count in engines_table.totals(artifacts, checks).items()
    )
    text = "\n\n".join(
        [
            f"`{' '.join(Provenance.here().command)}`, from the results of `zoo prove`; "
            f"{', '.join(versions)}. Devices: {'; '.join(devices) or 'none'}.",
            f"Right, of the files that are meant for the engine: {right}.",
            engines_table.table(artifacts, checks),
        ]
    )
    if FLAGS.markdown:
        replace_between_marks(Path(FLAGS.markdown), "engines", text)
        cli.say(f"{FLAGS.markdown}: {len(artifacts)} files; {right}")
    else:
        cli.say(text)


if __name__ == "__main__":
    cli.run(main)
